"""Recurrent matrices whose singular values or eigenvalues are known: memory by construction.

| matrix | singular values | eigenvalues | normal |
|---|---|---|---|
| permutation | all `sr` | on the circle of radius `sr` | yes |
| orthogonal | all `sr` | on the circle of radius `sr` | yes |
| cycle | all `sr` | `sr` times the roots of 1 | yes |
| delay line | `sr`, and one 0 | all 0 | no |
| normal with given eigenvalues | their sizes | as given | yes |

A linear reservoir of N units with one of the first three keeps N numbers of its input; its Fisher memory is 1.
Each function is also an initialiser of reservoirpy: `Reservoir(100, W=permutation_matrix, sr=0.95)`, and with options
`W=functools.partial(permutation_matrix, cycles=4)`. The share of connections that reservoirpy hands over is not used.

Permutations as reservoirs: Boedecker, Obst, Mayer and Asada 2009. Cycle and delay line: Rodan and Tino 2011.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from reservoirpy.utils import rand_generator
from scipy.sparse import csr_array

from lightning_neuro.common import checks

Array = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.integer[Any]]
Seed = int | np.random.Generator | None


def permutation_matrix(
    units: int,
    columns: int | None = None,
    *,
    sr: float = 1.0,
    cycles: int | None = 1,
    seed: Seed = None,
    dtype: npt.DTypeLike = np.float64,
    connectivity: float | None = None,
) -> csr_array:
    """Return `sr` times a random permutation: every unit has one input and one output.

    Args:
        units: N.
        columns: N again, or None; reservoirpy asks for a shape.
        sr: spectral radius, and every singular value.
        cycles: number of cycles, of lengths that differ by one at most; 1 passes a signal through all units before it
            returns; None draws from all permutations alike.
        seed: of the draw.
        dtype: of the weights.
        connectivity: not used, a permutation has 1/N.

    Returns:
        `(N, N)`, sparse.

    Raises:
        ValueError: not square, more cycles than units, or a negative `sr`.

    >>> import numpy as np
    >>> np.linalg.svd(permutation_matrix(5, sr=0.9, seed=1).toarray(), compute_uv=False)
    array([0.9, 0.9, 0.9, 0.9, 0.9])
    """
    units, scale = _check("permutation_matrix", units, columns, sr)
    order = rand_generator(seed).permutation(units)
    if cycles is None:
        return _links(order, np.arange(units), units, scale, dtype)
    checks.integer("permutation_matrix", "cycles", cycles, at_least=1, at_most=units)
    rings = np.array_split(order, cycles)
    return _links(np.concatenate([np.roll(ring, -1) for ring in rings]), order, units, scale, dtype)


def cycle_matrix(
    units: int,
    columns: int | None = None,
    *,
    sr: float = 1.0,
    seed: Seed = None,
    dtype: npt.DTypeLike = np.float64,
    connectivity: float | None = None,
) -> csr_array:
    """Return `sr` times the simple cycle: unit i drives unit i + 1, the last drives the first. No draw, no `seed`.

    Raises:
        ValueError: not square, or a negative `sr`.

    >>> cycle_matrix(3, sr=0.5).toarray()
    array([[0. , 0. , 0.5],
           [0.5, 0. , 0. ],
           [0. , 0.5, 0. ]])
    """
    units, scale = _check("cycle_matrix", units, columns, sr)
    source = np.arange(units)
    return _links((source + 1) % units, source, units, scale, dtype)


def delay_line_matrix(
    units: int,
    columns: int | None = None,
    *,
    sr: float = 1.0,
    seed: Seed = None,
    dtype: npt.DTypeLike = np.float64,
    connectivity: float | None = None,
) -> csr_array:
    """Return a chain: unit i drives unit i + 1 with weight `sr`. No draw, no `seed`.

    Its spectral radius is 0 whatever the weight, so `sr` is the gain of a link here. reservoirpy's `line` divides by
    what rounding leaves of the spectral radius: 10 units and `sr=0.9` get weights of 54.

    Raises:
        ValueError: not square, or a negative `sr`.

    >>> delay_line_matrix(3, sr=0.5).toarray()
    array([[0. , 0. , 0. ],
           [0.5, 0. , 0. ],
           [0. , 0.5, 0. ]])
    """
    units, scale = _check("delay_line_matrix", units, columns, sr)
    source = np.arange(units - 1)
    return _links(source + 1, source, units, scale, dtype)


def orthogonal_matrix(
    units: int,
    columns: int | None = None,
    *,
    sr: float = 1.0,
    seed: Seed = None,
    dtype: npt.DTypeLike = np.float64,
    connectivity: float | None = None,
) -> Array:
    """Return `sr` times an orthogonal matrix drawn uniformly: QR of a Gaussian one, with R's diagonal above 0.

    Raises:
        ValueError: not square, or a negative `sr`.

    >>> import numpy as np
    >>> w = orthogonal_matrix(4, sr=0.5, seed=0)
    >>> bool(np.allclose(w @ w.T, 0.25 * np.eye(4)))
    True
    """
    units, scale = _check("orthogonal_matrix", units, columns, sr)
    q, r = np.linalg.qr(rand_generator(seed).standard_normal((units, units)))
    return (scale * q * np.sign(np.diagonal(r))).astype(dtype)


def normal_matrix_with_eigenvalues(
    eigenvalues: npt.ArrayLike, *, seed: Seed = None, dtype: npt.DTypeLike = np.float64
) -> Array:
    """Return a random real normal matrix with these eigenvalues: `Q B Q^T`, Q orthogonal, B of blocks of two.

    Args:
        eigenvalues: `(N,)`, real or in conjugate pairs, in any order.
        seed: of Q.
        dtype: of the matrix.

    Raises:
        ValueError: one is not finite, a complex eigenvalue lacks its conjugate, or there is none.

    >>> import numpy as np
    >>> w = normal_matrix_with_eigenvalues([0.5, 0.3 + 0.4j, 0.3 - 0.4j], seed=0)
    >>> np.sort(abs(np.linalg.eigvals(w))).round(12)
    array([0.5, 0.5, 0.5])
    """
    values = np.atleast_1d(np.asarray(eigenvalues, np.complex128))
    if not np.isfinite(values).all():
        raise ValueError(f"normal_matrix_with_eigenvalues: eigenvalues must be finite, got {eigenvalues!r}.")
    real, upper, lower = values[values.imag == 0].real, values[values.imag > 0], values[values.imag < 0]
    paired = len(upper) == len(lower) and np.allclose(np.sort_complex(upper), np.sort_complex(lower.conj()))
    if values.ndim != 1 or len(values) == 0 or not paired:
        raise ValueError(
            "normal_matrix_with_eigenvalues: eigenvalues must be real or come in conjugate pairs, in one row, "
            f"got {eigenvalues!r}."
        )
    blocks = np.zeros((len(values), len(values)))
    blocks[np.arange(len(real)), np.arange(len(real))] = real
    for place, value in zip(range(len(real), len(values), 2), upper, strict=True):
        blocks[place : place + 2, place : place + 2] = [[value.real, value.imag], [-value.imag, value.real]]
    basis = orthogonal_matrix(len(values), seed=seed)
    return (basis @ blocks @ basis.T).astype(dtype)


def _check(owner: str, units: int, columns: int | None, sr: float) -> tuple[int, float]:
    units = checks.integer(owner, "units", units, at_least=1)
    if columns is not None and columns != units:
        raise ValueError(f"{owner}: the matrix must be square, got shape ({units}, {columns}).")
    return units, checks.number(owner, "sr", sr, at_least=0)


def _links(target: Indices, source: Indices, units: int, weight: float, dtype: npt.DTypeLike) -> csr_array:
    return csr_array((np.full(len(source), weight, dtype), (target, source)), shape=(units, units))
