"""What no data can tell apart: order, signs and scales of neurons; the canonical choice, and the nearest to another."""

from dataclasses import replace

import numpy as np

from lightning_neuro.spectral_rnn.matching import match_components
from lightning_neuro.spectral_rnn.model import PolynomialModel, degree, is_monomial, parity
from lightning_neuro.spectral_rnn.series import Array, Steps


def permuted(model: PolynomialModel, order: Steps) -> PolynomialModel:
    """Return the same network with its neurons in another order.

    >>> swapped = permuted(PolynomialModel(np.eye(2), [[1.0, 2.0], [3.0, 4.0]], np.eye(2)), np.array([1, 0]))
    >>> swapped.recurrent_weights.tolist()
    [[4.0, 3.0], [2.0, 1.0]]
    """
    return replace(
        model,
        input_weights=model.input_weights[order],
        recurrent_weights=model.recurrent_weights[np.ix_(order, order)],
        output_weights=model.output_weights[order],
        bias=model.bias[order],
    )


def rescaled(model: PolynomialModel, factors: Array) -> PolynomialModel:
    """Return the network with each neuron's preactivation times a factor, which keeps its predictions.

    A neuron's state becomes `factor^l` times as large (l: the degree), so `a_i -> f_i a_i`, `U_ij -> f_i U_ij / f_j^l`,
    `A2[i] -> A2[i] / f_i^l`. Any factor but 0 will do for `f(z) = c z^l`, and -1 for every even polynomial (the state
    stays) and every odd one (it changes sign).

    Args:
        model: the network.
        factors: `(H,)`.

    Raises:
        ValueError: the polynomial does not allow this factor.

    >>> rescaled(PolynomialModel([[1.0]], [[0.5]], [[3.0]]), np.array([-2.0])).recurrent_weights.tolist()
    [[-0.25]]
    """
    allowed = is_monomial(model.coeffs) or (parity(model.coeffs) != "mixed" and (np.abs(factors) == 1).all())
    if not (allowed or (factors == 1).all()) or not np.all(factors):
        raise ValueError(f"rescaled: a neuron with the polynomial {model.coeffs} cannot be scaled by {factors}.")
    of_state = factors ** degree(model.coeffs) if is_monomial(model.coeffs) else _sign_of_state(model, factors)
    return replace(
        model,
        input_weights=factors[:, None] * model.input_weights,
        recurrent_weights=factors[:, None] * model.recurrent_weights / of_state,
        output_weights=model.output_weights / of_state[:, None],
        bias=factors * model.bias,
    )


def _sign_of_state(model: PolynomialModel, factors: Array) -> Array:
    return np.ones_like(factors) if parity(model.coeffs) == "even" else factors


def canonicalize(model: PolynomialModel) -> PolynomialModel:
    """Return the one network among those that predict the same that all agree on.

    Rows of A1 have length one (only `f(z) = c z^l` allows that) and their largest entry positive (even or odd f);
    neurons are in order of falling `||A2[i]||`, ties by their rows of A1.

    >>> canonical = canonicalize(PolynomialModel([[-2.0]], [[0.5]], [[3.0]]))
    >>> canonical.input_weights.tolist(), canonical.recurrent_weights.tolist(), canonical.output_weights.tolist()
    ([[1.0]], [[-1.0]], [[12.0]])
    """
    rows = model.input_weights
    factors = np.ones(model.units)
    lengths = np.linalg.norm(rows, axis=1)
    if is_monomial(model.coeffs):
        factors = np.where(lengths > 0, 1 / np.where(lengths > 0, lengths, 1.0), 1.0)
    if parity(model.coeffs) != "mixed":
        largest = rows[np.arange(model.units), np.abs(rows).argmax(axis=1)]
        factors = np.where(largest < 0, -factors, factors)
    scaled = rescaled(model, factors)
    norms = np.linalg.norm(scaled.output_weights, axis=1)
    keys = [*scaled.input_weights.T[::-1], -norms.round(12)]
    return permuted(scaled, np.lexsort(keys))


def match(model: PolynomialModel, reference: PolynomialModel) -> PolynomialModel:
    """Return the network among those that predict the same whose neurons lie nearest to the reference's.

    Neurons are paired by the angle between rows of A1 and take the reference's sign and, if free, length.

    Raises:
        ValueError: the two differ in shape or polynomial.

    >>> a = PolynomialModel(np.eye(2), np.zeros((2, 2)), np.eye(2))
    >>> match(permuted(rescaled(a, np.array([-2.0, 1.0])), np.array([1, 0])), a).input_weights.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if model.coeffs != reference.coeffs:
        raise ValueError(f"match: the polynomials must be the same, got {model.coeffs} and {reference.coeffs}.")
    found = match_components(model.input_weights.T, reference.input_weights.T)
    ordered = permuted(model, found.permutation)
    factors = np.ones(model.units)
    if parity(model.coeffs) != "mixed":
        factors = found.signs
    if is_monomial(model.coeffs):
        wanted, here = (np.linalg.norm(each.input_weights, axis=1) for each in (reference, ordered))
        factors = factors * np.where((here > 0) & (wanted > 0), wanted / np.where(here > 0, here, 1.0), 1.0)
    return rescaled(ordered, factors)


def relative_errors(model: PolynomialModel, reference: PolynomialModel) -> dict[str, float]:
    """Return `||estimate - truth|| / ||truth||` of A1, U and A2 after matching.

    >>> a = PolynomialModel(np.eye(2), np.eye(2), np.eye(2))
    >>> relative_errors(canonicalize(a), a)
    {'A1': 0.0, 'U': 0.0, 'A2': 0.0}
    """
    near = match(model, reference)
    pairs = {
        "A1": (near.input_weights, reference.input_weights),
        "U": (near.recurrent_weights, reference.recurrent_weights),
        "A2": (near.output_weights, reference.output_weights),
    }
    return {
        name: float(np.linalg.norm(found - wanted) / (np.linalg.norm(wanted) or 1.0))
        for name, (found, wanted) in pairs.items()
    }
