"""Spiking Heidelberg Digits and Spiking Speech Commands: speech as spikes of a model of the inner ear."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from lightning_neuro.common import checks
from lightning_neuro.data.binned_events import BinnedEvents, Events
from lightning_neuro.data.errors import bad_format
from lightning_neuro.data.hdf5_events import class_labels, open_hdf5, table, timed_events
from lightning_neuro.data.published import PublishedFiles, warn_unless_published
from lightning_neuro.data.spike_trains import SpikeTrainDataModule

CHANNELS = 700
PARTS = {"shd": ("train", "test"), "ssc": ("train", "valid", "test")}
TITLES = {"shd": "Spiking Heidelberg Digits", "ssc": "Spiking Speech Commands"}
FILES = {
    dataset: PublishedFiles(
        title=TITLES[dataset],
        names=tuple(f"{dataset}_{part}.h5" for part in parts),
        subfolders=(dataset.upper(), "hsd"),
        obtain="unpack the .h5 files of https://zenkelab.org/datasets/ into one of these folders.",
        instead="JapaneseVowelsData, whose two text files are inside the package aeon.",
    )
    for dataset, parts in PARTS.items()
}
ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fuenf", "sechs", "sieben", "acht", "neun")
CLASS_NAMES = {"shd": (*ENGLISH, *GERMAN), "ssc": tuple(f"word {label}" for label in range(35))}
# The authors' own pages give two pairs of counts for the digits.
PUBLISHED_COUNTS = {
    ("shd", "train"): (8156, 8332),
    ("shd", "test"): (2264, 2088),
    ("ssc", "train"): (75466,),
    ("ssc", "valid"): (9981,),
    ("ssc", "test"): (20382,),
}


class SHDData(SpikeTrainDataModule):
    """Spiking Heidelberg Digits (20 classes) or Spiking Speech Commands (35): 700 channels of a model of the inner ear.

    Reads `shd_{train,test}.h5` or `ssc_{train,valid,test}.h5` from `<root>/SHD`, `<root>/SSC`, `<root>/hsd` or
    `<root>`: times in seconds in `spikes/times`, channels in `spikes/units`, classes in `labels`.

    Checked on files made for tests only: the published ones were not at hand. That labels 0 to 9 are English and
    10 to 19 German digits is from memory; the files' own `extra/keys` decide. Nothing is downloaded.

    Args:
        dataset: "shd" or "ssc".
        root: folder of the data sets; None means `$LIGHTNING_NEURO_DATA`, else `./data`.
        pool: join this many neighbouring channels into one; a divisor of 700.
        num_steps: T.
        time_step: length of a step in seconds.
        duration: length of all steps together in seconds, instead of `time_step`; neither means 1.4 s.
        val_size: as for `LabelledDataModule`; None means the official validation part of the speech commands, and a
            tenth of the training part of the digits, which have none.
        **options: as for `FolderDataModule`; `verify` compares the number of recordings.

    Raises:
        DataNotFoundError: not all files are there.
        DataFormatError: a file is damaged, or holds something else.
        ModuleNotFoundError: h5py is not installed.
        ValueError: an option is out of range.

    >>> SHDData(pool=5).num_features
    140
    """

    def __init__(
        self,
        dataset: Literal["shd", "ssc"] = "shd",
        *,
        root: str | os.PathLike[str] | None = None,
        pool: int = 1,
        num_steps: int = 100,
        time_step: float | None = None,
        duration: float | None = None,
        val_size: int | float | None = None,
        **options: Any,
    ) -> None:
        checks.choice("SHDData", "dataset", dataset, list(PARTS))
        official = dataset == "ssc" and val_size is None
        carved = (0 if official else 0.1) if val_size is None else val_size
        if time_step is None and duration is None:
            duration = 1.4
        super().__init__(
            root=root, num_steps=num_steps, time_step=time_step, duration=duration, val_size=carved, **options
        )
        self.dataset = dataset
        self.pool = checks.integer("SHDData", "pool", pool, at_least=1)
        if CHANNELS % self.pool:
            raise ValueError(f"SHDData: pool must divide the {CHANNELS} channels, got {pool}. Take 2, 4, 5, 7 or 10.")
        self._official_validation = official

    @property
    def title(self) -> str:
        """The data set's usual name."""
        return TITLES[self.dataset]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label; those of the speech commands are in the files' `extra/keys` only."""
        return CLASS_NAMES[self.dataset]

    @property
    def step_shape(self) -> tuple[int, ...]:
        """Number of channels after pooling."""
        return (CHANNELS // self.pool,)

    def prepare_data(self) -> None:
        """Check that the files are there."""
        FILES[self.dataset].folder("SHDData", self.root)

    def read_samples(self, *, train: bool) -> BinnedEvents:
        """Read the official training or test recordings."""
        return self._read("train" if train else "test")

    def read_validation(self) -> BinnedEvents | None:
        """Read the official validation recordings of the speech commands, unless `val_size` asks for others."""
        return self._read("valid") if self._official_validation else None

    def _read(self, part: str) -> BinnedEvents:
        file = FILES[self.dataset].folder("SHDData", self.root) / f"{self.dataset}_{part}.h5"
        with open_hdf5("SHDData", file) as handle:
            labels = class_labels(handle, "labels", file, self.num_classes)
            trains = self.binned(_events(handle, file, len(labels), self.pool), labels)
        if self.verify:
            counts = PUBLISHED_COUNTS[self.dataset, part]
            warn_unless_published("SHDData", f"number of recordings in {file.name}", counts, len(trains))
        return trains


def _events(handle: Any, file: Path, count: int, pool: int) -> Iterator[Events]:
    seconds, channels = (table(handle, f"spikes/{name}", file) for name in ("times", "units"))
    for name, values in (("spikes/times", seconds), ("spikes/units", channels)):
        if values.shape[:1] != (count,):
            raise bad_format(file, f"length of {name}", f"{count} as of labels", values.shape)
    for index in range(count):
        times, units = timed_events(
            seconds[index], channels[index], file=file, where=f"recording {index}", num_channels=CHANNELS
        )
        yield times, units // pool
