"""Which found component is which wanted one."""

from typing import Any, NamedTuple

import numpy as np
import tensorly as tl
from scipy.optimize import linear_sum_assignment


class Match(NamedTuple):
    """A pairing: `estimate[:, permutation] * signs` lies along `reference`, with these cosines (each 0 to 1)."""

    permutation: Any
    signs: Any
    cosines: Any


def match_components(estimate: Any, reference: Any) -> Match:
    """Pair columns of two factor matrices so that the sum of absolute cosines is largest.

    Args:
        estimate: `(d, r)`, a component per column, a tensor of the current tensorly backend.
        reference: `(d, r)`.

    Returns:
        `Match(permutation, signs, cosines)`, numpy arrays `(r,)`.

    Raises:
        ValueError: the shapes differ.

    >>> import numpy as np
    >>> match_components(np.array([[0.0, -2.0], [1.0, 0.0]]), np.eye(2)).permutation.tolist()
    [1, 0]
    """
    first, second = np.asarray(tl.to_numpy(estimate)), np.asarray(tl.to_numpy(reference))
    if first.shape != second.shape:
        raise ValueError(
            f"match_components: estimate and reference must have one shape, got {first.shape} and {second.shape}."
        )
    cosines = _unit_columns(second).T @ _unit_columns(first)
    rows, permutation = linear_sum_assignment(-np.abs(cosines))
    chosen = cosines[rows, permutation]
    return Match(permutation, np.where(chosen < 0, -1.0, 1.0), np.abs(chosen))


def _unit_columns(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.maximum(np.linalg.norm(matrix, axis=0), np.finfo(float).tiny)
