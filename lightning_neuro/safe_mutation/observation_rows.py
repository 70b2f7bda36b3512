"""Rows of batched observations: arrays, or dicts and tuples of arrays, as gymnasium stacks them."""

from collections.abc import Callable
from typing import Any

import numpy as np


def map_arrays(function: Callable[[np.ndarray], Any], observations: Any) -> Any:
    """Return the observations with `function` of each array in its place.

    >>> map_arrays(len, {"image": np.zeros((3, 7, 7)), "direction": np.zeros(3)})
    {'image': 3, 'direction': 3}
    """
    if isinstance(observations, dict):
        return {key: map_arrays(function, part) for key, part in observations.items()}
    if isinstance(observations, tuple):
        return tuple(map_arrays(function, part) for part in observations)
    return function(np.asarray(observations))


def rows_equal(first: Any, row: int, second: Any, other_row: int) -> bool:
    """Return whether one row of one batch equals one row of another, bit by bit; NaN equals NaN.

    >>> rows_equal(np.array([[1.0], [2.0]]), 0, np.array([[2.0], [1.0]]), 1)
    True
    """
    ours, theirs = _arrays(first), _arrays(second)
    return all(a[row].tobytes() == b[other_row].tobytes() for a, b in zip(ours, theirs, strict=True))


def _arrays(observations: Any) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    map_arrays(found.append, observations)
    return found
