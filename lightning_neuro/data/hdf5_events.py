"""Reader of lists of events in HDF5 files, which are opened with h5py, without trust in what they hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_neuro.data.binned_events import Events, microseconds
from lightning_neuro.data.errors import bad_format

LONGEST = 1e6  # seconds; whatever says more does not hold seconds


@contextmanager
def open_hdf5(owner: str, file: Path) -> Iterator[Any]:
    """Open an HDF5 file for reading.

    Args:
        owner: who asks; opens the message if h5py is missing.
        file: to open.

    Raises:
        DataFormatError: the file is no HDF5 file, or turns out to be damaged while it is read.
        ModuleNotFoundError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ModuleNotFoundError(
            f"{owner}: {file.name} is read with h5py, which is not installed. "
            "Install it with: pip install lightning-neuro[data]"
        ) from error
    try:
        with h5py.File(file, "r") as handle:
            yield handle
    except (OSError, RuntimeError) as error:  # h5py raises both for damaged files
        raise bad_format(file, "HDF5 structure", "complete and intact", error) from error


def table(handle: Any, name: str, file: Path) -> Any:
    """HDF5 data set of the given name.

    Raises:
        DataFormatError: there is nothing of that name, or a group.
    """
    found = handle.get(name)
    if not hasattr(found, "dtype"):
        raise bad_format(file, name, "a data set", "nothing" if found is None else "a group")
    return found


def class_labels(handle: Any, name: str, file: Path, num_classes: int) -> NDArray[np.integer[Any]]:
    """Labels `(N,)` below `num_classes`.

    Raises:
        DataFormatError: they are not there, or not what they should be.
    """
    labels = np.asarray(table(handle, name, file)[()])
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise bad_format(file, name, "whole numbers (N,)", f"{labels.dtype} {labels.shape}")
    if not len(labels):
        raise bad_format(file, f"number of {name}", "at least 1", 0)
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if len(wrong):
        raise bad_format(file, name, f"from 0 to {num_classes - 1}", wrong[0])
    return labels


def timed_events(seconds: Any, channels: Any, *, file: Path, where: str, num_channels: int) -> Events:
    """Events of one recording: times in whole microseconds and channels.

    Args:
        seconds: times as the file holds them.
        channels: likewise.
        file: for messages.
        where: which recording, for messages.
        num_channels: above every channel.

    Raises:
        DataFormatError: they are of the wrong type, size or range.
    """
    times, places = np.asarray(seconds), np.asarray(channels)
    if times.ndim != 1 or times.dtype.kind not in "iuf":
        raise bad_format(file, f"times of {where}", "numbers (E,)", f"{times.dtype} {times.shape}")
    if places.ndim != 1 or places.dtype.kind not in "iu":
        raise bad_format(file, f"channels of {where}", "whole numbers (E,)", f"{places.dtype} {places.shape}")
    if len(times) != len(places):
        raise bad_format(file, f"number of channels of {where}", f"{len(times)} as of times", len(places))
    times = times.astype(np.float64)  # half precision, in which some files store them, ends at 65504
    outside = times[~((times >= 0) & (times < LONGEST))]
    if len(outside):
        raise bad_format(file, f"times of {where}", f"from 0 to {LONGEST:g} s", outside[0])
    foreign = places[(places < 0) | (places >= num_channels)]
    if len(foreign):
        raise bad_format(file, f"channels of {where}", f"from 0 to {num_channels - 1}", foreign[0])
    return microseconds(times), places
