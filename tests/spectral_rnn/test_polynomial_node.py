import pickle

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reservoirpy.nodes import Input, Reservoir, Ridge
from support.polynomial_nets import random_net, random_series

from lightning_neuro.spectral_rnn import PolynomialRNN


def node(net, **options):
    return PolynomialRNN(net.input_weights, net.recurrent_weights, net.coeffs, **options)


@given(seed=st.integers(0, 1000), steps=st.integers(1, 400), cut=st.integers(0, 400))
def test_run_equals_steps_and_goes_on_where_it_stopped(seed, steps, cut):
    net, (x,) = random_net(seed), random_series(1, steps, seed=seed)
    whole = node(net).run(x)
    by_step = node(net)
    np.testing.assert_allclose([by_step.step(one) for one in x], whole, atol=1e-12)
    in_parts = node(net)
    parts = [part for part in (x[:cut], x[cut:]) if len(part)]
    np.testing.assert_allclose(np.concatenate([in_parts.run(part) for part in parts]), whole, atol=1e-12)


def test_states_are_those_of_the_model():
    net, (x,) = random_net(1), random_series(1, 50)
    np.testing.assert_allclose(node(net).run(x), net.states([x])[0], atol=1e-12)


def test_lists_and_arrays_of_series_start_from_the_present_state():
    net, x = random_net(2), random_series(3, 20)
    one = node(net)
    outputs = one.run(x)
    assert outputs.shape == (3, 20, 2)
    np.testing.assert_allclose(one.state["out"], outputs[-1, -1])
    one.reset()
    with joblib.parallel_config("threading"):  # processes of their own would import torch first
        assert isinstance(one.run([x[0], x[1][:7]], workers=2), list)


def test_it_composes_upstream_as_a_trainable_node_cannot():
    net, (x,) = random_net(3), random_series(1, 400)
    y = net.predict(x)
    for model in (
        node(net) >> Ridge(),
        node(net) >> Reservoir(20, seed=0) >> Ridge(ridge=1e-6),
        Input() >> [node(net), Reservoir(20, seed=0)] >> Ridge(ridge=1e-6),
    ):
        predicted = model.fit(x[:300], y[:300]).run(x[300:])
        assert np.isfinite(predicted).all()
    exact = (node(net) >> Ridge()).fit(x[:300], y[:300])
    np.testing.assert_allclose(exact.run(x[300:]), y[300:], atol=1e-6)


def test_it_pickles_and_shows_itself():
    net, (x,) = random_net(4), random_series(1, 30)
    one = node(net, max_abs_state=5.0)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).run(x), one.run(x))
    assert repr(one) == "PolynomialRNN(max_abs_state=5.0)"


def test_a_state_that_explodes_is_an_error_or_cut():
    with pytest.raises(FloatingPointError, match=r"PolynomialRNN: the state exploded at step 1, .* max_abs_state"):
        PolynomialRNN([[1.0]], [[10.0]]).run(np.array([[1e3], [1e3], [1e3]]))
    cut = PolynomialRNN([[1.0]], [[10.0]], max_abs_state=7.0).run(np.array([[1e3], [1e3], [0.0]]))
    assert cut.tolist() == [[7.0], [7.0], [7.0]]


def test_refusals():
    with pytest.raises(ValueError, match=r"PolynomialRNN: x must hold finite numbers, got \[nan\] at step 1"):
        PolynomialRNN([[1.0]], [[0.1]]).run(np.array([[0.0], [np.nan]]))
    with pytest.raises(ValueError, match="expected input_weights"):
        PolynomialRNN([[1.0]], np.eye(2))
    with pytest.raises(ValueError, match="max_abs_state must be greater than 0"):
        PolynomialRNN([[1.0]], [[0.1]], max_abs_state=0.0)
    with pytest.raises(ValueError, match="dimension"):
        PolynomialRNN([[1.0]], [[0.1]]).run(np.zeros((3, 2)))
