"""Letters and digits spoken by a program: sound for trying things out where no recordings are at hand."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.data.errors import DataNotFoundError
from lightning_neuro.data.folders import data_root
from lightning_neuro.data.speech import SAMPLE_RATE, SpeechDataModule
from lightning_neuro.data.synthetic_speech import VOICES, Utterance, program_version, speak

CLASS_NAMES = {"letters": tuple("abcdefghijklmnopqrstuvwxyz"), "digits": tuple("0123456789")}
TEST_VOICES = 4


class SpokenLettersData(SpeechDataModule):
    """Letters (26 classes) or digits (10) spoken by sixteen voices of espeak-ng, as 78 channels of spikes.

    Each voice says each word `takes` times, at a random rate of 120 to 200 words per minute, pitch of 25 to 75 and
    white noise 20 to 35 dB below the speech. The program is neither shipped nor downloaded; what it said is kept as
    spikes in `cache_dir`, and such a file also serves where the program is missing.

    These are not recordings: classifiers that read unseen voices of this kind at 95 % read real letters at about
    35 %. An accuracy on them compares methods with one another; it must never be shown beside figures on TI46.

    Args:
        vocabulary: "letters" or "digits".
        takes: times that each voice says each word.
        test_on: "takes": the last take of every voice and word is the test part, the others are for training;
            "voices": the last four voices are.
        root: folder of the data sets; None means `$LIGHTNING_NEURO_DATA`, else `./data`.
        cache_dir: as for `SpeechDataModule`; None means `<root>/spoken_letters`.
        sound_seed: of rates, pitches and noise; `seed` is that of the split and of the order of training.
        **options: as for `SpeechDataModule` and `FolderDataModule`.

    Raises:
        DataNotFoundError: espeak-ng is not installed, and the spikes are not in the cache.
        ValueError: an option is out of range.

    >>> data = SpokenLettersData("digits", takes=2)
    >>> data.num_classes, len(data.utterances(train=True)), len(data.utterances(train=False))
    (10, 160, 160)
    """

    def __init__(
        self,
        vocabulary: Literal["letters", "digits"] = "letters",
        *,
        takes: int = 5,
        test_on: Literal["takes", "voices"] = "takes",
        root: str | os.PathLike[str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        sound_seed: int = 0,
        **options: Any,
    ) -> None:
        owner = "SpokenLettersData"
        checks.choice(owner, "vocabulary", vocabulary, CLASS_NAMES)
        checks.choice(owner, "test_on", test_on, ("takes", "voices"))
        super().__init__(root=root, cache_dir=cache_dir, **options)
        self.vocabulary = vocabulary
        self.test_on = test_on
        self.takes = checks.integer(owner, "takes", takes, at_least=2 if test_on == "takes" else 1)
        self.sound_seed = checks.integer(owner, "sound_seed", sound_seed, at_least=0)

    @property
    def title(self) -> str:
        """The data set's name."""
        return f"{self.vocabulary} spoken by espeak-ng"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The letters or the digits."""
        return CLASS_NAMES[self.vocabulary]

    @property
    def cache_folder(self) -> Path:
        """Folder of the files that keep the spikes."""
        return super().cache_folder or data_root(self.root) / "spoken_letters"

    def utterances(self, *, train: bool) -> list[tuple[Utterance, int]]:
        """What is said in the training or test part, and its class."""
        said = []
        for v, voice in enumerate(VOICES):
            for label, word in enumerate(self.class_names):
                said += [
                    (self._utterance(word, voice, [v, label, take]), label)
                    for take in range(self.takes)
                    if self._in_test(v, take) != train
                ]
        return said

    def clips(self, *, train: bool) -> tuple[Iterable[Tensor], list[int]]:
        """Let the program speak."""
        said = self.utterances(train=train)
        program_version("SpokenLettersData")  # before any work: is it there?
        sounds = (speak("SpokenLettersData", utterance, SAMPLE_RATE) for utterance, _ in said)
        return sounds, [label for _, label in said]

    def fingerprint(self, *, train: bool) -> str | None:
        """Version of the program; None without it: then what is in the cache is taken as it is."""
        try:
            return program_version("SpokenLettersData")
        except DataNotFoundError:
            return None

    def sound_options(self) -> dict[str, Any]:
        """The options that decide what is said, and how."""
        names = ("vocabulary", "takes", "test_on", "sound_seed")
        return {name: getattr(self, name) for name in names} | {"voices": VOICES}

    def _in_test(self, voice: int, take: int) -> bool:
        return take == self.takes - 1 if self.test_on == "takes" else voice >= len(VOICES) - TEST_VOICES

    def _utterance(self, word: str, voice: str, place: list[int]) -> Utterance:
        """How a take is said follows from the seed and its place alone, so that more takes leave the others as is."""
        chance = np.random.default_rng([self.sound_seed, *place])
        return Utterance(
            word,
            voice,
            rate=int(chance.integers(120, 201)),
            pitch=int(chance.integers(25, 76)),
            noise=float(chance.uniform(20, 35)),
            seed=int(chance.integers(2**31)),
        )
