import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.reservoir.node import SelfOrganizingReservoir
from lightning_neuro.reservoir.rules import Hebb, Normalize
from lightning_neuro.reservoir.rules.normalize import normalized
from lightning_neuro.reservoir.rules.synapses import Synapses


@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_norms_become_the_value_and_directions_stay(seed, value):
    rng = np.random.default_rng(seed)
    matrix = np.where(rng.random((6, 6)) < 0.7, rng.normal(size=(6, 6)), 0.0)
    for norm, order in (("l1", 1), ("l2", 2)):
        synapses = Synapses(matrix)
        synapses.weights[:] = normalized(synapses, norm, value)
        filled = (matrix != 0).any(axis=1)
        np.testing.assert_allclose(np.linalg.norm(synapses.dense(), order, axis=1)[filled], value, rtol=1e-12)
        np.testing.assert_array_equal(np.sign(synapses.dense()), np.sign(matrix))


def test_the_spectral_norm_scales_the_largest_eigenvalue():
    synapses = Synapses(np.random.default_rng(0).normal(size=(20, 20)))
    synapses.weights[:] = normalized(synapses, "spectral", 0.9)
    assert abs(np.linalg.eigvals(synapses.dense())).max() == pytest.approx(0.9, rel=1e-10)


def test_what_cannot_be_scaled_stays():
    nilpotent = Synapses(np.diag(np.ones(4), -1))
    np.testing.assert_array_equal(normalized(nilpotent, "spectral", 0.5), nilpotent.weights)
    silent = Synapses(np.zeros((3, 3)))
    assert normalized(silent, "l1").shape == (0,)


def test_in_a_list_it_bounds_what_hebb_would_let_grow():
    series = np.random.default_rng(1).uniform(-1, 1, (500, 1))
    node = SelfOrganizingReservoir(30, [Hebb(0.1), Normalize("l2", 0.8)], seed=0)
    node.adapt(series)
    sizes = np.sqrt((node.W.toarray() ** 2).sum(axis=1))
    np.testing.assert_allclose(sizes[sizes > 0], 0.8, rtol=1e-12)


def test_every_counts_steps_across_calls():
    series = np.random.default_rng(1).uniform(-1, 1, (30, 1))
    often, seldom = (SelfOrganizingReservoir(30, [Normalize("l2", 0.8, every)], seed=0) for every in (1, 50))
    often.adapt(series)
    seldom.adapt(series)
    drawn = SelfOrganizingReservoir(30, seed=0)
    drawn.initialize(series)
    np.testing.assert_array_equal(seldom.W.data, drawn.W.data)
    seldom.adapt(series)
    np.testing.assert_allclose(seldom.W.data, often.W.data, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"norm": "l3"}, "norm must be one of 'l1', 'l2', 'spectral', got 'l3'"),
        ({"value": 0.0}, "value must be greater than 0"),
        ({"every": 0}, "every must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Normalize(**arguments)
