"""Simultaneous diagonalisation: a tensor decomposition by one eigenproblem, exact on exact tensors."""

from typing import Any

import numpy as np
import tensorly as tl
from tensorly.cp_tensor import CPTensor, cp_to_tensor

from lightning_neuro.common import checks

REAL = 1e-8


class ComplexPencilError(ArithmeticError):
    """No random combination of the slices had real eigenvalues only."""


def simultaneous_diagonalization(
    tensor: Any, rank: int, *, n_pencils: int = 5, random_state: int | np.random.Generator | None = None
) -> CPTensor:
    """Decompose `T = sum_i w_i a_i (x) b_i (x) c_i` by the eigenvectors of random pencils (Jennrich's algorithm).

    For random vectors p, q the matrix `T(p, ., .) T(q, ., .)^-1` has the `b_i` as eigenvectors. Of several pencils the
    one with the smallest residual wins. Pencils with complex eigenvalues (noise) are rejected: the real parts of
    a conjugate pair would double a component.

    Args:
        tensor: `(n0, n1, n2)` with `n1, n2 >= rank` and `n0 >= 2`, a tensor of the current tensorly backend.
        rank: number of components.
        n_pencils: how many random pencils to try.
        random_state: seed or generator; None draws a fresh seed. The global generator is never touched.

    Returns:
        `CPTensor(weights (rank,), [(n0, rank), (n1, rank), (n2, rank)])`, unit columns, largest weight first.

    Raises:
        ValueError: the tensor is not of order 3, or a mode is too small.
        ComplexPencilError: no pencil was real.

    >>> a, b = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[3.0, 0.0], [0.0, -1.0]])
    >>> found = simultaneous_diagonalization(np.einsum("ki,li,mi->klm", a, b, np.eye(2)), 2, random_state=0)
    >>> found.weights.round(6).tolist()
    [3.0, 1.414214]
    """
    rank = checks.integer("simultaneous_diagonalization", "rank", rank, at_least=1)
    n_pencils = checks.integer("simultaneous_diagonalization", "n_pencils", n_pencils, at_least=1)
    _check(tl.shape(tensor), rank)
    generator = np.random.default_rng(random_state)
    left, right = (leading_basis(tensor, mode, rank) for mode in (1, 2))
    core = tl.einsum("kab,ai,bj->kij", tensor, left, right)
    best, smallest = None, np.inf
    for _ in range(n_pencils):
        factors = _from_pencil(core, generator.standard_normal((2, tl.shape(core)[0])))
        if factors is None:
            continue
        found = normalised_cp([factors[0], tl.dot(left, factors[1]), tl.dot(right, factors[2])])
        residual = float(tl.norm(tensor - cp_to_tensor(found)))
        if residual < smallest:
            best, smallest = found, residual
    if best is None:
        raise ComplexPencilError(
            f"simultaneous_diagonalization: none of {n_pencils} pencils had real eigenvalues. The tensor is too noisy, "
            f"or its rank is not {rank}: use partially_symmetric_cp, which goes on from random starts."
        )
    return best


def leading_basis(tensor: Any, mode: int, rank: int) -> Any:
    """Return the `rank` leading left singular vectors of the unfolding along `mode`, `(n, rank)`.

    >>> leading_basis(np.array([[[0.0], [2.0]]]), 1, 1).round(3).tolist() in ([[0.0], [1.0]], [[0.0], [-1.0]])
    True
    """
    return tl.svd(tl.unfold(tensor, mode), full_matrices=False)[0][:, :rank]


def normalised_cp(factors: list[Any]) -> CPTensor:
    """Return factors with unit columns, their lengths as weights, largest first.

    >>> normalised_cp([np.array([[3.0, 0.0]]), np.array([[1.0, 1.0]]), np.array([[2.0, 1.0]])]).weights.tolist()
    [6.0, 0.0]
    """
    lengths = [tl.sqrt(tl.sum(factor**2, 0)) for factor in factors]
    weights = tl.prod(tl.stack(lengths), 0)
    order = np.argsort(-tl.to_numpy(weights), kind="stable").tolist()
    units = [factor / tl.clip(length, 1e-300) for factor, length in zip(factors, lengths, strict=True)]
    return CPTensor((weights[order], [unit[:, order] for unit in units]))


def _check(shape: tuple[int, ...], rank: int) -> None:
    if len(shape) != 3 or min(shape[1:]) < rank or shape[0] < 2:
        raise ValueError(
            "simultaneous_diagonalization: expected a tensor (n0, n1, n2) with n0 at least 2 and n1, n2 at least "
            f"rank = {rank}, got shape {tuple(shape)}."
        )


def _from_pencil(core: Any, mixes: np.ndarray) -> list[Any] | None:
    """Return the three factors of a compressed tensor `(n0, r, r)` by one pencil, or None if it is not real."""
    first, second = (tl.tensordot(tl.tensor(mix, **tl.context(core)), core, axes=1) for mix in mixes)
    try:
        pencil = np.linalg.solve(tl.to_numpy(second).T, tl.to_numpy(first).T).T
        values, vectors = np.linalg.eig(pencil)
        if np.abs(values.imag).max() > REAL * np.abs(values).max():
            return None
        inverse = np.linalg.inv(vectors.real)
    except np.linalg.LinAlgError:
        return None
    diagonal = tl.einsum("ia,kab->ikb", tl.tensor(inverse, **tl.context(core)), core)
    outputs, rights = zip(*(_rank_one(diagonal[place]) for place in range(len(values))), strict=True)
    return [tl.stack(outputs, 1), tl.tensor(vectors.real, **tl.context(core)), tl.stack(rights, 1)]


def _rank_one(matrix: Any) -> tuple[Any, Any]:
    left, values, right = tl.svd(matrix, full_matrices=False)
    return left[:, 0] * values[0], right[0]
