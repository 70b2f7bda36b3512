"""Inputs and targets that a whole population is judged by: all of the data, a minibatch, or the Trainer's batch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

OWNER = "SupervisedEvaluator"
Pair = tuple[Tensor, Tensor]


class LabelledSamples:
    """Gives out samples, time first where there is time.

    Args:
        data: tensors (inputs, targets), a dataset of such pairs, or None for the Trainer's batch.
        batch_size: samples of a minibatch; None: all.

    Raises:
        TypeError: data is something else, or a stream without length.

    >>> samples = LabelledSamples((torch.arange(6.0)[:, None], torch.arange(6)), batch_size=2)
    >>> inputs, targets = samples.draw(None, 0, torch.Generator().manual_seed(0))
    >>> inputs.shape, bool((inputs[:, 0] == targets).all())
    (torch.Size([2, 1]), True)
    """

    def __init__(self, data: Any, batch_size: int | None) -> None:
        if isinstance(data, Dataset) and not hasattr(data, "__len__"):
            raise TypeError(f"{OWNER}: data must have a length, got {type(data).__name__}, a stream.")
        self._data = data if data is None or isinstance(data, Dataset) else _pair("data", data)
        self._batch_size = batch_size
        self._whole: Pair | None = None

    def draw(self, batch: Any, samples_dim: int, generator: torch.Generator) -> Pair:
        """Return inputs and targets.

        Args:
            batch: the Trainer's, from a loader; it goes before the data given here. None where there is no loader.
            samples_dim: where inputs count samples: 0, or 1 behind time.
            generator: draws the minibatch, without replacement.

        Raises:
            TypeError: there is no data, or its items are no pairs.
            ValueError: inputs and targets are not equally many.
        """
        if batch is not None or self._data is None:
            return _checked(_pair("the Trainer's batch", batch), samples_dim)
        if self._batch_size is None:
            return self._all(samples_dim)
        if isinstance(self._data, Dataset):
            rows = torch.randperm(len(self._data), generator=generator)[: self._batch_size]  # type: ignore[arg-type]
            return _collated(self._data, rows.tolist(), samples_dim)
        inputs, targets = self._all(samples_dim)
        rows = torch.randperm(len(targets), generator=generator)[: self._batch_size]
        return inputs.index_select(samples_dim, rows.to(inputs.device)), targets[rows.to(targets.device)]

    def _all(self, samples_dim: int) -> Pair:
        if isinstance(self._data, tuple):
            return _checked(self._data, samples_dim)
        if self._whole is None:
            self._whole = _collated(self._data, range(len(self._data)), samples_dim)  # type: ignore[arg-type]
        return self._whole


def some_samples(inputs: Tensor, samples_dim: int, count: int, generator: torch.Generator) -> Tensor:
    """Return at most `count` of the inputs, in their order; drawn, since data may be sorted."""
    if count >= inputs.shape[samples_dim]:
        return inputs
    rows = torch.randperm(inputs.shape[samples_dim], generator=generator)[:count].sort().values
    return inputs.index_select(samples_dim, rows.to(inputs.device))


def _pair(name: str, data: Any) -> Pair:
    if isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data):
        return data[0], data[1]
    hint = " Give data, or a dataloader to the Trainer." if data is None else ""
    raise TypeError(f"{OWNER}: {name} must be two tensors, inputs and targets, got {type(data).__name__}.{hint}")


def _checked(pair: Pair, samples_dim: int) -> Pair:
    inputs, targets = pair
    if inputs.ndim <= samples_dim or not targets.ndim or inputs.shape[samples_dim] != len(targets):
        expected = "(T, B, *obs)" if samples_dim else "(B, *obs)"
        raise ValueError(
            f"{OWNER}: inputs {expected} and targets (B, ...) must be of equally many samples, got "
            f"{tuple(inputs.shape)} and {tuple(targets.shape)}."
        )
    return pair


def _collated(data: Any, rows: Sequence[int], samples_dim: int) -> Pair:
    inputs, targets = _pair("the dataset's items, stacked,", default_collate([data[row] for row in rows]))
    return _checked((inputs.movedim(0, samples_dim), targets), samples_dim)
