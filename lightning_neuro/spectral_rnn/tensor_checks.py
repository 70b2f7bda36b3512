"""What tensor routines ask of their tensors."""

import math
from typing import Any

import tensorly as tl


def require_finite_tensor(owner: str, tensor: Any) -> None:
    """Refuse a tensor of the current tensorly backend that holds a NaN or an infinite number.

    Raises:
        ValueError: it does.

    >>> import numpy as np
    >>> require_finite_tensor("example", np.ones((2, 2)))
    """
    if 0 not in tl.shape(tensor) and not math.isfinite(float(tl.max(tl.abs(tensor)))):
        raise ValueError(f"{owner}: the tensor must hold finite numbers, got NaN or infinity.")
