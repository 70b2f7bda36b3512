"""Linear systems for numba by elimination with row pivots, one thread each: import it through `compiled` only.

Systems that stay in a core's cache are solved about as fast as by LAPACK, by any number of threads at once. A panel of
16 columns is factorised, then those to its right are updated a tile of 64 at a time.
"""

from typing import Any

import numpy as np

from lightning_neuro.st_rsbp.compilation import compiled

PANEL, TILE = 16, 64
CONTRACTED = {"contract"}


@compiled()
def padded(size: int) -> int:
    """Return the rows that a system of `size` unknowns takes: whole panels."""
    return (size + PANEL - 1) // PANEL * PANEL


@compiled(fastmath={"nnan", "nsz", "reassoc"})
def largest(values: Any) -> Any:
    """Return the largest absolute value."""
    most = values.dtype.type(0)
    for i in range(values.shape[0]):
        value = abs(values[i])
        most = value if value > most else most
    return most


@compiled()
def place_of(size: Any, values: Any) -> int:
    """Return the first place with that absolute value, 0 without."""
    for i in range(values.shape[0]):
        if abs(values[i]) == size:
            return i
    return 0


@compiled(fastmath=CONTRACTED)
def subtract(row: Any, factor: Any, other: Any) -> None:
    """Subtract `factor` times another row."""
    for j in range(row.shape[0]):
        row[j] -= factor * other[j]


@compiled()
def exchange(row: Any, other: Any) -> None:
    """Exchange two rows."""
    for j in range(row.shape[0]):
        row[j], other[j] = other[j], row[j]


@compiled()
def factorise_panel(panel: Any, first: int, pivots: Any) -> None:
    """Factorise columns `first` on, which `panel` holds as rows; a pivot of zero leaves what is not finite."""
    for c in range(PANEL):
        k = first + c
        candidates = panel[c, k:]
        pivots[c] = k + place_of(largest(candidates), candidates)
        if pivots[c] != k:
            for m in range(PANEL):
                panel[m, k], panel[m, pivots[c]] = panel[m, pivots[c]], panel[m, k]
        below, inverse = panel[c, k + 1 :], candidates.dtype.type(1) / candidates[0]
        for i in range(below.shape[0]):
            below[i] *= inverse
        for m in range(c + 1, PANEL):
            subtract(panel[m, k + 1 :], panel[m, k], below)


@compiled()
def finish_pivot_rows(system: Any, panel: Any, first: int, pivots: Any, tile: Any, start: int, width: int) -> None:
    """Bring the pivot rows of one tile of columns to their place, finish them, and copy them to `tile`."""
    for c in range(PANEL):
        row = system[first + c, start : start + width]
        if pivots[c] != first + c:
            exchange(row, system[pivots[c], start : start + width])
        for m in range(c):
            subtract(row, panel[m, first + c], tile[m * TILE : m * TILE + width])
        tile[c * TILE : c * TILE + width] = row


def updating(width: int) -> Any:
    """Return the loop that subtracts 16 pivot rows, times their factors in `panel`, from a tile of the rows below.

    Machine code for a known width is a quarter faster. Rows of `tile` are 64 apart.
    """

    @compiled(fastmath=CONTRACTED)
    def update(system: Any, panel: Any, below: int, tile: Any, start: int) -> None:
        for i in range(below, system.shape[0]):
            row, f = system[i, start : start + width], panel[:, i]
            a0, a1, a2, a3, a4, a5, a6, a7 = f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7]
            b0, b1, b2, b3, b4, b5, b6, b7 = f[8], f[9], f[10], f[11], f[12], f[13], f[14], f[15]
            for j in range(width):
                x = row[j] - a0 * tile[j] - a1 * tile[64 + j] - a2 * tile[128 + j] - a3 * tile[192 + j]
                x = x - a4 * tile[256 + j] - a5 * tile[320 + j] - a6 * tile[384 + j] - a7 * tile[448 + j]
                x = x - b0 * tile[512 + j] - b1 * tile[576 + j] - b2 * tile[640 + j] - b3 * tile[704 + j]
                row[j] = x - b4 * tile[768 + j] - b5 * tile[832 + j] - b6 * tile[896 + j] - b7 * tile[960 + j]

    return update


update_wide, update_narrow = updating(TILE), updating(PANEL)


@compiled(fastmath={"contract", "reassoc"})
def dot(left: Any, right: Any) -> Any:
    """Return the sum of products."""
    total = left.dtype.type(0)
    for j in range(left.shape[0]):
        total += left[j] * right[j]
    return total


@compiled()
def solve(system: Any, panel: Any, tile: Any, solution: Any) -> None:
    """Solve a system of whole panels, overwritten; not finite where it is singular.

    Args:
        system: matrix `(n, n)` and right side as column n of `(n, n + 16)`.
        panel: scratch `(16, n)`.
        tile: scratch `(16 * 64,)`.
        solution: `(n,)`, written.
    """
    size, columns = system.shape
    pivots = np.empty(PANEL, np.int64)
    for first in range(0, size, PANEL):
        end = first + PANEL
        for i in range(first, size):
            for c in range(PANEL):
                panel[c, i] = system[i, first + c]
        factorise_panel(panel, first, pivots)
        for i in range(first, end):
            for c in range(PANEL):
                system[i, first + c] = panel[c, i]
        start = end
        while start < columns:
            wide = columns - start >= TILE
            width = TILE if wide else PANEL
            finish_pivot_rows(system, panel, first, pivots, tile, start, width)
            if wide:
                update_wide(system, panel, end, tile, start)
            else:
                update_narrow(system, panel, end, tile, start)
            start += width
    for k in range(size - 1, -1, -1):
        known = dot(system[k, k + 1 : size], solution[k + 1 :])
        solution[k] = (system[k, size] - known) / system[k, k]
