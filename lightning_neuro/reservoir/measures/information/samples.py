"""Series as arrays `(B, T, N)`, their histories as rows of samples, and surrogates of these rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]

DISTINCT = 16  # at most so many values make a series discrete


def as_batch(owner: str, name: str, values: Any) -> AnyArray:
    """Return series as `(B, T, N)` of their own dtype.

    Args:
        owner: who asks; opens the message.
        name: the argument's name.
        values: array or tensor `(T,)`, `(T, N)` or `(B, T, N)` of real numbers.

    Raises:
        TypeError: `values` does not hold real numbers.
        ValueError: it has other axes, is empty, or a column holds NaN or infinity.

    >>> as_batch("entropy", "x", [1.0, 2.0, 3.0]).shape
    (1, 3, 1)
    >>> as_batch("entropy", "x", [[1.0, np.nan]])
    Traceback (most recent call last):
    ValueError: entropy: x must be finite, got nan in column 1 at step 0. Fill or cut the gap.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    found = np.asarray(values)
    if found.dtype.kind not in "buif":
        raise TypeError(f"{owner}: {name} must hold real numbers, got {type(values).__name__} of {found.dtype}.")
    if found.ndim not in (1, 2, 3) or found.size == 0:
        raise ValueError(f"{owner}: {name} must be (T,), (T, N) or (B, T, N), none of them 0, got shape {found.shape}.")
    batch = found.reshape((1,) * (3 - found.ndim) + found.shape) if found.ndim > 1 else found[None, :, None]
    bad = np.argwhere(~np.isfinite(batch))
    if len(bad):
        series, step, column = bad[0]
        raise ValueError(
            f"{owner}: {name} must be finite, got {batch[series, step, column]} in column {column} at step {step}. "
            "Fill or cut the gap."
        )
    return batch


def check_same_steps(owner: str, **batches: AnyArray) -> None:
    """Check that series run beside each other.

    Raises:
        ValueError: numbers of series or of steps differ.

    >>> check_same_steps("transfer_entropy", source=np.zeros((1, 5, 1)), target=np.zeros((1, 4, 1)))
    Traceback (most recent call last):
    ValueError: transfer_entropy: series must be of one length, got source with 1 x 5 and target with 1 x 4 steps.
    """
    if len({batch.shape[:2] for batch in batches.values()}) > 1:
        found = " and ".join(f"{name} with {batch.shape[0]} x {batch.shape[1]}" for name, batch in batches.items())
        raise ValueError(f"{owner}: series must be of one length, got {found} steps.")


def lagged(batch: AnyArray, lags: Sequence[int], start: int, stop: int = 0) -> AnyArray:
    """Return every series beside its own past.

    Args:
        batch: `(B, T, N)`.
        lags: steps back, at most `start`; negative ones look ahead, at most by `stop`.
        start: first steps that have no full history.
        stop: last steps that have no full future.

    Returns:
        `(B, T - start - stop, N, len(lags))`.

    >>> lagged(np.arange(4.0)[None, :, None], [0, 2], 2)[0, :, 0].tolist()
    [[2.0, 0.0], [3.0, 1.0]]
    """
    steps = batch.shape[1] - stop
    return np.stack([batch[:, start - lag : steps - lag] for lag in lags], axis=-1)


def check_length(owner: str, batch: AnyArray, needed: int, *, washout: int = 0) -> None:
    """Check that series outlast their histories by enough steps.

    Args:
        owner: who asks; opens the message.
        batch: `(B, T, N)` without the washout.
        needed: steps that histories take.
        washout: steps that were dropped, for the message.

    Raises:
        ValueError: no two samples would be left.

    >>> check_length("active_information_storage", np.zeros((1, 2, 1)), 3)
    Traceback (most recent call last):
    ValueError: active_information_storage: series must hold at least 5 steps, 0 of washout and 3 of histories, got 2.
    """
    if batch.shape[1] < needed + 2:
        raise ValueError(
            f"{owner}: series must hold at least {washout + needed + 2} steps, {washout} of washout and {needed} of "
            f"histories, got {washout + batch.shape[1]}."
        )


def rows(embedded: AnyArray) -> AnyArray:
    """Return `(B, n, ...)` as samples by columns, `(B n, columns)`."""
    return embedded.reshape(embedded.shape[0] * embedded.shape[1], -1)


def standardized(columns: AnyArray, axis: int = 0) -> Array:
    """Return columns with mean 0 and standard deviation 1; constant ones become 0.

    >>> standardized(np.array([[1.0, 5.0], [3.0, 5.0]])).round(9).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    values = np.asarray(columns, np.float64)
    largest = abs(values).max(axis=axis, keepdims=True, initial=0)
    scaled = values / np.where(largest > 0, largest, 1)  # squares neither overflow nor vanish
    centred = scaled - scaled.mean(axis=axis, keepdims=True)
    std = np.sqrt((centred**2).mean(axis=axis, keepdims=True))
    moves = std > 1e-14  # what rounding leaves of a constant
    return np.where(moves, centred / np.where(moves, std, 1), 0.0)


def is_discrete(batch: AnyArray) -> bool:
    """Tell whether series are bools, integers, or floats of at most 16 distinct values.

    >>> is_discrete(np.array([[[0.0], [1.0], [1.0]]])), is_discrete(np.linspace(0, 1, 50)[None, :, None])
    (True, False)
    """
    if batch.dtype.kind in "bui":
        return True
    head = batch.ravel()[: 64 * DISTINCT]  # most continuous series show themselves at once
    return len(np.unique(head)) <= DISTINCT and len(np.unique(batch)) <= DISTINCT


def quantile_codes(columns: AnyArray, bins: int) -> npt.NDArray[np.int64]:
    """Return each column's values as places among its quantiles; equal values get equal codes.

    >>> quantile_codes(np.array([[3.0], [1.0], [2.0], [9.0]]), 2).ravel().tolist()
    [1, 0, 0, 1]
    """
    flat = columns.reshape(-1, columns.shape[-1])
    inner = np.quantile(flat, np.arange(1, bins) / bins, axis=0)
    codes = [np.searchsorted(inner[:, place], flat[:, place], side="left") for place in range(flat.shape[1])]
    return np.stack(codes, axis=-1).reshape(columns.shape)


def surrogate(embedded: AnyArray, kind: str, rng: np.random.Generator) -> AnyArray:
    """Return rows in another order along time, `(B, n, ...)`: what a row holds stays together.

    Args:
        embedded: histories of the source.
        kind: `"shift"`, by a random number of steps around a circle, which keeps the source's own dynamics, or
            `"permutation"`, which does not.
        rng: of the order.

    >>> surrogate(np.arange(4)[None], "shift", np.random.default_rng(1)).tolist()
    [[2, 3, 0, 1]]
    """
    steps = embedded.shape[1]
    if kind == "permutation":
        order = np.stack([rng.permutation(steps) for _ in embedded])
    else:
        shifts = rng.integers(1, max(steps, 2), size=(len(embedded), 1))
        order = (np.arange(steps) - shifts) % steps
    return embedded[np.arange(len(embedded))[:, None], order]
