import pickle
from dataclasses import replace

import numpy as np
import pytest
from support.polynomial_nets import random_net

from lightning_neuro.spectral_rnn import SpectralTokenRNN

VOCABULARY = 8
NET = random_net(0, VOCABULARY, 2, 3, offset=False)


def markov(count, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(VOCABULARY, 2.0), size=VOCABULARY).cumsum(axis=1)
    tokens = np.zeros(count, int)
    for step, draw in enumerate(rng.random(count)):
        tokens[step] = min(np.searchsorted(rows[tokens[step - 1]], draw), VOCABULARY - 1)
    return tokens


TOKENS = markov(60_000)
Y = NET.predict(np.eye(VOCABULARY)[TOKENS])


@pytest.fixture(scope="module")
def fitted():
    return SpectralTokenRNN(2, n_tokens=VOCABULARY, seed=0).fit(TOKENS[:, None], Y)


def test_it_predicts_what_the_network_says(fitted):
    fresh = markov(2000, seed=1)
    wanted = NET.predict(np.eye(VOCABULARY)[fresh])
    fitted.reset()
    missed = fitted.run(fresh[:, None]) - wanted
    assert np.square(missed).mean() < 0.02 * wanted.var()
    assert fitted.diagnostics_.unseen == 0
    assert fitted.diagnostics_.n_steps == 59_999


def test_one_hot_rows_and_numbers_are_the_same(fitted):
    one_hot = SpectralTokenRNN(2, seed=0).fit(np.eye(VOCABULARY)[TOKENS], Y)
    np.testing.assert_allclose(one_hot.A1_, fitted.A1_)
    one_hot.reset()
    fitted.reset()
    np.testing.assert_allclose(one_hot.run(np.eye(VOCABULARY)[TOKENS[:50]]), fitted.run(TOKENS[:50, None]))


def test_run_equals_steps_and_the_plain_node(fitted):
    fitted.reset()
    whole = fitted.run(TOKENS[:50, None])
    fitted.reset()
    np.testing.assert_allclose([fitted.step(token) for token in TOKENS[:50, None]], whole, atol=1e-12)
    hidden = fitted.to_node().run(np.eye(VOCABULARY)[TOKENS[:50]])
    np.testing.assert_allclose(hidden @ fitted.A2_, whole, atol=1e-12)


def test_streams_and_parts_add_up(fitted):
    first, second = (SpectralTokenRNN(2, n_tokens=VOCABULARY, seed=0) for _ in range(2))
    first.accumulate(TOKENS[:30_000, None], Y[:30_000])
    second.accumulate(TOKENS[30_000:, None], Y[30_000:])
    merged = SpectralTokenRNN(2, n_tokens=VOCABULARY, seed=0).merge(first).merge(second).finalize()
    assert merged.diagnostics_.n_steps == 59_998  # the pair at the border is not one
    np.testing.assert_allclose(np.abs(merged.A1_).sum(), np.abs(fitted.A1_).sum(), rtol=0.1)
    assert np.isfinite(merged.run(TOKENS[:9, None])).all()


def test_missing_targets_and_warmup_are_left_out():
    y = Y.copy()
    y[::5] = np.nan
    node = SpectralTokenRNN(2, n_tokens=VOCABULARY, seed=0).fit(TOKENS[:, None], y, warmup=10)
    assert node.diagnostics_.n_steps == np.isfinite(y[10:, 0]).sum()


def test_it_pickles(fitted):
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fitted)).run(TOKENS[:9, None]), fitted.run(TOKENS[:9, None])
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: SpectralTokenRNN(0), ValueError, "units must be at least 1"),
        (lambda: SpectralTokenRNN(2, n_tokens=1), ValueError, "n_tokens must be at least 2"),
        (lambda: SpectralTokenRNN(2, n_tokens=8).run(TOKENS[:, None]), RuntimeError, r"expected fit\(x, y\)"),
        (lambda: SpectralTokenRNN(2, n_tokens=8).finalize(), RuntimeError, "got no data"),
        (lambda: SpectralTokenRNN(2, n_tokens=8).fit(TOKENS[:, None]), ValueError, "needs outputs"),
        (lambda: SpectralTokenRNN(2, n_tokens=4).fit(TOKENS[:, None], Y), ValueError, "tokens must be 0 to 3"),
        (lambda: SpectralTokenRNN(2, n_tokens=8).fit(TOKENS[:, None] + 0.5, Y), ValueError, "whole numbers"),
        (lambda: SpectralTokenRNN(2).fit(np.ones((9, 3)), Y[:9]), ValueError, "rows of x must be one-hot"),
        (lambda: SpectralTokenRNN(2, n_tokens=9).fit(TOKENS[:, None], Y), ValueError, r"tokens \[8\] were not seen"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_diagnostics_are_a_table_and_a_plot(fitted):
    pytest.importorskip("matplotlib")
    found = fitted.diagnostics_
    assert found.table().splitlines()[-1].split()[-1] == "59999"
    assert len(found.plot().lines[0].get_xdata()) == found.units
    weak = replace(found, singular_values=np.array([1.0, 0.2, 0.19, 0.1]), residual=0.7, unseen=3)
    assert weak.table().count("!") == 3
