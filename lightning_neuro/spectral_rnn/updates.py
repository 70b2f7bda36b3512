"""The step of refinement: new weights from the moments of the residual, with the recurrence held in bounds."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lightning_neuro.spectral_rnn.matching import match_components
from lightning_neuro.spectral_rnn.model import PolynomialModel, degree
from lightning_neuro.spectral_rnn.recovery import decompose_moment, model_moment
from lightning_neuro.spectral_rnn.series import Array


class Readings(NamedTuple):
    """Input weights `(H, Dx)` and output weights `(H, Dy)`, neurons in a given order."""

    input_weights: Array
    output_weights: Array


def corrected_readings(
    input_weights: Array, output_weights: Array, coeffs: tuple[float, ...], residual_moment: Array, size: float
) -> Readings:
    """Decompose `T(theta) + size * mean (y - yhat) (x) S_m`, and keep order and signs of the neurons.

    >>> a, c = np.eye(2), np.diag([3.0, -1.0])
    >>> corrected_readings(a, c, (0, 0, 1.0), np.zeros((2, 2, 2)), 1.0).output_weights.round(6).tolist()
    [[3.0, 0.0], [0.0, -1.0]]
    """
    moment = model_moment(input_weights, output_weights, coeffs) + size * residual_moment
    found = decompose_moment(moment, len(input_weights), coeffs, init=input_weights, n_pencils=0, n_restarts=0, seed=0)
    pairing = match_components(found.input_weights.T, input_weights.T)
    signs = pairing.signs[:, None]
    of_outputs = signs if degree(coeffs) % 2 else 1.0
    return Readings(
        found.input_weights[pairing.permutation] * signs, found.output_weights[pairing.permutation] * of_outputs
    )


def bounded(model: PolynomialModel, input_second_moment: Array, limit: float) -> PolynomialModel:
    """Return the model with every row of U shortened to at most `limit`, in units of each neuron's drive.

    With `s_i` the root mean square of `a_i . x` and l the degree of f, the row that counts is `U_ij s_j^l / s_i`: it
    does not change if x is given in other units. Polynomial recurrences explode when it is large.

    Args:
        model: the network.
        input_second_moment: mean of `x x^T`, `(Dx, Dx)`.
        limit: largest length of a row.

    >>> wild = PolynomialModel([[1.0]], [[2.0]], [[1.0]])
    >>> bounded(wild, np.eye(1), 0.3).recurrent_weights.tolist()
    [[0.3]]
    """
    rows = model.input_weights
    drive = np.sqrt(np.maximum(np.einsum("ia,ab,ib->i", rows, input_second_moment, rows), np.finfo(float).tiny))
    lengths = np.linalg.norm(model.recurrent_weights * drive ** degree(model.coeffs), axis=1) / drive
    factors = np.minimum(1.0, limit / np.maximum(lengths, np.finfo(float).tiny))
    return replace(model, recurrent_weights=model.recurrent_weights * factors[:, None])
