"""The rewiring step as one compiled pass over memory, where numba is installed.

It reads weight, theta and sign once and writes weight and theta once: 17 bytes per synapse in single precision. The
arithmetic is that of `functional.rewire`, to the last bit.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

PIECE = 1 << 19
TYPES = {torch.float32: np.float32, torch.float64: np.float64}


@cache
def kernel() -> Callable[..., None] | None:
    """Return the compiled loop, or None without numba."""
    try:
        from numba import njit
    except ImportError:
        return None
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(_rewire_elements)
    except RuntimeError:  # nowhere to keep the compiled code, as in a read-only installation
        return njit(nogil=True, error_model="numpy")(_rewire_elements)


def rewire_(weight: Tensor, theta: Tensor, sign: Tensor, drift: float, centre: float, floor: float) -> bool:
    """Rewire flat CPU tensors in place; return False if this cannot be done here, and nothing was changed.

    Pieces are shared among as many threads as torch uses.

    Args:
        weight: as the optimizer left it, contiguous and flat; becomes `s * max(theta, 0)`.
        theta: the same type.
        sign: int8.
        drift: as in `functional.rewire`.
        centre: as in `functional.rewire`.
        floor: as in `functional.rewire`.
    """
    scalar, loop = TYPES.get(weight.dtype), kernel()
    if scalar is None or theta.dtype != weight.dtype or loop is None:
        return False
    arrays = weight.detach().numpy(), theta.numpy(), sign.numpy()
    numbers = scalar(drift), scalar(centre), scalar(floor)

    def piece(start: int) -> None:
        loop(*(array[start : start + PIECE] for array in arrays), *numbers)

    starts = range(0, weight.numel(), PIECE)
    threads = min(len(starts), torch.get_num_threads())
    if threads <= 1:
        for start in starts:
            piece(start)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(piece, starts))
    return True


def _rewire_elements(weight: Any, theta: Any, sign: Any, drift: Any, centre: Any, floor: Any) -> None:
    zero = drift - drift
    for i in range(weight.shape[0]):
        s = sign[i]
        before = theta[i]
        moved = s * weight[i] + min(before, zero)
        pull = drift if before > centre else (-drift if before < centre else zero)
        moved = moved - pull if s != 0 else moved
        moved = max(moved, floor)
        theta[i] = moved
        weight[i] = s * max(moved, zero)
