import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lightning_neuro.reservoir.rules.synapses import Synapses
from lightning_neuro.reservoir.sorn_dynamics import (
    Wiring,
    draw_recurrent,
    grow_and_prune,
    inhibitory_stdp,
    sorn_step,
)


@given(st.integers(0, 10_000))
def test_a_step_is_the_equations_unit_by_unit(seed):
    rng = np.random.default_rng(seed)
    w, to_e, to_i = rng.random((6, 6)), rng.random((6, 2)), rng.random((2, 6))
    t_e, t_i = rng.random(6), rng.random(2)
    x, y, u = rng.integers(2, size=6), rng.integers(2, size=2), rng.integers(2, size=6)
    margin, fired, inhibited = sorn_step(Wiring(w, to_e, to_i, t_e, t_i), x * 1.0, y * 1.0, u * 1.0)
    for i in range(6):
        drive = sum(w[i, j] * x[j] for j in range(6)) - sum(to_e[i, k] * y[k] for k in range(2)) - t_e[i]
        assert margin[i] == pytest.approx(drive, abs=1e-12)
        assert fired[i] == (drive + u[i] >= 0)
    for k in range(2):
        assert inhibited[k] == (sum(to_i[k, i] * fired[i] for i in range(6)) - t_i[k] >= 0)


def test_a_unit_just_at_threshold_fires():
    one, half = np.ones((1, 1)), np.array([0.5])
    assert sorn_step(Wiring(one, one, one, half, np.array([1.0])), np.zeros(1), np.zeros(1), half)[1:] == (1, 1)


@given(st.integers(0, 1000), st.floats(1, 20))
def test_recurrent_weights_have_rows_that_sum_to_1_and_no_loops(seed, connections):
    w = draw_recurrent(25, connections, np.random.default_rng(seed)).toarray()
    np.testing.assert_allclose(w.sum(axis=1), 1, atol=1e-12)
    assert np.trace(w) == 0
    assert w.min() >= 0


def test_units_have_as_many_inputs_as_asked_for_on_average():
    counts = [np.diff(draw_recurrent(200, 10, np.random.default_rng(seed)).indptr) for seed in range(20)]
    assert np.mean(counts) == pytest.approx(10, abs=4 * np.sqrt(10 / 4000))


def test_inhibitory_stdp_balances_near_the_target_rate():
    balance = 0.1 / 1.1
    rates = np.array([0.5, 1.0, 2.0]) * balance
    fired = np.random.default_rng(0).random((200_000, 3)) < rates
    drift = np.mean(
        [inhibitory_stdp(np.ones(1), chunk.mean(axis=0), 0.1)[:, 0] for chunk in np.split(fired, 10)], axis=0
    )
    assert drift[0] < -0.4
    assert drift[1] == pytest.approx(0, abs=0.03)
    assert drift[2] > 0.9


def test_growth_adds_one_absent_synapse_and_drops_those_of_weight_0():
    rng, weights = np.random.default_rng(0), np.array([[0.0, 0.4, 0.6], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    start = Synapses(weights)
    start.weights[0] = 0.0  # a synapse that has shrunk to nothing
    pairs = []
    for _ in range(3000):
        grown = grow_and_prune(start, 0.001, rng).dense()
        (place,) = np.argwhere(grown == 0.001)
        pairs.append(tuple(place))
        grown[tuple(place)] = 0
        np.testing.assert_array_equal(grown, start.dense())
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    assert found.tolist() == [[0, 1], [1, 2], [2, 0]]
    assert stats.chisquare(counts).pvalue > 1e-3


def test_a_full_net_grows_no_further():
    full = Synapses(1 - np.eye(3))
    np.testing.assert_array_equal(grow_and_prune(full, 0.1, np.random.default_rng(0)).dense(), full.dense())
