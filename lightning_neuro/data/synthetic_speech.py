"""Words spoken by the program espeak-ng."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from scipy.io import wavfile
from scipy.signal import resample_poly
from torch import Tensor

from lightning_neuro.data.errors import DataFormatError, not_found

PROGRAM = "espeak-ng"
# A variant is passed over in silence behind some names of accents, en-gb among them; behind these it is heard.
ACCENTS = ("en", "en-us", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029")
VARIANTS = ("m1", "f1", "m2", "f2", "m3", "f3", "m4", "f4", "m5", "f5", "m6", "m7", "m8", "Andrea", "Alex", "Annie")
VOICES = tuple(f"{ACCENTS[k % len(ACCENTS)]}+{variant}" for k, variant in enumerate(VARIANTS))


@dataclass(frozen=True)
class Utterance:
    """A word, and how it is to be said.

    Args:
        text: the word.
        voice: accent and variant of espeak-ng.
        rate: words per minute.
        pitch: 0 to 99.
        noise: loudness of white noise below that of the speech, in dB.
        seed: of the noise.
    """

    text: str
    voice: str
    rate: int
    pitch: int
    noise: float
    seed: int


def find_program(owner: str) -> str:
    """Path of espeak-ng.

    Raises:
        DataNotFoundError: it is not installed.
    """
    found = shutil.which(PROGRAM)
    if found is None:
        folders = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each]
        raise not_found(
            owner,
            "the speech synthesizer espeak-ng",
            expected=[PROGRAM],
            tried={folder: [PROGRAM] for folder in folders},
            obtain="install it, for instance with: apt-get install espeak-ng",
            instead="JapaneseVowelsData, recorded speech in two text files of the package aeon.",
        )
    return found


def program_version(owner: str) -> str:
    """What espeak-ng says of itself, without the folder of its data."""
    answer = subprocess.run([find_program(owner), "--version"], capture_output=True, text=True, check=True)
    return answer.stdout.partition("Data at")[0].strip()


def speak(owner: str, utterance: Utterance, sample_rate: int) -> Tensor:
    """Say a word.

    A single letter is said by its name.

    Args:
        owner: who asks; opens the message.
        utterance: what to say, and how.
        sample_rate: of the result, in Hz.

    Returns:
        Sound `(L,)`, float32, largest value 1 before the noise is added.

    Raises:
        DataNotFoundError: espeak-ng is not installed.
        DataFormatError: it has said nothing.
    """
    options = ["-v", utterance.voice, "-s", str(utterance.rate), "-p", str(utterance.pitch)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "word.wav"
        command = [find_program(owner), *options, "-m", "-w", str(file), _marked_up(utterance.text)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if not file.exists():
            raise DataFormatError(f"{owner}: espeak-ng must say {utterance}, got {answer.stderr.strip()!r}.")
        rate, samples = wavfile.read(file)
    ratio = Fraction(sample_rate, rate)
    sound = resample_poly(samples.astype(np.float64), ratio.numerator, ratio.denominator)
    if not np.abs(sound).max(initial=0) > 0:
        raise DataFormatError(f"{owner}: espeak-ng must say {utterance}, got silence.")
    sound /= np.abs(sound).max()
    loudness = np.sqrt(np.mean(sound**2)) * 10 ** (-utterance.noise / 20)
    sound += loudness * np.random.default_rng(utterance.seed).standard_normal(len(sound))
    return torch.from_numpy(sound.astype(np.float32))


def _marked_up(text: str) -> str:
    return f'<say-as interpret-as="characters">{text}</say-as>' if len(text) == 1 and text.isalpha() else text
