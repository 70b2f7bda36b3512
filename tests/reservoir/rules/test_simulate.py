import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.reservoir.node import SelfOrganizingReservoir
from lightning_neuro.reservoir.rules import simulate
from lightning_neuro.reservoir.rules.rule import Circuit, Plastic
from lightning_neuro.reservoir.rules.simulate import blocks, steps
from lightning_neuro.reservoir.rules.synapses import Synapses


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 12))
def test_blocks_cover_every_step_of_every_series_once(lengths, longest):
    lengths = sorted(lengths, reverse=True)
    seen = np.zeros((len(lengths), max(lengths)), int)
    for start, stop, count in blocks(lengths, longest):
        assert 0 < stop - start <= longest
        seen[:count, start:stop] += 1
    np.testing.assert_array_equal(seen, [[1] * length + [0] * (max(lengths) - length) for length in lengths])


@pytest.mark.parametrize("equation", ["internal", "external"])
@pytest.mark.parametrize("numbers", [1, 10**6])
def test_steps_are_those_of_the_node_for_ragged_series_however_they_are_cut(equation, numbers, monkeypatch):
    monkeypatch.setattr(simulate, "_BLOCK_NUMBERS", numbers)
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(length, 2)) for length in (17, 9, 9, 3)]
    node = SelfOrganizingReservoir(15, seed=0, lr=0.3, bias=0.2, equation=equation)
    node.a, node.b = rng.uniform(0.5, 1.5, 15), rng.normal(size=15)
    expected = node.run(series)
    plastic = Plastic(Synapses(node.W), node.a, node.b)
    circuit = Circuit(series, node.Win, node.bias, node.lr, node.activation, equation == "external")
    before = np.zeros((4, 15))
    for place, activity in enumerate(steps(plastic, circuit)):
        running = [states[place] for states in expected if len(states) > place]
        np.testing.assert_allclose(activity.after, running, atol=1e-13)
        np.testing.assert_array_equal(activity.before, before[: len(running)])
        np.testing.assert_allclose(activity.recurrent, activity.before @ node.W.toarray().T, atol=1e-13)
        np.testing.assert_allclose(activity.fired, np.tanh(node.a * activity.net + node.b), atol=1e-13)
        before = activity.after
