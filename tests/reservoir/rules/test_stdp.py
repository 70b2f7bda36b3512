import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.reservoir.node import SelfOrganizingReservoir
from lightning_neuro.reservoir.rules import STDP
from lightning_neuro.reservoir.rules.stdp import stdp
from lightning_neuro.reservoir.rules.synapses import Synapses


@given(st.integers(0, 10_000))
def test_what_one_direction_gains_the_other_loses(seed):
    rng = np.random.default_rng(seed)
    before, after = rng.random((2, 1, 6))
    change = stdp(Synapses(np.ones((6, 6))), before, after).reshape(6, 6)
    np.testing.assert_allclose(change, -change.T, atol=1e-14)
    np.testing.assert_allclose(change, np.outer(after, before) - np.outer(before, after), atol=1e-14)


def test_a_reversed_series_learns_the_opposite():
    synapses = Synapses(np.random.default_rng(0).random((5, 5)) < 0.5)
    rng = np.random.default_rng(1)
    before, after = rng.random((3, 5)), rng.random((3, 5))
    np.testing.assert_allclose(stdp(synapses, before, after), -stdp(synapses, after, before))


def test_weights_keep_within_bounds():
    series = np.random.default_rng(0).uniform(0, 1, (300, 1))
    node = SelfOrganizingReservoir(20, [STDP(5.0, bounds=(0.0, 0.4))], activation="sigmoid", seed=0)
    node.adapt(series)
    assert node.W.data.min() == 0.0
    assert node.W.data.max() == 0.4


def test_bounds_come_in_order():
    with pytest.raises(ValueError, match="the upper bound must be at least 1, got 0"):
        STDP(bounds=(1.0, 0.0))
    with pytest.raises(ValueError, match="learning_rate must be greater than 0"):
        STDP(0.0)
