"""How a pass over the data is made: in one go, or by workers whose sums are merged."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed

from lightning_neuro.spectral_rnn.series import Series, all_finite, drop_exploded

BATCH = 65_536
LONG = 4096
"""A stretch of so many steps is worth a call of its own; joining it with others would only copy it."""


class Mergeable(Protocol):
    """Sums that add up over parts of the data."""

    def merge(self, other: Self) -> None:
        """Add the sums of another part."""
        ...


S = TypeVar("S", bound=Mergeable)


class Passes(Protocol):
    """Data that can be read several times."""

    def run(self, work: Callable[[Iterable[Series]], S]) -> S:
        """Return the sums of `work` over all series."""
        ...


@dataclass(frozen=True)
class SerialPasses:
    """One process reads a source of series, which must give the same ones each time it is iterated over.

    >>> SerialPasses(iter([]))
    Traceback (most recent call last):
    TypeError: SerialPasses: source must be iterable again and again (a list, a data loader), got list_iterator, which \
ends after one pass.
    """

    source: Iterable[Series]

    def __post_init__(self) -> None:
        if iter(self.source) is self.source:
            raise TypeError(
                "SerialPasses: source must be iterable again and again (a list, a data loader), got "
                f"{type(self.source).__name__}, which ends after one pass."
            )

    def run(self, work: Callable[[Iterable[Series]], S]) -> S:
        """Return the sums of `work` over all series."""
        return work(self.source)


@dataclass(frozen=True)
class ParallelPasses:
    """Several threads take a share of the series each; the matrix products run side by side, the data are not copied.

    A `joblib.parallel_config(backend="loky")` around the call makes them processes.

    Args:
        source: all series.
        workers: number of threads.
    """

    source: Sequence[Series]
    workers: int

    def run(self, work: Callable[[Iterable[Series]], S]) -> S:
        """Return the sums of `work` over all series; equal to one process up to rounding."""
        shares = [self.source[start :: self.workers] for start in range(min(self.workers, len(self.source)))]
        found: list[Any] = Parallel(n_jobs=self.workers, prefer="threads")(delayed(work)(share) for share in shares)
        total: S = found[0]
        for other in found[1:]:
            total.merge(other)
        return total


@dataclass(frozen=True)
class ClippedPasses:
    """Passes over the same data with outputs cut.

    Args:
        passes: the data.
        low: least output `(Dy,)`.
        high: largest output `(Dy,)`.

    >>> one = Series(np.zeros((2, 1)), np.array([[0.5], [9.0]]))
    >>> class Found(list): merge = list.extend
    >>> ClippedPasses(SerialPasses([one]), np.zeros(1), np.ones(1)).run(Found)[0].y.ravel().tolist()
    [0.5, 1.0]
    """

    passes: Passes
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    def run(self, work: Callable[[Iterable[Series]], S]) -> S:
        """Return the sums of `work` over all series; one that exploded is passed on as it is, to be dropped."""
        return self.passes.run(partial(_clipped, work, self.low, self.high))


def _clipped(
    work: Callable[[Iterable[Series]], S],
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
    source: Iterable[Series],
) -> S:
    return work(
        Series(one.x, np.clip(one.y, low, high), one.weights) if drop_exploded([one])[0] else one for one in source
    )


def batches(source: Iterable[Series], steps: int = BATCH) -> Iterator[list[Series]]:
    """Yield lists of sound stretches of about `steps` steps: without infinite numbers, cut at gaps of the inputs.

    >>> x = np.array([[0.0], [np.nan], [2.0], [3.0]])
    >>> [[len(stretch) for stretch in batch] for batch in batches([Series(x, x), Series(x, x + np.inf)])]
    [[1, 2]]
    """
    yield from gathered((series for series in source if drop_exploded([series])[0]), steps)


def gathered(source: Iterable[Series], steps: int = BATCH) -> Iterator[list[Series]]:
    """Yield the same as `batches` for series that are known to be sound."""
    batch: list[Series] = []
    size = 0
    for series in source:
        for stretch in stretches(series):
            batch.append(stretch)
            size += len(stretch)
            if size >= steps:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def joined(batch: Sequence[Series]) -> Series:
    """Return one series with a missing step between any two, so that one call does for many.

    >>> one = Series(np.zeros((2, 1)), np.ones((2, 1)))
    >>> joined([one, one]).x.ravel().tolist()
    [0.0, 0.0, nan, 0.0, 0.0]
    """
    if len(batch) == 1:
        return batch[0]
    weighted = any(series.weights is not None for series in batch)
    xs, ys, weights = [], [], []
    for series in batch:
        xs += [series.x, np.full((1, series.x.shape[1]), np.nan)]
        ys += [series.y, np.full((1, series.y.shape[1]), np.nan)]
        if weighted:
            weights += [np.ones(len(series)) if series.weights is None else series.weights, np.zeros(1)]
    return Series(np.concatenate(xs[:-1]), np.concatenate(ys[:-1]), np.concatenate(weights[:-1]) if weighted else None)


def pieces(batch: Sequence[Series]) -> list[Series]:
    """Return a batch for sums over steps: long stretches as they are, all short ones joined to one.

    >>> short, long = (Series(np.zeros((size, 1)), np.ones((size, 1))) for size in (2, LONG))
    >>> [len(piece) for piece in pieces([short, long, short])]
    [4096, 5]
    """
    long = [series for series in batch if len(series) >= LONG]
    short = [series for series in batch if len(series) < LONG]
    return [*long, joined(short)] if short else long


def stretches(series: Series) -> list[Series]:
    """Cut a series at the steps whose inputs are missing.

    >>> x = np.array([[np.nan], [1.0], [np.nan], [3.0], [4.0]])
    >>> [part.x.ravel().tolist() for part in stretches(Series(x, x))]
    [[1.0], [3.0, 4.0]]
    """
    if all_finite(series.x):
        return [series]
    sound = np.isfinite(series.x).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], sound, [False]]).astype(np.int8)))
    return [series.part(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
