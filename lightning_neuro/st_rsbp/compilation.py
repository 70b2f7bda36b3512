"""How loops become machine code; needs numba."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

CACHE_LINE = 64


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile with numba on first use, and keep the code on disk where that is possible."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(nogil=True, error_model="numpy", cache=True, **options)(function)
        except RuntimeError:  # nowhere to keep the compiled code, as in a read-only installation
            return njit(nogil=True, error_model="numpy", **options)(function)

    return decorate


@compiled()
def aligned(rows: int, columns: int, like: Any) -> Any:
    """Return an empty array of the type of `like` that starts with a line of the cache: wide loads want that."""
    raw = np.empty(rows * columns + CACHE_LINE // like.itemsize, like.dtype)
    skipped = (-raw.ctypes.data % CACHE_LINE) // like.itemsize
    return raw[skipped : skipped + rows * columns].reshape(rows, columns)
