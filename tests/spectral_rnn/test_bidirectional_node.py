import pickle
from itertools import permutations

import numpy as np
import pytest
from joblib import parallel_config
from reservoirpy.nodes import Input
from support.polynomial_nets import random_net, random_series

from lightning_neuro.spectral_rnn import SpectralBiRNN
from lightning_neuro.spectral_rnn.bidirectional import BidirectionalModel

INPUTS, UNITS = 6, 2


def two_way(seed=0):
    onward, back = (random_net(seed + k, INPUTS, UNITS, 5, offset=False, coupling=0.15) for k in (0, 100))
    return BidirectionalModel(onward, back, np.array([1.0, 0.0, -1.0, 0.5, 2.0]))


X = random_series(200, 100, INPUTS)
Y = np.stack(two_way().predict_all(list(X)))


@pytest.fixture(scope="module")
def fitted():
    return SpectralBiRNN(UNITS, seed=0).fit(X, Y)


def error(found, wanted):
    """Relative error of rows, up to their order."""
    return min(
        np.linalg.norm(np.abs(found[list(order)]) - np.abs(wanted)) / np.linalg.norm(wanted)
        for order in permutations(range(len(wanted)))
    )


def test_it_finds_both_halves(fitted):
    truth = two_way()
    assert error(fitted.A1_, truth.forward.input_weights) < 1e-2
    assert error(fitted.B1_, truth.backward.input_weights) < 1e-2
    assert fitted.A2_.shape == (2 * UNITS, 5)
    np.testing.assert_allclose(fitted.run(X[0]), Y[0], atol=0.05 * Y.std())


def test_p10_time_reversed_data_swap_the_halves(fitted):
    turned = SpectralBiRNN(UNITS, seed=0).fit(X[:, ::-1], Y[:, ::-1])
    assert error(turned.A1_, fitted.B1_) < 1e-3
    assert error(turned.B1_, fitted.A1_) < 1e-3


def test_run_is_that_of_the_model_and_needs_the_whole_series(fitted):
    np.testing.assert_allclose(fitted.run(X[1]), fitted.model_.predict(X[1]), atol=1e-10)
    with parallel_config(backend="threading"):  # Processes would only import everything again.
        assert len(fitted.run([X[0], X[1][:9]], workers=2)[1]) == 9
    with pytest.raises(NotImplementedError, match=r"SpectralBiRNN: a step cannot be told .* Call run\(x\)"):
        fitted.step(X[0][0])


def test_it_is_the_last_node_of_a_model_and_pickles(fitted):
    model = Input() >> SpectralBiRNN(UNITS, seed=0)
    model.fit(X, Y)
    np.testing.assert_allclose(model.run(X[0]), fitted.run(X[0]), atol=1e-8)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).run(X[0]), fitted.run(X[0]))
    assert "SpectralBiRNN" in repr(fitted)


def test_refusals():
    with pytest.raises(ValueError, match="units must be a number, got 'auto'"):
        SpectralBiRNN("auto")
    with pytest.raises(ValueError, match=r"units|inputs"):
        SpectralBiRNN(4).fit(X, Y)
    with pytest.raises(RuntimeError, match=r"expected fit\(x, y\)"):
        SpectralBiRNN(2).run(X[0])


def test_outputs_are_cut_against_an_outlier():
    y = Y.copy()
    y[0, 10, 0] = 1e9
    node = SpectralBiRNN(UNITS, y_clip=0.999, seed=0).fit(X, y)
    clean = SpectralBiRNN(UNITS, seed=0).fit(X, Y)
    found, expected = (np.abs(each.A1_ @ clean.A1_.T).max(axis=1) for each in (node, clean))
    np.testing.assert_allclose(found, expected, atol=0.02)
