"""From batches of a data loader to the series that spectral learning reads."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from lightning_neuro.spectral_rnn.series import Array, Series

IGNORED_LABEL = -100
Unpacked: TypeAlias = tuple[Tensor, Tensor, Tensor | None]
Unpack: TypeAlias = Callable[[Any], Unpacked]


def unpack_batch(batch: Any) -> Unpacked:
    """Return inputs `(B, T, Dx)`, targets and lengths `(B,)` or None of a batch `(x, y)` or `(x, y, lengths)`.

    Raises:
        TypeError: the batch has another form.

    >>> x, y, lengths = unpack_batch((torch.zeros(2, 5, 3), torch.zeros(2, 5, 1)))
    >>> x.shape, lengths is None
    (torch.Size([2, 5, 3]), True)
    """
    if isinstance(batch, Sequence) and len(batch) in (2, 3) and isinstance(batch[0], Tensor) and batch[0].ndim == 3:
        return batch[0], batch[1], batch[2] if len(batch) == 3 else None
    raise TypeError(
        "spectral learning: expected batches (x (B, T, Dx), y) or (x, y, lengths (B,)), got "
        f"{type(batch).__name__}. Give `unpack`, a function that makes this of a batch."
    )


def as_outputs(y: Tensor, outputs: int) -> Tensor:
    """Return targets `(B, T, Dy)`: numbers as they are, class labels `(B, T)` one-hot, NaN where the label is -100.

    Args:
        y: targets.
        outputs: width Dy.

    Raises:
        ValueError: neither form fits the width.

    >>> as_outputs(torch.tensor([[1, -100]]), 2).tolist()
    [[[0.0, 1.0], [nan, nan]]]
    """
    if y.ndim == 3 and y.shape[2] == outputs:
        return y.double()
    if y.ndim == 2 and not y.is_floating_point():
        ignored = y == IGNORED_LABEL
        known = y.masked_fill(ignored, 0)
        if not 0 <= int(known.min()) <= int(known.max()) < outputs:
            raise ValueError(
                f"spectral learning: labels must be 0 to {outputs - 1} or {IGNORED_LABEL}, got {int(known.min())} to "
                f"{int(known.max())}."
            )
        return torch.nn.functional.one_hot(known.long(), outputs).double().masked_fill(ignored.unsqueeze(-1), torch.nan)
    raise ValueError(
        f"spectral learning: expected targets (B, T, {outputs}) or labels (B, T) in whole numbers, got shape "
        f"{tuple(y.shape)} of {y.dtype}."
    )


class LoaderSeries:
    """Series of a data loader, which is iterated over anew at each pass; small data are kept after the first.

    Args:
        loader: must be iterable again and again.
        unpack: makes `(x, y, lengths)` of a batch.
        outputs: width of the outputs.
        max_batches: read no more than these; None for all.
        keep_bytes: keep up to so much in memory.

    Raises:
        TypeError: the loader ends after one pass.

    >>> loader = [(torch.ones(2, 3, 1), torch.ones(2, 3, 1), torch.tensor([3, 1]))]
    >>> [len(series) for series in LoaderSeries(loader, unpack_batch, 1)]
    [3, 1]
    """

    def __init__(
        self,
        loader: Iterable[Any],
        unpack: Unpack,
        outputs: int,
        max_batches: int | None = None,
        keep_bytes: int = 2**29,
    ) -> None:
        if isinstance(loader, Iterator):
            raise TypeError(
                f"spectral learning: the data must be iterable again and again, got {type(loader).__name__}, which "
                "ends after one pass. Give a DataLoader over a Dataset."
            )
        self.loader, self.unpack, self.outputs = loader, unpack, outputs
        self.max_batches, self.keep_bytes = max_batches, keep_bytes
        self._kept: list[Series] | None = None
        self._found: int | None = None

    def __iter__(self) -> Iterator[Series]:
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Series] | None = []
        size, found = 0, 0
        # Every pass is made in the same order, and none changes the order in which training will see the data.
        with torch.random.fork_rng(devices=[]), _Generators(self.loader):
            for batch in islice(self.loader, self.max_batches):
                for series in self._series(batch):
                    found += 1
                    size += series.x.nbytes + series.y.nbytes
                    if size > self.keep_bytes:
                        kept = None
                    if kept is not None:
                        kept.append(series)
                    yield series
        self._check_as_before(found)
        self._kept = kept

    def _check_as_before(self, found: int) -> None:
        if self._found not in (None, found):
            raise TypeError(
                f"spectral learning: the data must be the same in every pass, got {self._found} series in the first "
                f"and {found} in a later one. Give a DataLoader over a Dataset that can be read again and again."
            )
        self._found = found

    def _series(self, batch: Any) -> Iterator[Series]:
        x, y, lengths = self.unpack(batch)
        inputs, outputs = _numbers(x), _numbers(as_outputs(y, self.outputs))
        stops = [inputs.shape[1]] * len(inputs) if lengths is None else lengths.tolist()
        for one, other, stop in zip(inputs, outputs, stops, strict=True):
            yield Series(one[:stop], other[:stop])


class _Generators:
    """Puts generators that a loader holds itself back where they were."""

    def __init__(self, loader: Any) -> None:
        places = (loader, getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None))
        found = [getattr(place, "generator", None) for place in places]
        self.generators = [generator for generator in found if isinstance(generator, torch.Generator)]

    def __enter__(self) -> None:
        self.states = [generator.get_state() for generator in self.generators]

    def __exit__(self, *error: object) -> None:
        for generator, state in zip(self.generators, self.states, strict=True):
            generator.set_state(state)


def _numbers(tensor: Tensor) -> Array:
    return np.asarray(tensor.detach().cpu().double())
