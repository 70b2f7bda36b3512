"""Step sizes of units: one learns how far it may go from whether it went too far."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

GROWTH, SHRINKAGE = 1.2, 0.5


def adapted(size: Array, error: Array, earlier: Array | None, *, smallest: float, largest: float) -> Array:
    """Return step sizes `(N,)`: halved where the error changed its sign, grown where it kept it.

    Args:
        size: of the last step.
        error: now.
        earlier: before the last step; None at first.
        smallest: limit.
        largest: limit.

    >>> adapted(np.array([1.0, 1.0]), np.array([0.1, 0.1]), np.array([-0.2, 0.2]), smallest=0.0, largest=2.0)
    array([0.5, 1.2])
    """
    if earlier is None:
        return size
    factor = np.where(error * earlier < 0, SHRINKAGE, GROWTH)
    return np.clip(size * factor, smallest, largest)
