"""N-TIDIGITS: spoken digits as a silicon cochlea heard them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lightning_neuro.data.binned_events import BinnedEvents, Events
from lightning_neuro.data.errors import bad_format
from lightning_neuro.data.hdf5_events import open_hdf5, table, timed_events
from lightning_neuro.data.published import PublishedFiles, digest, warn_unless_published
from lightning_neuro.data.spike_trains import SpikeTrainDataModule

NAME = "n-tidigits.hdf5"
FILES = PublishedFiles(
    title="N-TIDIGITS",
    names=(NAME,),
    subfolders=("N-TIDIGITS", "NTIDIGITS18"),
    obtain=f"ask the Sensors Group, Zurich, for {NAME} (Anumula et al. 2018, doi 10.3389/fnins.2018.00023) and put it "
    "into one of these folders.",
    instead="JapaneseVowelsData, whose two text files are inside the package aeon.",
)
MD5 = "360a2d11e5429555c9197381cf6b58e0"
DIGITS = "o123456789z"
CHANNELS = 64
PUBLISHED_COUNTS = {True: 2475, False: 2474}


class NTidigitsData(SpikeTrainDataModule):
    """N-TIDIGITS: single spoken digits in 64 channels of a silicon cochlea, 11 classes ("oh", one to nine, "zero").

    Reads `n-tidigits.hdf5` from `<root>/N-TIDIGITS`, `<root>/NTIDIGITS18` or `<root>`: names of recordings in
    `{train,test}_labels`, times in seconds in `{train,test}_timestamps/<name>`, channels in
    `{train,test}_addresses/<name>`. The digits spoken stand behind the last hyphen of a name; recordings of several
    digits are left out. 2475 and 2474 recordings remain, as ST-RSBP's authors used them. Their length of a step is
    not known: 700 steps are theirs, 2 ms are ours.

    Checked on files made for tests only: the published one was not at hand. Nothing is downloaded.

    Args:
        root: folder of the data sets; None means `$LIGHTNING_NEURO_DATA`, else `./data`.
        num_steps: T.
        time_step: length of a step in seconds; neither this nor `duration` means 2 ms.
        duration: length of all steps together in seconds, instead of `time_step`.
        **options: as for `FolderDataModule`; `verify` compares the file's MD5 and the number of recordings.

    Raises:
        DataNotFoundError: the file is not there.
        DataFormatError: the file is damaged, or holds something else.
        ModuleNotFoundError: h5py is not installed.

    >>> NTidigitsData().num_features
    64
    """

    title = FILES.title
    class_names = tuple(DIGITS)
    step_shape = (CHANNELS,)

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        num_steps: int = 700,
        time_step: float | None = None,
        duration: float | None = None,
        **options: Any,
    ) -> None:
        if time_step is None and duration is None:
            time_step = 0.002
        super().__init__(root=root, num_steps=num_steps, time_step=time_step, duration=duration, **options)

    def prepare_data(self) -> None:
        """Check that the file is there."""
        FILES.folder("NTidigitsData", self.root)

    def read_samples(self, *, train: bool) -> BinnedEvents:
        """Read the official training or test recordings of single digits."""
        file = FILES.folder("NTidigitsData", self.root) / NAME
        part = "train" if train else "test"
        with open_hdf5("NTidigitsData", file) as handle:
            names = _single_digits(table(handle, f"{part}_labels", file)[()], file, part)
            labels = [DIGITS.index(name[-1]) for name in names]
            trains = self.binned(_events(handle, names, file, part), labels)
        if self.verify:
            warn_unless_published(
                "NTidigitsData", f"number of {part} recordings", [PUBLISHED_COUNTS[train]], len(trains)
            )
            warn_unless_published("NTidigitsData", f"MD5 of {file.name}", [MD5], digest(file, "md5"))
        return trains


def _single_digits(names: Any, file: Path, part: str) -> list[str]:
    names = np.asarray(names)
    if names.ndim != 1 or names.dtype.kind not in "OSU":
        raise bad_format(file, f"{part}_labels", "names (N,)", f"{names.dtype} {names.shape}")
    texts = [name.decode("latin-1") if isinstance(name, bytes) else str(name) for name in names.tolist()]
    for text in texts:
        spoken = text.rpartition("-")[2]
        if not spoken or set(spoken) - set(DIGITS):
            raise bad_format(file, f"{part}_labels", f"names that end in digits of {DIGITS}", repr(text))
    single = [text for text in texts if len(text.rpartition("-")[2]) == 1]
    if not single:
        raise bad_format(file, f"number of single digits in {part}_labels", "at least 1", 0)
    return single


def _events(handle: Any, names: Sequence[str], file: Path, part: str) -> Iterator[Events]:
    for name in names:
        seconds = table(handle, f"{part}_timestamps/{name}", file)[()]
        channels = table(handle, f"{part}_addresses/{name}", file)[()]
        yield timed_events(seconds, channels, file=file, where=name, num_channels=CHANNELS)
