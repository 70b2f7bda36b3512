import numpy as np
import pytest
from reservoirpy.node import Node
from reservoirpy.nodes import IPReservoir, Reservoir

from lightning_neuro.reservoir.measures.maps import FunctionMap, ReservoirMap, as_map
from lightning_neuro.reservoir.node import SelfOrganizingReservoir

U = np.random.default_rng(0).uniform(-1, 1, (30, 2))


def nodes():
    external = SelfOrganizingReservoir(8, equation="external", lr=0.4, bias=0.3, seed=2, activation="sigmoid")
    ip = IPReservoir(8, sr=0.9, lr=0.7, seed=3)
    internal = SelfOrganizingReservoir(8, lr=0.6, bias=0.1, seed=4)
    for node in (external, ip, internal):
        node.initialize(U)
        node.a = np.linspace(0.5, 1.5, 8)
        node.b = np.linspace(-0.2, 0.2, 8)
    return [Reservoir(8, lr=np.linspace(0.2, 1, 8), bias=0.2, seed=1), external, ip, internal]


@pytest.mark.parametrize("kind", range(4))
def test_steps_equal_the_nodes_and_many_states_move_at_once(kind):
    node = nodes()[kind]
    system = as_map(node, U)
    expected = node.run(U)
    inner = node.state.get("internal", node.state["out"])
    state = np.stack([inner, inner + 0.1])
    np.testing.assert_allclose(system.output(state)[0], expected[-1], atol=1e-14)
    np.testing.assert_allclose(system.output(system.step(state, U[0]))[0], node.step(U[0]), atol=1e-14)
    np.testing.assert_allclose(system.step(state, U[0])[1], system.step(state[1], U[0]), atol=1e-14)


@pytest.mark.parametrize("kind", range(4))
def test_jacobian_equals_differences(kind):
    system = as_map(nodes()[kind], U)
    x = np.random.default_rng(1).uniform(-0.5, 0.5, 8)
    h = 1e-6
    steps = [(system.step(x + h * e, U[3]) - system.step(x - h * e, U[3])) / (2 * h) for e in np.eye(8)]
    np.testing.assert_allclose(system.jacobian(x, U[3]), np.array(steps).T, atol=1e-8)


class TwoPools(Node):
    """A state of two parts and no weights: each part a decaying sum of one column."""

    def initialize(self, x, y=None):
        self._set_input_dim(x)
        self.output_dim, self.initialized = 2, True
        self.state = {"out": np.zeros(2), "trace": np.zeros(3)}

    def _step(self, state, x):
        trace = 0.5 * state["trace"] + x[0]
        return {"out": 0.9 * state["out"] + x[1] + trace[:2], "trace": trace}


def test_a_node_without_weights_steps_its_whole_state():
    system = as_map(TwoPools(), U)
    state = np.array([[1.0, 2.0, 0.0, 2.0, 4.0], np.zeros(5)])
    u = np.array([1.0, 0.5])
    expected = [[2.4, 4.3, 1.0, 2.0, 3.0], [1.5, 1.5, 1.0, 1.0, 1.0]]
    assert isinstance(system, FunctionMap)
    np.testing.assert_allclose(system.step(state, u), expected)
    assert (system.units, system.smooth) == (5, False)


def test_refusals():
    with pytest.raises(ValueError, match=r"square, got shape \(2, 3\)"):
        ReservoirMap(np.ones((2, 3)), np.ones((2, 1)))
    with pytest.raises(TypeError, match="no dynamics"):
        as_map(np.ones((5, 2)), U)
    assert not ReservoirMap(np.eye(2), np.ones((2, 1)), function=np.sign).smooth
