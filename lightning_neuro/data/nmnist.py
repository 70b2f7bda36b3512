"""N-MNIST: handwritten digits as an event camera saw them."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from lightning_neuro.data.binned_events import BinnedEvents, Events
from lightning_neuro.data.errors import bad_format
from lightning_neuro.data.published import PublishedFiles, warn_unless_published
from lightning_neuro.data.spike_trains import SpikeTrainDataModule

FILES = PublishedFiles(
    title="N-MNIST",
    names=("Train", "Test"),
    subfolders=("N-MNIST", "NMNIST"),
    obtain="unpack Train.zip and Test.zip of https://www.garrickorchard.com/datasets/n-mnist into one of these "
    "folders.",
    instead="IdxImageData or DigitsData with a spike encoder.",
)
SIDE = 34
EVENT_BYTES = 5
PUBLISHED_COUNTS = {True: 60_000, False: 10_000}


class NMNISTData(SpikeTrainDataModule):
    """N-MNIST: digits seen by a moving event camera, 34x34 pixels of two polarities, 10 classes.

    Reads `{Train,Test}/<digit>/*.bin` from `<root>/N-MNIST`, `<root>/NMNIST` or `<root>`. The inputs of a step are
    numbered `polarity * 34 * 34 + y * 34 + x`; polarity 1 is ON, a brighter pixel.

    The format of the files is that of the authors' page; it was checked on files made for tests only, because the
    published ones were not at hand. Nothing is downloaded.

    Args:
        root: folder of the data sets; None means `$LIGHTNING_NEURO_DATA`, else `./data`.
        flatten: give steps of shape `(2312,)`; otherwise `(2, 34, 34)`.
        num_steps: T.
        time_step: length of a step in seconds; neither this nor `duration` means 1 ms.
        duration: length of all steps together in seconds, instead of `time_step`.
        **options: as for `FolderDataModule`; `verify` compares the number of recordings.

    Raises:
        DataNotFoundError: the folders are not there.
        DataFormatError: a file is damaged, or holds something else.

    >>> NMNISTData().num_features
    2312
    """

    title = FILES.title
    class_names = tuple("0123456789")

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        flatten: bool = True,
        num_steps: int = 300,
        time_step: float | None = None,
        duration: float | None = None,
        **options: Any,
    ) -> None:
        if time_step is None and duration is None:
            time_step = 0.001
        super().__init__(root=root, num_steps=num_steps, time_step=time_step, duration=duration, **options)
        self.flatten = flatten

    @property
    def step_shape(self) -> tuple[int, ...]:
        """Shape of a step of a sample."""
        return (2 * SIDE * SIDE,) if self.flatten else (2, SIDE, SIDE)

    def prepare_data(self) -> None:
        """Check that the folders are there."""
        FILES.folder("NMNISTData", self.root)

    def read_samples(self, *, train: bool) -> BinnedEvents:
        """Read the official training or test recordings, class by class, in the order of their names."""
        folder = FILES.folder("NMNISTData", self.root) / FILES.names[0 if train else 1]
        files = [(file, label) for label, name in enumerate(self.class_names) for file in _recordings(folder / name)]
        trains = self.binned((read_recording(file) for file, _ in files), [label for _, label in files])
        if self.verify:
            what = f"number of recordings in {folder.name}"
            warn_unless_published("NMNISTData", what, [PUBLISHED_COUNTS[train]], len(trains))
        return trains


def read_recording(file: Path) -> Events:
    """Times in microseconds and inputs `polarity * 34 * 34 + y * 34 + x` of one file.

    An event is five bytes: x, y, one bit of polarity (1 is ON), 23 bits of microseconds, the highest bit first.

    Raises:
        DataFormatError: the file is empty, ends within an event, or names a pixel outside 34x34.
    """
    content = file.read_bytes()
    if not content or len(content) % EVENT_BYTES:
        raise bad_format(file, "length", f"a positive multiple of {EVENT_BYTES} bytes", len(content))
    x, y, high, middle, low = np.frombuffer(content, np.uint8).reshape(-1, EVENT_BYTES).T.astype(np.int64)
    for name, values in (("x", x), ("y", y)):
        if values.max() >= SIDE:
            raise bad_format(file, name, f"from 0 to {SIDE - 1}", values.max())
    polarity, times = high >> 7, (high & 0x7F) << 16 | middle << 8 | low
    return times, (polarity * SIDE + y) * SIDE + x


def _recordings(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.bin"))
    if not files:
        raise bad_format(folder, "number of .bin files", "at least 1", 0)
    return files
