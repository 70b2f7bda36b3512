"""Series of inputs and outputs: what a border is, where a gap is, which steps have the neighbours they need.

A row of inputs with a NaN is a gap: nothing may reach across it. A row of outputs with a NaN is a missing target, and
so is a weight of 0: the inputs of that step still serve as somebody's neighbour. Padding is cut away by `lengths`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Steps: TypeAlias = npt.NDArray[np.int64]
SeriesLike: TypeAlias = Any
"""Array `(T, D)`, array `(B, T, D)`, or a list of arrays `(T_b, D)`."""
LARGEST = 1e50
"""A number beyond this has exploded; moments multiply up to five of them, which must not overflow."""


@dataclass(frozen=True)
class Series:
    """One stretch of time: inputs `x` `(T, Dx)`, outputs `y` `(T, Dy)`, `weights` `(T,)` or None for all 1."""

    x: Array
    y: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def part(self, start: int, stop: int) -> "Series":
        """Return steps `start` to `stop` as views."""
        weights = None if self.weights is None else self.weights[start:stop]
        return Series(self.x[start:stop], self.y[start:stop], weights)


def arrays(owner: str, name: str, values: SeriesLike, *, width: int | None = None) -> list[Array]:
    """Return a list of float64 arrays `(T, D)` with one common D.

    Args:
        owner: who asks; opens the message.
        name: the argument's name.
        values: array `(T, D)` or `(B, T, D)`, or a list of arrays `(T_b, D)`.
        width: the D to insist on.

    Raises:
        TypeError: an entry is not made of real numbers.
        ValueError: there is none, one has other than two axes or no column, or the widths differ.

    >>> [len(x) for x in arrays("SpectralRNN", "x", np.zeros((2, 5, 3)))]
    [5, 5]
    """
    single = isinstance(values, np.ndarray) and values.ndim != 3
    found = [_matrix(owner, name, entry) for entry in ([values] if single else values)]
    if not found:
        raise ValueError(f"{owner}: {name} must hold at least one series, got none.")
    expected = found[0].shape[1] if width is None else width
    for place, array in enumerate(found):
        if array.shape[1] != expected:
            raise ValueError(f"{owner}: {name}[{place}] must have {expected} columns, got {array.shape[1]}.")
    return found


def _matrix(owner: str, name: str, entry: Any) -> Array:
    try:
        matrix = np.asarray(entry)
        if np.iscomplexobj(matrix):
            raise TypeError("complex")
        matrix = matrix.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{owner}: {name} must hold arrays of real numbers, got {type(entry).__name__}.") from error
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ValueError(
            f"{owner}: each series of {name} must be (time steps, columns), got shape {matrix.shape}. "
            "Give one column as x[:, None] and one series as x[None]."
        )
    return matrix


def as_series(
    owner: str,
    x: SeriesLike,
    y: SeriesLike,
    *,
    weights: Any = None,
    lengths: Sequence[int] | None = None,
    warmup: int = 0,
) -> list[Series]:
    """Pair inputs with outputs, cut padding, and give the first `warmup` steps of each series no weight.

    Args:
        owner: who asks; opens the messages.
        x: inputs `(T, Dx)`, `(B, T, Dx)` or a list.
        y: outputs, of the same form with Dy columns.
        weights: `(T,)`, `(B, T)` or a list, at least 0; None for 1 everywhere.
        lengths: steps of each series that are data and not padding.
        warmup: leading steps whose outputs are not learned from; their inputs still serve as lags.

    Raises:
        TypeError: an entry is not made of real numbers.
        ValueError: numbers of series, steps or columns do not fit together, or a weight is negative or not finite.

    >>> series = as_series("SpectralRNN", np.zeros((2, 5, 3)), np.zeros((2, 5, 1)), lengths=[5, 4], warmup=2)
    >>> [len(s) for s in series], series[1].weights
    ([5, 4], array([0., 0., 1., 1.]))
    """
    inputs, outputs = arrays(owner, "x", x), arrays(owner, "y", y)
    single = isinstance(x, np.ndarray) and x.ndim == 2
    given = None if weights is None else [np.asarray(w, np.float64) for w in ([weights] if single else weights)]
    for name, values in (("y", outputs), ("weights", given), ("lengths", lengths)):
        if values is not None and len(values) != len(inputs):
            raise ValueError(f"{owner}: {name} must hold {len(inputs)} series as x does, got {len(values)}.")
    series = []
    for place, (one, other) in enumerate(zip(inputs, outputs, strict=True)):
        weight = None if given is None else given[place]
        _check_steps(owner, place, one, other, weight)
        length = len(one) if lengths is None else lengths[place]
        if not 0 <= length <= len(one):
            raise ValueError(f"{owner}: lengths[{place}] must be 0 to {len(one)}, got {length}.")
        series.append(Series(one, other, _without_warmup(weight, len(one), warmup)).part(0, length))
    return series


def _check_steps(owner: str, place: int, x: Array, y: Array, weights: Array | None) -> None:
    if len(x) != len(y):
        raise ValueError(f"{owner}: y[{place}] must have {len(x)} steps as x[{place}] does, got {len(y)}.")
    if weights is None:
        return
    if weights.shape != (len(x),):
        raise ValueError(f"{owner}: weights[{place}] must have shape ({len(x)},), got {weights.shape}.")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(f"{owner}: weights[{place}] must be finite and at least 0, got {weights.min()} the least.")


def _without_warmup(weights: Array | None, length: int, warmup: int) -> Array | None:
    if warmup == 0:
        return weights
    kept = np.ones(length) if weights is None else weights.copy()
    kept[:warmup] = 0
    return kept


def drop_exploded(series: Sequence[Series]) -> tuple[list[Series], int]:
    """Return the series without a number that is infinite or beyond 1e50, and how many were dropped.

    A recurrence that exploded spoils every later step of its series; a NaN alone is only a missing step.

    >>> sound, blown = np.zeros((3, 1)), np.array([[0.0], [np.inf], [np.nan]])
    >>> kept, dropped = drop_exploded([Series(sound, sound), Series(sound, blown)])
    >>> len(kept), dropped
    (1, 1)
    """
    kept = [one for one in series if not (_explodes(one.x) or _explodes(one.y))]
    return kept, len(series) - len(kept)


def all_finite(x: Array) -> bool:
    """Return whether no entry is NaN or infinite; the sum of squares tells, fast, unless it overflows.

    >>> all_finite(np.array([1e308, 1e308])), all_finite(np.array([np.inf, -np.inf]))
    (True, False)
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.vdot(x, x))) or bool(np.isfinite(x).all())


def _explodes(x: Array) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return not np.vdot(x, x) <= LARGEST and bool((np.abs(x) > LARGEST).any())


def too_few(inputs: Sequence[Array], needed: int) -> str:
    """Return what to do where too few steps have their neighbours: series are short, or gaps cut them up.

    Args:
        inputs: series `(T_i, Dx)`.
        needed: adjacent finite steps that one usable step takes.

    >>> too_few([np.array([[1.0], [np.nan], [2.0], [np.nan]])], 2)
    'Rows of x with a NaN (2 of 4) cut the series up; fill them in, or give fewer gaps.'
    >>> too_few([np.ones((1, 1))], 2)
    'Give longer series: a usable step takes 2 adjacent ones.'
    """
    missing = sum(int((~np.isfinite(x).all(axis=1)).sum()) for x in inputs)
    if missing and any(len(x) >= needed for x in inputs):
        total = sum(map(len, inputs))
        return f"Rows of x with a NaN ({missing} of {total}) cut the series up; fill them in, or give fewer gaps."
    return f"Give longer series: a usable step takes {needed} adjacent ones."


def rows_at(values: Array, steps: Steps, shift: int = 0) -> Array:
    """Return the rows `steps + shift`: a view where the steps are adjacent, else a copy.

    >>> rows_at(np.arange(10.0), np.array([3, 4]), -2)
    array([1., 2.])
    """
    if len(steps) and steps[-1] - steps[0] == len(steps) - 1:
        return values[steps[0] + shift : steps[-1] + shift + 1]
    return values[steps + shift]


def usable_steps(x: Array, before: int, after: int) -> Steps:
    """Return the steps t whose rows `t - before` to `t + after` all exist and are finite.

    >>> usable_steps(np.array([[0.0], [1.0], [2.0], [np.nan], [4.0], [5.0]]), before=1, after=0)
    array([1, 2, 5])
    """
    candidates = np.arange(before, len(x) - after)
    if all_finite(x) or len(candidates) == 0:
        return candidates
    broken = np.concatenate([[0], np.cumsum(~np.isfinite(x).all(axis=1))])
    return candidates[broken[candidates + after + 1] == broken[candidates - before]]


def blocks(series: Series, size: int, before: int, after: int) -> Iterator[Series]:
    """Cut a series into overlapping parts in which every step with its neighbours is usable exactly once.

    >>> series = Series(np.zeros((10, 1)), np.zeros((10, 1)))
    >>> [len(part) for part in blocks(series, size=4, before=2, after=0)]
    [6, 6]
    """
    for start in range(0, len(series) - before - after, size):
        yield series.part(start, start + size + before + after)
