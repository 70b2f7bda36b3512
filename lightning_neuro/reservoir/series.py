"""Input series in the forms that reservoirpy takes, checked."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def as_series(owner: str, inputs: Any, *, washout: int = 0) -> list[Array]:
    """Return a list of float64 arrays `(T_b, K)` of one width.

    Args:
        owner: who asks; opens the message.
        inputs: array `(T, K)` or `(B, T, K)`, or a list of arrays `(T_b, K)`.
        washout: steps that each series must outlast.

    Raises:
        TypeError: an entry is not made of real numbers.
        ValueError: there is none, axes or widths do not fit, a series is too short, or a column holds NaN or infinity.

    >>> [len(series) for series in as_series("SORN", [np.zeros((5, 1)), np.zeros((3, 1))])]
    [5, 3]
    >>> as_series("SORN", np.array([[0.0, np.nan]]))
    Traceback (most recent call last):
    ValueError: SORN: inputs must be finite, got nan in column 1 of series 0. Fill or cut the gap.
    """
    several = isinstance(inputs, list | tuple) or getattr(inputs, "ndim", None) == 3
    series = [_matrix(owner, entry) for entry in (inputs if several else [inputs])]
    if not series:
        raise ValueError(f"{owner}: inputs must hold at least one series, got none.")
    for place, values in enumerate(series):
        if values.shape[1] != series[0].shape[1]:
            raise ValueError(f"{owner}: series {place} must have {series[0].shape[1]} columns, got {values.shape[1]}.")
        if len(values) <= washout:
            raise ValueError(
                f"{owner}: series {place} must be longer than the washout of {washout} steps, got {len(values)}."
            )
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            raise ValueError(
                f"{owner}: inputs must be finite, got {values[tuple(bad[0])]} in column {bad[0, 1]} of series {place}. "
                "Fill or cut the gap."
            )
    return series


def _matrix(owner: str, entry: Any) -> Array:
    found = np.asarray(entry)
    if found.dtype.kind not in "buif":
        raise TypeError(f"{owner}: inputs must be arrays of real numbers, got {type(entry).__name__} {found.dtype}.")
    if found.ndim != 2 or found.shape[1] == 0:
        raise ValueError(
            f"{owner}: each series must be (time steps, columns), got shape {found.shape}. "
            "Give one column as u[:, None]."
        )
    return found.astype(np.float64, copy=False)
