import shutil

import numpy as np
import pytest
from scipy.io import wavfile

from lightning_neuro.data import DataFormatError, DataNotFoundError
from lightning_neuro.data.synthetic_speech import ACCENTS, VARIANTS, VOICES, Utterance, program_version, speak

WORD = Utterance("w", "en-us+f2", rate=150, pitch=50, noise=30.0, seed=3)

needs_program = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


def test_sixteen_voices_of_seven_accents():
    assert len(set(VOICES)) == 16
    assert {voice.split("+")[0] for voice in VOICES} == set(ACCENTS)
    assert {voice.split("+")[1] for voice in VOICES} == set(VARIANTS)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A program in the place of espeak-ng that notes its arguments and copies a file."""

    def install(samples, rate=22050):
        wavfile.write(tmp_path / "said.wav", rate, samples)
        program = tmp_path / "espeak-ng"
        program.write_text(
            '#!/bin/sh\nif [ "$1" = --version ]; then echo "eSpeak 9.9  Data at: /x"; exit; fi\n'
            f'printf "%s|" "$@" > {tmp_path}/arguments\nwhile [ "$1" != -w ]; do shift; done\n'
            f'cp {tmp_path}/said.wav "$2"\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return tmp_path / "arguments"

    return install


def test_sound_is_resampled_scaled_and_noisy(stand_in):
    seconds = np.arange(22050) / 22050
    arguments = stand_in((8000 * np.sin(2 * np.pi * 440 * seconds)).astype(np.int16))
    sound = speak("Owner", WORD, 12500)
    assert sound.shape == (12500,)
    expected = np.sin(2 * np.pi * 440 * np.arange(12500) / 12500)
    noise = (sound.numpy() - expected)[200:-200]
    loudness = 20 * np.log10(np.sqrt(np.mean(expected**2)) / noise.std())
    assert loudness == pytest.approx(30, abs=0.6)
    given = arguments.read_text().split("|")
    assert given[:8] == ["-v", "en-us+f2", "-s", "150", "-p", "50", "-m", "-w"]
    assert given[9] == '<say-as interpret-as="characters">w</say-as>'
    assert program_version("Owner") == "eSpeak 9.9"


def test_silence_is_refused(stand_in):
    stand_in(np.zeros(100, np.int16))
    with pytest.raises(DataFormatError, match=r"Owner: espeak-ng must say Utterance\(text='w'.* got silence"):
        speak("Owner", WORD, 12500)


def test_a_program_that_writes_nothing_is_refused(stand_in, tmp_path):
    stand_in(np.ones(9, np.int16))
    (tmp_path / "espeak-ng").write_text("#!/bin/sh\necho no such voice >&2\n")
    with pytest.raises(DataFormatError, match=r"Owner: espeak-ng must say Utterance.* got 'no such voice'"):
        speak("Owner", WORD, 12500)


def test_without_the_program_the_error_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataNotFoundError, match="Owner: the speech synthesizer espeak-ng was not found") as caught:
        speak("Owner", WORD, 12500)
    assert "apt-get install espeak-ng" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@needs_program
@pytest.mark.realdata
def test_real_voices_all_differ_and_repeat_themselves():
    said = [speak("Owner", Utterance("seven", voice, 150, 50, 30.0, 0), 12500).numpy().tobytes() for voice in VOICES]
    assert len(set(said)) == 16  # an unknown variant would be passed over in silence
    again = speak("Owner", Utterance("seven", VOICES[3], 150, 50, 30.0, 0), 12500)
    assert again.numpy().tobytes() == said[3]
