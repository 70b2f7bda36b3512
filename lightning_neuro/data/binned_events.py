"""Lists of events kept as whole numbers and turned into dense spike trains a batch at a time."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.utils.data import Dataset

Events = tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]


def microseconds(seconds: ArrayLike) -> NDArray[np.int64]:
    """Round times in seconds to whole microseconds.

    Whole numbers fall on the right side of a bin's border; quotients of floating-point seconds do not: 0.29 s is in
    bin 29 of 10 ms, but 0.29 / 0.01 rounds down to 28.

    >>> microseconds([0.0, 0.29])
    array([     0, 290000])
    """
    return np.rint(np.asarray(seconds, dtype=np.float64) * 1e6).astype(np.int64)


def bin_events(
    times: NDArray[np.integer[Any]],
    channels: NDArray[np.integer[Any]],
    *,
    num_steps: int,
    duration: int,
    num_channels: int,
) -> tuple[NDArray[np.int64], int]:
    r"""Places of the spikes in a raster of steps and channels.

    An event at time $t$ falls into step $\lfloor t\,T / d \rfloor$: a border belongs to the later step. Several events
    in one place become one spike; events at $d$ and later are dropped.

    Args:
        times: since the recording began, `(E,)`, in any order.
        channels: `(E,)`, each below `num_channels`.
        num_steps: T.
        duration: d, the length of all steps together, in the unit of the times.
        num_channels: M.

    Returns:
        Sorted places `step * M + channel` without repetition, and the number of events dropped.

    Raises:
        ValueError: times or channels are negative, not whole numbers or not as many, or a channel is too high.

    >>> places, dropped = bin_events(
    ...     np.array([0, 9, 10, 10, 30]), np.array([1, 1, 0, 1, 0]), num_steps=3, duration=30, num_channels=2)
    >>> places, dropped
    (array([1, 2, 3]), 1)
    """
    _check_events(times, channels, num_channels)
    steps = times.astype(np.int64) * num_steps // duration
    inside = steps < num_steps
    places = np.unique(steps[inside] * num_channels + channels[inside].astype(np.int64))
    return places, int(len(times) - inside.sum())


class BinnedEvents(Dataset[tuple[Tensor, Tensor]]):
    """Data set of spike trains `(T, *shape)` in bool and of labels in int64, kept as places of spikes.

    Args:
        places: one array per sample: sorted `step * M + channel`, without repetition.
        labels: int64 `(N,)`.
        num_steps: T.
        shape: of a step; M is the product of its sizes.
        num_events: how many events the files held.
        num_dropped: how many of them lay beyond the last step.

    >>> events = [(np.array([0, 10]), np.array([1, 0])), (np.array([19, 40]), np.array([1, 1]))]
    >>> trains = BinnedEvents.from_events(events, [0, 1], num_steps=2, duration=20, shape=(2,))
    >>> spikes, labels = trains.batch([0, 1])
    >>> spikes.int().tolist(), labels.tolist(), trains.num_dropped
    ([[[0, 1], [0, 0]], [[1, 0], [0, 1]]], [0, 1], 1)
    """

    def __init__(
        self,
        places: Sequence[NDArray[np.integer[Any]]],
        labels: Tensor,
        *,
        num_steps: int,
        shape: tuple[int, ...],
        num_events: int = 0,
        num_dropped: int = 0,
    ) -> None:
        self.places = places
        self.labels = labels
        self.num_steps = num_steps
        self.shape = shape
        self.num_events = num_events
        self.num_dropped = num_dropped

    @classmethod
    def from_events(
        cls, events: Iterable[Events], labels: ArrayLike, *, num_steps: int, duration: int, shape: tuple[int, ...]
    ) -> "BinnedEvents":
        """Bin lists of events, one `(times, channels)` at a time, as by `bin_events`.

        Args:
            events: one pair per sample; may be a generator, so that a large data set need not fit into memory.
            labels: one whole number per sample.
            num_steps: T.
            duration: of all steps together, in the unit of the times. Events that are in steps already have
                `duration=num_steps`.
            shape: of a step; a channel numbers its elements in row-major order.

        Raises:
            ValueError: events are invalid, or not as many as labels.
        """
        num_channels = int(np.prod(shape))
        smallest = np.min_scalar_type(num_steps * num_channels)  # 4 bytes per spike, 2 in small rasters
        places, total, lost = [], 0, 0
        for times, channels in events:
            found, dropped = bin_events(
                times, channels, num_steps=num_steps, duration=duration, num_channels=num_channels
            )
            places.append(found.astype(smallest))
            total, lost = total + len(times), lost + dropped
        targets = torch.as_tensor(np.asarray(labels, dtype=np.int64))
        if targets.shape != (len(places),):
            raise ValueError(
                f"BinnedEvents: labels must be one per sample, {len(places)} in all, got shape {tuple(targets.shape)}."
            )
        return cls(places, targets, num_steps=num_steps, shape=shape, num_events=total, num_dropped=lost)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        spikes, labels = self.batch([index])
        return spikes[:, 0], labels[0]

    def take(self, indices: Tensor) -> "BinnedEvents":
        """The samples at `indices`; the spikes are shared, not copied. The counts of events stay those of the files."""
        return BinnedEvents(
            [self.places[index] for index in indices.tolist()],
            self.labels[indices],
            num_steps=self.num_steps,
            shape=self.shape,
            num_events=self.num_events,
            num_dropped=self.num_dropped,
        )

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Spikes `(T, B, *shape)`, time first, and labels `(B,)` at the given places."""
        num_channels, size = int(np.prod(self.shape)), len(indices)
        spikes = torch.zeros(self.num_steps, size, num_channels, dtype=torch.bool)
        for column, index in enumerate(indices):
            steps, channels = np.divmod(self.places[index].astype(np.int64), num_channels)
            spikes[torch.from_numpy(steps), column, torch.from_numpy(channels)] = True
        return spikes.view(self.num_steps, size, *self.shape), self.labels[torch.as_tensor(indices, dtype=torch.long)]


def _check_events(times: NDArray[Any], channels: NDArray[Any], num_channels: int) -> None:
    for name, values in (("times", times), ("channels", channels)):
        if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
            raise ValueError(f"bin_events: {name} must be whole numbers (E,), got {values.dtype} {values.shape}.")
        if len(values) and values.min() < 0:
            raise ValueError(f"bin_events: {name} must be at least 0, got {values.min()}.")
    if len(times) != len(channels):
        raise ValueError(f"bin_events: expected as many channels as times ({len(times)}), got {len(channels)}.")
    if len(channels) and channels.max() >= num_channels:
        raise ValueError(f"bin_events: channels must be below {num_channels}, got {channels.max()}.")
