"""CP decomposition with several starts, and with two tied modes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorly as tl
from tensorly.cp_tensor import CPTensor, cp_to_tensor
from tensorly.decomposition import parafac
from tensorly.tenalg import khatri_rao

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.jennrich import (
    ComplexPencilError,
    leading_basis,
    normalised_cp,
    simultaneous_diagonalization,
)
from lightning_neuro.spectral_rnn.tensor_checks import require_finite_tensor

EXACT = 1e-12
RIDGE = 1e-12


def partially_symmetric_cp(
    tensor: Any,
    rank: int,
    *,
    n_pencils: int = 5,
    n_restarts: int = 5,
    n_iterations: int = 200,
    init: Any | None = None,
    random_state: int | np.random.Generator | None = None,
) -> CPTensor:
    """Decompose `T = sum_i w_i c_i (x) a_i (x) a_i`: mode 0 is free, modes 1 and 2 share their factor.

    The last two modes are compressed to the leading subspace; alternating least squares runs from simultaneous
    diagonalisation and from random starts; of every result the two factors are averaged after aligning their signs,
    mode 0 is solved again, and the smallest residual wins.

    Args:
        tensor: `(n0, d, d)` with `d >= rank`, a tensor of the current tensorly backend; its last two modes are
            symmetrised first.
        rank: number of components.
        n_pencils: pencils of the simultaneous diagonalisation.
        n_restarts: random starts beside it.
        n_iterations: most iterations of alternating least squares for each start.
        init: `(d, rank)`, a guess of the shared factor, as one more start.
        random_state: seed or generator; None draws a fresh seed. The global generator is never touched.

    Returns:
        `CPTensor(weights (rank,), [(n0, rank), (d, rank), (d, rank)])` with the last two equal, unit columns, largest
        weight first.

    Raises:
        ValueError: the last two modes differ or are smaller than rank.

    >>> a, c = np.array([[1.0, 0.6], [0.0, 0.8]]), np.array([[2.0, -1.0], [1.0, 1.0]])
    >>> found = partially_symmetric_cp(np.einsum("ki,ai,bi->kab", c, a, a), 2, random_state=0)
    >>> np.abs(found.factors[1]).round(6).tolist()
    [[1.0, 0.6], [0.0, 0.8]]
    """
    shape = tl.shape(tensor)
    for name, value, least in (("rank", rank, 1), ("n_pencils", n_pencils, 0), ("n_restarts", n_restarts, 0)):
        checks.integer("partially_symmetric_cp", name, value, at_least=least)
    checks.integer("partially_symmetric_cp", "n_iterations", n_iterations, at_least=1)
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] < rank:
        raise ValueError(
            f"partially_symmetric_cp: expected a tensor (n, d, d) with d at least rank = {rank}, got {tuple(shape)}."
        )
    if not (n_pencils or n_restarts or init is not None):
        raise ValueError("partially_symmetric_cp: expected a start, got n_pencils=0 and n_restarts=0. Raise one.")
    require_finite_tensor("partially_symmetric_cp", tensor)
    generator = np.random.default_rng(random_state)
    tensor = (tensor + tl.transpose(tensor, (0, 2, 1))) / 2
    basis = leading_basis(tensor, 1, rank)
    core = tl.einsum("kab,ai,bj->kij", tensor, basis, basis)
    guess = None if init is None else tl.dot(tl.transpose(basis), init)
    best, smallest = None, np.inf
    for start in _starts(core, rank, n_pencils, n_restarts, guess, generator):
        shared = _tied(descend(core, start, n_iterations))
        residual = float(tl.norm(core - cp_to_tensor((None, [_free_mode(core, shared), shared, shared]))))
        if residual < smallest:
            best, smallest = shared, residual
        if smallest <= EXACT * float(tl.norm(core)):
            break
    shared = tl.dot(basis, best)
    return normalised_cp([_free_mode(tensor, shared), shared, shared])


def descend(tensor: Any, start: CPTensor, n_iterations: int) -> CPTensor:
    """Improve a CP decomposition by alternating least squares; the start itself if its equations are singular.

    >>> exact = CPTensor((None, [np.eye(2)] * 3))
    >>> descend(cp_to_tensor(exact), exact, 10).factors[0].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    size = float(tl.norm(tensor))
    if float(tl.norm(tensor - cp_to_tensor(start))) <= EXACT * size or size == 0:
        return start
    rank = tl.shape(start.factors[0])[1]
    init = CPTensor((tl.ones(rank, **tl.context(tensor)), [tl.copy(factor) for factor in start.factors]))
    try:
        found = parafac(tensor / size, rank, n_iter_max=n_iterations, init=init, l2_reg=RIDGE, tol=1e-9)
    except (np.linalg.LinAlgError, RuntimeError):
        return start
    return CPTensor((None, [found.factors[0] * size, *found.factors[1:]]))


def random_start(shape: tuple[int, ...], rank: int, generator: np.random.Generator, like: Any) -> CPTensor:
    """Return a CP tensor with standard normal factors, in the type of `like`.

    >>> random_start((2, 3, 4), 2, np.random.default_rng(0), np.zeros(1)).factors[2].shape
    (4, 2)
    """
    factors = [tl.tensor(generator.standard_normal((size, rank)), **tl.context(like)) for size in shape]
    return CPTensor((None, factors))


def unit_columns(factors: list[Any]) -> list[Any]:
    """Return the matrices with columns of length one; zero columns stay.

    >>> unit_columns([np.array([[3.0, 0.0], [4.0, 0.0]])])[0].tolist()
    [[0.6, 0.0], [0.8, 0.0]]
    """
    return [factor / tl.clip(tl.sqrt(tl.sum(factor**2, 0)), 1e-300) for factor in factors]


def _starts(
    core: Any, rank: int, n_pencils: int, n_restarts: int, guess: Any, generator: np.random.Generator
) -> Iterator[CPTensor]:
    if guess is not None:
        yield CPTensor((None, [_free_mode(core, guess), guess, guess]))
    if n_pencils and tl.shape(core)[0] > 1:
        try:
            found = simultaneous_diagonalization(core, rank, n_pencils=n_pencils, random_state=generator)
            yield CPTensor((None, [found.factors[0] * found.weights, *found.factors[1:]]))
        except ComplexPencilError:
            n_restarts = max(n_restarts, 1)
    elif guess is None:  # one slice makes no pencil
        n_restarts = max(n_restarts, 1)
    for _ in range(n_restarts):
        yield random_start(tl.shape(core), rank, generator, core)


def _tied(found: CPTensor) -> Any:
    """Return the mean of the two factors that should be one, unit columns, signs aligned."""
    _, first, second = unit_columns(found.factors)
    sign = tl.where(tl.sum(first * second, 0) < 0, -1.0, 1.0)
    return unit_columns([first + sign * second])[0]


def _free_mode(tensor: Any, shared: Any) -> Any:
    """Return the least-squares factor of mode 0 for a given shared factor."""
    products = khatri_rao([shared, shared])
    return tl.transpose(tl.lstsq(products, tl.transpose(tl.unfold(tensor, 0)))[0])
