"""From moments to weights of a polynomial input-output network: input and output weights by decomposition."""

import warnings
from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np
import tensorly as tl

from lightning_neuro.spectral_rnn.alarms import PARALLEL, ParallelOutputsWarning
from lightning_neuro.spectral_rnn.model import QUADRATIC, degree
from lightning_neuro.spectral_rnn.rank import choose_rank, components_stand_out
from lightning_neuro.spectral_rnn.series import Array
from lightning_neuro.spectral_rnn.symmetric_cp import partially_symmetric_cp

Seed = int | np.random.Generator | None


@dataclass(frozen=True)
class InputRecovery:
    """Input and output weights, and how far they can be trusted.

    Attributes:
        input_weights: A1 `(H, Dx)`, rows of length one.
        output_weights: A2 `(H, Dy)`.
        singular_values: of the moment's unfolding `(Dx,)`; those beyond the H-th are noise.
        condition: the first over the H-th of them.
        output_cosine: largest cosine between two rows of A2; near 1 their neurons mix.
        residual: what the decomposition leaves of the moment, relative.
        reliable: the H-th singular value stands out of the noise, so that recurrent weights can be had.
    """

    input_weights: Array
    output_weights: Array
    singular_values: Array
    condition: float
    output_cosine: float
    residual: float
    reliable: bool


def recover_input_weights(
    moment: Array,
    rank: int | str,
    coeffs: tuple[float, ...] = QUADRATIC,
    *,
    n_pencils: int = 5,
    n_restarts: int = 5,
    init: Array | None = None,
    seed: Seed = None,
) -> InputRecovery:
    """Recover A1 and A2 from the cross-moment of outputs and score.

    `E[y_t (x) S_m(t)] = m! c_m sum_i A2[i] (x) a_i (x) ... (x) a_i` with m the degree of f, 2 or 3. The rows of A1 come
    with length one: for `f(z) = c z^m` their lengths are free, otherwise this is a choice of f's argument.

    Args:
        moment: `(Dy, Dx, Dx)` for m = 2, `(Dy, Dx, Dx, Dx)` for m = 3.
        rank: number of neurons H, or "auto" for the largest gap in the singular values.
        coeffs: coefficients of f, lowest power first.
        n_pencils: pencils of the simultaneous diagonalisation.
        n_restarts: random starts beside it.
        init: A1 `(H, Dx)`, a guess, as one more start.
        seed: seed or generator.

    Returns:
        An `InputRecovery`; neurons by falling strength.

    Raises:
        ValueError: fewer inputs than neurons; one output with m = 2; a degree other than 2 and 3; moments not finite.

    Warns:
        ParallelOutputsWarning: two rows of A2 have a cosine above 0.98.

    Source: following the approach of arXiv 1603.00954. Differs from it: no whitening, which signed A2 forbids.

    >>> a, c = np.eye(2), np.array([[3.0, 0.0], [0.0, -1.0]])
    >>> moment = 2 * np.einsum("ik,ia,ib->kab", c, a, a)
    >>> recover_input_weights(moment, 2, seed=0).output_weights.round(6).tolist()
    [[3.0, 0.0], [0.0, -1.0]]
    """
    found = decompose_moment(moment, rank, coeffs, n_pencils=n_pencils, n_restarts=n_restarts, init=init, seed=seed)
    if found.output_cosine > PARALLEL and degree(coeffs) == 2:
        warnings.warn(
            f"recover_input_weights: two neurons have output weights with cosine {found.output_cosine:.3f}; their "
            "input weights mix. Add outputs that tell them apart, or use fewer units.",
            ParallelOutputsWarning,
            stacklevel=2,
        )
    return found


def decompose_moment(
    moment: Array,
    rank: int | str,
    coeffs: tuple[float, ...],
    *,
    n_pencils: int,
    n_restarts: int,
    init: Array | None,
    seed: Seed,
) -> InputRecovery:
    """Do what `recover_input_weights` does, without its warning.

    >>> decompose_moment(model_moment(np.eye(2), np.eye(2), QUADRATIC), 2, QUADRATIC, n_pencils=1, n_restarts=0,
    ...     init=None, seed=0).condition
    1.0
    """
    moment = np.asarray(moment, dtype=np.float64)
    _check_moment(moment, degree(coeffs))
    moment = _symmetric(moment)
    values, directions = input_directions(moment)
    units = choose_rank(values) if isinstance(rank, str) else rank
    if moment.shape[-1] < units:
        raise ValueError(
            f"recover_input_weights: {units} neurons need at least as many inputs, got {moment.shape[-1]}. Lower the "
            "number of units, or embed the input in more dimensions (products, delays)."
        )
    basis = directions[:, :units]
    shared = _shared_factor(moment, basis, init, n_pencils, n_restarts, seed)
    rows = _positive_rows(shared.T @ basis.T)
    weights, residual = output_weights_for(moment, rows, coeffs)
    by_strength = np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")
    rows, weights = rows[by_strength], weights[by_strength]
    cosine = largest_cosine(weights)
    condition = float(values[0] / values[units - 1]) if values[units - 1] > 0 else float("inf")
    return InputRecovery(rows, weights, values, condition, cosine, residual, components_stand_out(values, units))


def model_moment(input_weights: Array, output_weights: Array, coeffs: tuple[float, ...]) -> Array:
    """Return `m! c_m sum_i A2[i] (x) a_i (x) ... (x) a_i`, the moment that a network has in the mean.

    >>> model_moment(np.array([[1.0, 2.0]]), np.array([[3.0]]), QUADRATIC).tolist()
    [[[6.0, 12.0], [12.0, 24.0]]]
    """
    order = degree(coeffs)
    spec = {2: "ik,ia,ib->kab", 3: "ik,ia,ib,ic->kabc"}[order]
    product = np.einsum(spec, output_weights, *[input_weights] * order, optimize=True)
    return np.asarray(factorial(order) * coeffs[order] * product)


def _shared_factor(
    moment: Array, basis: Array, init: Array | None, n_pencils: int, n_restarts: int, seed: Seed
) -> Array:
    """Return directions of the rows of A1 in the basis of the input subspace, a neuron per column.

    All axes of the moment but the last two are free ones of the decomposition.
    """
    core = moment
    for axis in range(1, moment.ndim):
        core = np.moveaxis(np.tensordot(core, basis, axes=(axis, 0)), -1, axis)
    with tl.backend_context("numpy", local_threadsafe=True):
        found = partially_symmetric_cp(
            core.reshape(-1, basis.shape[1], basis.shape[1]),
            basis.shape[1],
            n_pencils=n_pencils,
            n_restarts=n_restarts,
            init=None if init is None else (init @ basis).T,
            random_state=seed,
        )
    return found.factors[1]


def largest_cosine(rows: Array) -> float:
    """Return the largest absolute cosine between two rows; 0 for a single row.

    >>> round(largest_cosine(np.array([[1.0, 0.0], [-3.0, 4.0]])), 3)
    0.6
    """
    # Scaled first, so that the squares of very small rows do not vanish.
    scaled = rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.finfo(float).tiny)
    units = scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), np.finfo(float).tiny)
    return float(np.abs(np.triu(units @ units.T, 1)).max(initial=0.0))


def input_directions(moment: Array) -> tuple[Array, Array]:
    """Return singular values and left singular vectors of the unfolding of a moment along its last axis.

    The leading ones span the rows of A1, those beyond the number of neurons are noise.

    Args:
        moment: `(Dy, ..., Dx)`.

    Returns:
        Singular values `(Dx,)` (fewer for a small unfolding) and directions `(Dx, Dx)`, a direction per column.

    >>> input_directions(np.array([[[0.0, 0.0], [0.0, 2.0]]]))[0].tolist()
    [2.0, 0.0]
    """
    vectors, values, _ = np.linalg.svd(moment.reshape(-1, moment.shape[-1]).T, full_matrices=False)
    return values, vectors


def output_weights_for(moment: Array, rows: Array, coeffs: tuple[float, ...]) -> tuple[Array, float]:
    """Return the A2 that fits a moment best for given rows of A1, and the relative residual.

    >>> output_weights_for(np.array([[[6.0, 12.0], [12.0, 24.0]]]), np.array([[1.0, 2.0]]), QUADRATIC)[0].round(9)
    array([[3.]])
    """
    order = degree(coeffs)
    products = rows
    for _ in range(order - 1):
        products = (products[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
    wanted = moment.reshape(len(moment), -1).T
    weights = np.asarray(np.linalg.lstsq(products.T, wanted, rcond=None)[0], dtype=np.float64)
    left = np.linalg.norm(products.T @ weights - wanted) / (np.linalg.norm(wanted) or 1.0)
    return weights / (factorial(order) * coeffs[order]), float(left)


def _check_moment(moment: Array, order: int) -> None:
    shape = moment.shape
    if order not in (2, 3):
        raise ValueError(
            f"recover_input_weights: the polynomial must be of degree 2 or 3, got {order}. For degree 1 use "
            "recover_linear; beyond 3 the moments are too noisy to be of use."
        )
    if len(shape) != order + 1 or len(set(shape[1:])) > 1:
        wanted = ", ".join(["Dy", *["Dx"] * order])
        raise ValueError(f"recover_input_weights: expected a moment ({wanted}), got shape {shape}.")
    if not np.isfinite(moment).all():
        raise ValueError(
            "recover_input_weights: the moment must be finite. Drop sequences that are not, and scale the data."
        )
    if order == 2 and shape[0] == 1:
        raise ValueError(
            "recover_input_weights: one output gives one matrix, whose decomposition is not unique. Use a cubic "
            "network, or stack the output with products of it and earlier outputs."
        )


def _symmetric(moment: Array) -> Array:
    """Return the mean over all orders of the input axes."""
    orders = list(permutations(range(1, moment.ndim)))
    return np.mean([moment.transpose(0, *order) for order in orders], axis=0)


def _positive_rows(rows: Array) -> Array:
    """Return rows of length one whose largest entry is positive."""
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny)
    largest = rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)]
    return rows * np.where(largest < 0, -1.0, 1.0)[:, None]
