"""Series of numbers of different lengths, brought to one scale and one length a batch at a time."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset


class PaddedSeries(NamedTuple):
    """Values `(T, B, D)` in float32, 0 behind a series' end, and lengths `(B,)` in int64.

    Args:
        values: `(T, B, D)`.
        lengths: `(B,)`.

    >>> padded = PaddedSeries(torch.zeros(5, 2, 3), torch.tensor([5, 4]))
    >>> padded.lengths.tolist()
    [5, 4]
    """

    values: Tensor
    lengths: Tensor


def resampled(series: NDArray[np.floating[Any]], num_steps: int) -> NDArray[np.float32]:
    """Series of another length, by linear interpolation between the first step and the last.

    Args:
        series: `(T, D)`.
        num_steps: the length wanted.

    >>> resampled(np.array([[0.0], [1.0], [4.0]]), 5).ravel()
    array([0. , 0.5, 1. , 2.5, 4. ], dtype=float32)
    """
    length = len(series)
    places = np.linspace(0, length - 1, num_steps)
    channels = [np.interp(places, np.arange(length), channel) for channel in series.T]
    return np.stack(channels, axis=1).astype(np.float32)


class LabelledSeries(Dataset[tuple[Tensor, Tensor]]):
    """Data set of series `(T_n, D)` in float32 and of labels in int64.

    A value x becomes `(x - shift) / spread`, each `(D,)` or `(1,)`; attributes to set when the scale is known.

    Args:
        series: one array `(T_n, D)` per sample.
        labels: `(N,)`.
        num_steps: bring all series to this length by `resampled`; batches are then plain tensors `(T, B, D)`.
            Otherwise they are `PaddedSeries`.

    >>> series = LabelledSeries([np.array([[1.0], [2.0]]), np.array([[3.0]])], torch.tensor([0, 1]))
    >>> (values, lengths), labels = series.batch([0, 1])
    >>> values[:, :, 0].tolist(), lengths.tolist(), labels.tolist()
    ([[1.0, 3.0], [2.0, 0.0]], [2, 1], [0, 1])
    """

    def __init__(
        self, series: Sequence[NDArray[np.floating[Any]]], labels: Tensor, *, num_steps: int | None = None
    ) -> None:
        self.series = series
        self.labels = labels
        self.num_steps = num_steps
        self.shift: NDArray[np.float32] = np.zeros(1, np.float32)
        self.spread: NDArray[np.float32] = np.ones(1, np.float32)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(self._ready(index)), self.labels[index]

    def take(self, indices: Tensor) -> "LabelledSeries":
        """The samples at `indices`; the series are shared, not copied."""
        chosen = [self.series[index] for index in indices.tolist()]
        part = LabelledSeries(chosen, self.labels[indices], num_steps=self.num_steps)
        part.shift, part.spread = self.shift, self.spread
        return part

    def batch(self, indices: Sequence[int]) -> tuple[Tensor | PaddedSeries, Tensor]:
        """Series, time first, and labels `(B,)` at the given places."""
        labels = self.labels[torch.as_tensor(indices, dtype=torch.long)]
        series = [torch.from_numpy(self._ready(index)) for index in indices]
        values = torch.nn.utils.rnn.pad_sequence(series)
        if self.num_steps is not None:
            return values, labels
        return PaddedSeries(values, torch.tensor([len(one) for one in series])), labels

    def mean_and_std(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and std `(D,)` over all steps of all series, before scaling and resampling."""
        steps = np.concatenate(self.series).astype(np.float64)
        return steps.mean(0).astype(np.float32), steps.std(0).astype(np.float32)

    def _ready(self, index: int) -> NDArray[np.float32]:
        scaled = ((self.series[index] - self.shift) / self.spread).astype(np.float32)
        return scaled if self.num_steps is None else resampled(scaled, self.num_steps)
