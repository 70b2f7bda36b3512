"""From contracted moments to the recurrent weights of a quadratic network."""

import numpy as np

from lightning_neuro.spectral_rnn.model import QUADRATIC
from lightning_neuro.spectral_rnn.series import Array

RIDGE = 1e-3


def duals(input_weights: Array, precision: Array) -> Array:
    """Return the B with `A1 B = I` whose projections of the score vary least.

    `B = P^-1 A1^T (A1 P^-1 A1^T)^-1`, P the precision of the inputs that the score belongs to.

    Args:
        input_weights: A1 `(H, Dx)`, of full row rank.
        precision: P `(Dx, Dx)`.

    Returns:
        B `(Dx, H)`.

    Raises:
        ValueError: the rows of A1 are linearly dependent.

    >>> duals(np.array([[1.0, 1.0]]), np.diag([1.0, 3.0])).round(6).tolist()
    [[0.75], [0.25]]
    """
    spread = np.linalg.solve(precision, input_weights.T)
    try:
        return np.linalg.solve((input_weights @ spread).T, spread.T).T
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "duals: the rows of the input weights are linearly dependent, so recurrent weights cannot be told apart. "
            "Use fewer units."
        ) from error


def output_projections(output_weights: Array, output_covariance: Array, ridge: float = RIDGE) -> Array:
    """Return for each neuron the combination of outputs that shows it with the least variance.

    `w_i = C^-1 c_i / (c_i^T C^-1 c_i)`, so that `w_i . c_i = 1`; C is the covariance of y with a ridge, because without
    noise it is singular when there are more outputs than neurons.

    Args:
        output_weights: A2 `(H, Dy)`.
        output_covariance: `(Dy, Dy)`.
        ridge: relative to the mean variance.

    Returns:
        W `(H, Dy)`; a neuron without output weights gets zeros.

    >>> output_projections(np.array([[2.0, 0.0]]), np.eye(2)).tolist()
    [[0.5, 0.0]]
    """
    size = len(output_covariance)
    mean_variance = float(np.trace(output_covariance)) / size
    covariance = output_covariance + (ridge * mean_variance or 1.0) * np.eye(size)
    solved = np.linalg.solve(covariance, output_weights.T).T
    strength = np.einsum("ik,ik->i", solved, output_weights)
    return solved / np.where(strength > 0, strength, np.inf)[:, None]


def recover_recurrent(contraction: Array, coeffs: tuple[float, ...] = QUADRATIC) -> Array:
    """Return U from the mean contraction of the mixed moment, `G = 4 c2^2 U`.

    Args:
        contraction: G `(H, H)`.
        coeffs: coefficients of f, lowest power first, of degree 2.

    Returns:
        U `(H, H)`.

    Source: ours; the paper goes by the fourth-order moment, see `recover_recurrent_from_order4`.

    >>> recover_recurrent(np.array([[2.0]])).tolist()
    [[0.5]]
    """
    return contraction / (4 * _quadratic_coefficient("recover_recurrent", coeffs) ** 2)


def recover_recurrent_from_order4(
    contraction: Array, sign_reference: Array, coeffs: tuple[float, ...] = QUADRATIC
) -> Array:
    """Return U from the mean contraction of the fourth-order moment, a rank-one matrix for each neuron.

    `F_i[p, q] = 8 c2^3 U_ip U_iq` and `24 c2^3 U_ip^2` on the diagonal: the row-wise Khatri-Rao product of U with
    itself in the dual basis. Determined up to a sign for each row.

    Args:
        contraction: F `(H, H, H)`, neuron i first.
        sign_reference: `(H, H)`, a rough U (`recover_recurrent`), whose rows decide the signs.
        coeffs: coefficients of f, lowest power first, of degree 2.

    Returns:
        U `(H, H)`.

    Source: following the approach of arXiv 1603.00954.

    >>> recover_recurrent_from_order4(np.array([[[6.0]]]), np.array([[-1.0]])).round(9).tolist()
    [[-0.5]]
    """
    cube = _quadratic_coefficient("recover_recurrent_from_order4", coeffs) ** 3
    units = len(contraction)
    pairs = contraction / (cube * np.where(np.eye(units, dtype=bool), 24.0, 8.0))
    rows = np.stack([_rank_one((pair + pair.T) / 2) for pair in pairs])
    signs = np.where(np.einsum("ij,ij->i", rows, sign_reference) < 0, -1.0, 1.0)
    return rows * signs[:, None]


def _rank_one(matrix: Array) -> Array:
    """Return the u for which `u u^T` is nearest to a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.sqrt(max(values[-1], 0.0)) * vectors[:, -1]


def _quadratic_coefficient(owner: str, coeffs: tuple[float, ...]) -> float:
    if len(coeffs) != 3 or coeffs[2] == 0:
        raise ValueError(
            f"{owner}: moments give the recurrent weights of a polynomial of degree 2 only, got coefficients {coeffs}. "
            "For degree 1 use recover_linear; for degree 3 start from 0 and refine."
        )
    return float(coeffs[2])
