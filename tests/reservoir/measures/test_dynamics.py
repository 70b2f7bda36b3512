"""Echo states, the Derrida curve, separation, and the edge of chaos."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reservoirpy.nodes import Reservoir

from lightning_neuro.reservoir.measures.derrida import derrida
from lightning_neuro.reservoir.measures.echo_state import echo_state
from lightning_neuro.reservoir.measures.edge_of_chaos import edge_of_chaos
from lightning_neuro.reservoir.measures.lyapunov import lyapunov_exponent
from lightning_neuro.reservoir.measures.maps import FunctionMap, ReservoirMap
from lightning_neuro.reservoir.measures.separation import separation

U = np.random.default_rng(0).uniform(-1, 1, 1200)


def identity(z):
    return z


def linear(weights, scale=1.0):
    return ReservoirMap(np.asarray(weights, float), scale * np.ones((len(weights), 1)), function=identity)


def node(radius, units=60, scale=0.1, **options):
    options = {"rc_connectivity": 1.0, "input_connectivity": 1.0, "seed": 0} | options
    return Reservoir(units, sr=radius, input_scaling=scale, **options)


# Echo states


def test_gold_verdicts():
    silent = ReservoirMap(np.zeros((4, 4)), np.ones((4, 1)))
    assert echo_state(silent, U[:5]).verdict == "guaranteed"
    assert float(echo_state(silent, U[:5])) == -math.inf
    turning = np.linalg.qr(np.random.default_rng(0).standard_normal((10, 10)))[0]
    rotation = ReservoirMap(0.99 * turning, np.ones((10, 1)))
    found = echo_state(rotation, U)
    assert found.verdict == "guaranteed"
    assert found.details["singular_value"] == pytest.approx(0.99)
    shift = ReservoirMap(3 * np.eye(8, k=-1), np.ones((8, 1)))
    found = echo_state(shift, U[:20])
    assert found.details["singular_value"] == pytest.approx(3)
    assert found.details["absolute"] < 1
    assert found.verdict == "guaranteed"
    assert found.curve[-1] == 0


def test_gold_a_strong_input_brings_a_chaotic_reservoir_together():
    weak, strong = (echo_state(node(1.5, units=100, scale=scale), U) for scale in (0.01, 10.0))
    assert weak.verdict == "fails"
    assert weak.curve[-1] > 0.1
    assert strong.verdict == "likely for this input"
    assert weak.details["linearised"] == strong.details["linearised"] == pytest.approx(1.5)


def test_states_meet_at_the_rate_of_the_lyapunov_exponent():
    reservoir = node(0.9)
    exponent = float(lyapunov_exponent(reservoir, U, washout=100))
    assert float(echo_state(reservoir, U)) == pytest.approx(exponent, abs=0.02)


@given(st.integers(0, 100), st.floats(0.1, 1.0), st.floats(0.2, 2.0))
def test_a_guarantee_is_kept(seed, leak, radius):
    reservoir = node(radius, units=12, scale=1.0, lr=leak, seed=seed)
    found = echo_state(reservoir, np.random.default_rng(seed).uniform(-1, 1, 1500))
    if found.details["guaranteed"] and max(found.details["singular_value"], found.details["absolute"]) < 0.97:
        assert found.details["met"]
    if found.details["linearised"] >= 1:
        assert not found.details["guaranteed"]


def test_bounds_of_what_has_no_known_slope_or_no_rest_are_none():
    assert echo_state(FunctionMap(np.cos, 1), U[:50]).details["singular_value"] is None
    assert echo_state(node(0.5, bias=0.3), U[:50]).details["linearised"] is None


# Derrida


@given(st.integers(0, 1000))
def test_a_linear_reservoir_stretches_all_distances_alike(seed):
    weights = 0.7 * np.eye(9)[np.random.default_rng(seed).permutation(9)]
    found = derrida(linear(weights), U[:60], pairs=7, seed=seed)
    np.testing.assert_allclose(found.curve, 0.7 * found.curve_at, rtol=1e-6)
    assert found.details["exponent"] == pytest.approx(math.log(0.7), abs=1e-5)
    assert found.details["crossing"] == 0


def test_the_slope_passes_one_with_the_spectral_radius():
    low, high = (derrida(node(radius), U[:400], washout=100) for radius in (0.5, 3.0))
    assert float(low) < 1 < float(high)
    assert high.curve[-1] < high.curve_at[-1] * float(high)


@pytest.mark.parametrize("heard_by", [1, 2, 3])
def test_gold_a_flip_reaches_as_many_units_as_copy_it(heard_by):
    weights = sum(np.eye(12)[np.roll(np.arange(12), shift)] for shift in range(heard_by))
    # Sums of bits modulo 2: every flip gets through.
    found = derrida(FunctionMap(lambda x: (weights @ (1 - x) % 2).astype(float), 12), U[:30], pairs=20)
    assert found.params["binary"]
    assert found.curve_at[0] == pytest.approx(1 / 12)
    assert float(found) == pytest.approx(heard_by)


def test_what_is_cut_has_slope_zero():
    found = derrida(linear(np.zeros((5, 5))), U[:30])
    assert float(found) == 0
    assert found.details["exponent"] == -math.inf


# Separation


def test_gold_memoryless_units_separate_by_the_last_input_alone():
    streams = np.zeros((3, 5, 1))
    streams[:, -1, 0] = 0, 1, 3
    found = separation(linear(np.zeros((6, 6))), streams)
    assert float(found) == pytest.approx((1 + 3 + 2) / 3)
    assert found.curve == pytest.approx([1, 2, 3])
    assert found.details["network_mediated"] == pytest.approx(float(found))


def test_gold_classes():
    streams = np.array([0.0, 2.0, 10.0, 12.0]).reshape(4, 1, 1)
    found = separation(linear(np.zeros((1, 1))), streams, labels=["a", "a", "b", "b"])
    assert found.details["class_ratio"] == pytest.approx(10 / (1 + 1))


def test_a_chaotic_reservoir_separates_initial_states_as_well():
    streams = np.random.default_rng(1).uniform(-1, 1, (12, 80, 1))
    order, chaos = (separation(node(radius), streams) for radius in (0.9, 3.0))
    assert float(chaos) > float(order)
    assert order.details["network_mediated"] == pytest.approx(float(order), rel=0.05)
    assert chaos.details["network_mediated"] < 0.2 * float(chaos)


# Edge of chaos


def test_the_edge_is_where_the_exponent_is():
    reservoir = node(0.3)
    found = edge_of_chaos(reservoir, U, washout=200, tolerance=0.01)
    exponent = float(lyapunov_exponent(node(float(found)), U, washout=200))
    assert exponent == pytest.approx(found.details["exponent"], abs=1e-6)
    assert abs(exponent) < 0.01
    assert 1.0 < float(found) < 1.6
    assert (np.diff(found.curve_at) > 0).all()
    by_function = edge_of_chaos(node, U, washout=200, tolerance=0.01)
    assert float(by_function) == pytest.approx(float(found), abs=0.011)


def test_another_target():
    found = edge_of_chaos(linear(np.eye(3)), U[:50], target=math.log(0.5), tolerance=1e-6)
    assert float(found) == pytest.approx(0.5, abs=1e-5)


NODE = node(0.5, units=8)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: echo_state(np.zeros((5, 2)), U), TypeError, "no dynamics"),
        (lambda: echo_state(NODE, U, starts=0), ValueError, "starts must be at least 1"),
        (lambda: echo_state(NODE, [math.nan]), ValueError, "finite"),
        (lambda: echo_state(linear(1e30 * np.eye(2)), U), ValueError, "unstable"),
        (lambda: derrida(NODE, U, distances=[0.2, 0.1]), ValueError, "rising numbers"),
        (lambda: derrida(NODE, U[:5], washout=4), ValueError, "two steps longer"),
        (lambda: separation(NODE, np.zeros((1, 5, 1))), ValueError, "at least 2 streams"),
        (lambda: separation(NODE, np.full((2, 5, 1), np.nan)), ValueError, "finite"),
        (lambda: separation(NODE, np.zeros((2, 5, 1)), labels=[1, 1]), ValueError, "at least 2 classes"),
        (lambda: separation(linear(1e200 * np.eye(2)), np.ones((2, 9, 1))), ValueError, "ran away"),
        (lambda: edge_of_chaos(NODE, U, bracket=(0.1, 0.2)), ValueError, "inside the bracket"),
        (lambda: edge_of_chaos(linear(np.eye(4, k=1)), U), ValueError, "nilpotent"),
        (lambda: edge_of_chaos(3, U), TypeError, "a reservoir or a function"),
        (lambda: edge_of_chaos(FunctionMap(np.cos, 1), U), TypeError, "a reservoir or a function"),
    ],
)
def test_refusals(call, error, match):
    with pytest.raises(error, match=match):
        call()
