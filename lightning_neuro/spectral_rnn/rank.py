"""How many neurons a moment shows, and whether they stand out of its noise."""

import numpy as np

from lightning_neuro.spectral_rnn.series import Array

FLOOR = 1e-12
STAND_OUT = 3.0


def choose_rank(singular_values: Array) -> int:
    """Return the k with the largest ratio of the k-th to the (k+1)-th singular value.

    All values are never chosen: without one that is noise there is nothing to compare with.

    Args:
        singular_values: falling `(n,)`, n at least 2.

    Raises:
        ValueError: fewer than two values, or the first is 0.

    >>> choose_rank(np.array([5.0, 1.5, 0.1, 0.08]))
    2
    """
    if len(singular_values) < 2 or not singular_values[0] > 0:
        raise ValueError(
            f"choose_rank: expected at least two singular values and the first above 0, got {singular_values}. "
            "Give the number of units instead of 'auto'."
        )
    floored = np.maximum(singular_values, FLOOR * singular_values[0])
    return int(np.argmax(floored[:-1] / floored[1:])) + 1


def components_stand_out(singular_values: Array, rank: int) -> bool:
    """Return whether the last kept singular value is at least 3 times the first that is noise.

    With as many components as values nothing tells the noise, and the answer is yes unless the last one vanishes.

    >>> components_stand_out(np.array([5.0, 1.5, 0.1]), 2), components_stand_out(np.array([5.0, 0.2, 0.1]), 2)
    (True, False)
    """
    last = singular_values[rank - 1]
    noise = singular_values[rank] if rank < len(singular_values) else 0.0
    return bool(last >= STAND_OUT * noise and last > FLOOR * singular_values[0])
