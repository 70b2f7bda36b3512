from itertools import product

import numpy as np
import pytest

from lightning_neuro.spectral_rnn import tokens as t
from lightning_neuro.spectral_rnn.model import PolynomialModel
from lightning_neuro.spectral_rnn.symmetry import match, relative_errors

TOKENS, UNITS, OUTPUTS = 7, 2, 3


def random_model(seed):
    rng = np.random.default_rng(seed)
    a, u, c = (rng.standard_normal(shape) for shape in ((UNITS, TOKENS), (UNITS, UNITS), (UNITS, OUTPUTS)))
    return PolynomialModel(0.7 * a, 0.1 * u, c)


def chain(seed, forbidden=()):
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.full(TOKENS, 3.0), TOKENS)
    for before, now in forbidden:
        transition[before, now] = 0
    transition /= transition.sum(axis=1, keepdims=True)
    values, vectors = np.linalg.eig(transition.T)
    stationary = vectors[:, np.argmax(values.real)].real
    return transition, stationary / stationary.sum()


def exact_table(model, transition, stationary, steps=4):
    """Every series of a few tokens with its probability; the state before the first is zero."""
    table = t.PairTable.empty(TOKENS, OUTPUTS)
    series = np.array(list(product(range(TOKENS), repeat=steps)))
    chances = stationary[series[:, 0]] * transition[series[:, :-1], series[:, 1:]].prod(axis=1)
    y = np.array([outputs[-1] for outputs in model.predict_all(list(np.eye(TOKENS)[series]))])
    np.add.at(table.counts, (series[:, -1], series[:, -2]), chances)
    np.add.at(table.totals, (series[:, -1], series[:, -2]), chances[:, None] * y)
    return table


def test_exact_pairs_show_the_interaction_of_theory_and_recover_the_network():
    model, (transition, stationary) = random_model(0), chain(1)
    found = t.recover_from_pairs(exact_table(model, transition, stationary), UNITS, seed=0)
    near = match(found.model, model)
    assert found.residual < 1e-8
    errors = relative_errors(found.model, model)
    # The states before the last one are three steps old instead of stationary: all but forgotten.
    assert max(errors.values()) < 2e-2
    x = np.eye(TOKENS)[np.random.default_rng(2).integers(0, TOKENS, 50)]
    np.testing.assert_allclose(near.predict(x), model.predict(x), atol=0.05)


def test_pairs_that_never_occur_are_filled_in_and_counted():
    model, (transition, stationary) = random_model(0), chain(1, forbidden=[(3, 2), (5, 0)])
    found = t.recover_from_pairs(exact_table(model, transition, stationary), UNITS, seed=0)
    assert found.unseen == 2
    assert found.residual < 1e-2
    # Filling converges slowly, and a pair that is never seen says much about its tokens.
    assert max(relative_errors(found.model, model).values()) < 0.2


def test_pairs_of_a_long_series_approach_the_exact_table_and_merge():
    model, (transition, stationary) = random_model(0), chain(1)
    rng, n = np.random.default_rng(3), 20_000
    tokens = np.zeros(n, int)
    limits, draws = transition.cumsum(axis=1), rng.random(n)
    for step in range(1, n):
        tokens[step] = min(np.searchsorted(limits[tokens[step - 1]], draws[step]), TOKENS - 1)
    y = model.predict(np.eye(TOKENS)[tokens])
    whole, first, second = (t.PairTable.empty(TOKENS, OUTPUTS) for _ in range(3))
    whole.add(tokens, y)
    first.add(tokens[: n // 2], y[: n // 2])
    second.add(tokens[n // 2 - 1 :], np.concatenate([[[np.nan] * OUTPUTS], y[n // 2 :]]))
    first.merge(second)
    np.testing.assert_allclose(first.totals, whole.totals)
    exact = t.double_centred(exact_table(model, transition, stationary).means())
    gap = np.linalg.norm(t.double_centred(whole.means()) - exact)
    assert gap < 0.2 * np.linalg.norm(exact)


@pytest.mark.parametrize(
    ("tokens", "outputs", "units", "message"),
    [(8, 2, 3, "got 2 for 3"), (4, 4, 3, "at least 5 tokens, got 4"), (8, 4, 3, r"tokens \[0, .*were not seen")],
)
def test_what_pairs_cannot_show_is_refused(tokens, outputs, units, message):
    with pytest.raises(ValueError, match=message):
        t.recover_from_pairs(t.PairTable.empty(tokens, outputs), units)


def test_tokens_out_of_range_are_refused():
    with pytest.raises(ValueError, match="must be 0 to 2, got 1 to 3"):
        t.PairTable.empty(3, 1).add(np.array([1, 3]), np.zeros((2, 1)))
