import numpy as np
import pytest
import torch
from reservoirpy.nodes import Reservoir, Ridge

from lightning_neuro.reservoir.measures.drive import as_drive, column_of, states_of

U = np.random.default_rng(0).uniform(-1, 1, (40, 1))


def test_a_node_is_left_as_it_was_and_states_start_from_zero():
    node = Reservoir(10, seed=1)
    expected = Reservoir(10, seed=1).run(U)
    np.testing.assert_array_equal(states_of(node, U), expected)
    assert not node.initialized
    node.run(U[:5])
    before = node.state["out"].copy()
    np.testing.assert_array_equal(states_of(node, U, washout=7), expected[7:])
    np.testing.assert_array_equal(node.state["out"], before)


def test_a_model_gives_its_output():
    model = Reservoir(10, seed=1) >> Reservoir(6, seed=2)
    expected = Reservoir(6, seed=2).run(Reservoir(10, seed=1).run(U))
    np.testing.assert_array_equal(states_of(model, U), expected)


def test_tensors_lists_and_modules():
    states = torch.ones(40, 3, dtype=torch.float32, requires_grad=True)
    found = states_of(states, U)
    assert found.dtype == np.float64
    assert found.shape == (40, 3)
    linear = torch.nn.Linear(1, 4)
    with torch.no_grad():
        expected = linear(torch.as_tensor(U, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(states_of(linear, U), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("source", "inputs", "washout", "words"),
    [
        (np.ones((5, 2)), np.ones((6, 1)), 0, "as many steps as the states, 5, got 6"),
        (np.ones((5, 2)), None, 5, "longer than the washout of 5 steps, got 5"),
        (np.array([[0.0, np.nan]]), None, 0, "column 1 at step 0"),
        (np.ones((2, 2, 2)), None, 0, "one series"),
        (Reservoir(5, seed=0), None, 0, "inputs are needed"),
        (Reservoir(5, seed=0), np.array([[np.inf]]), 0, "inputs must be finite"),
        (
            Reservoir(5, seed=0, sr=20.0, rc_connectivity=1.0, input_connectivity=1.0, activation="identity"),
            np.ones((300, 1)),
            0,
            "unstable",
        ),
    ],
)
def test_bad_values(source, inputs, washout, words):
    with pytest.raises(ValueError, match=words):
        states_of(source, inputs, washout=washout)


def test_bad_types():
    with pytest.raises(TypeError, match="got object"):
        states_of(object(), U)
    with pytest.raises(TypeError, match="real numbers"):
        as_drive(np.array(["a", "b"]))


def test_a_column_must_vary():
    with pytest.raises(ValueError, match="column 0 of inputs must vary, got 1"):
        column_of(np.ones((4, 1)), 0, owner="x")
    with pytest.raises(ValueError, match="at most 0"):
        column_of(U, 1, owner="x")


def test_a_model_of_several_outputs_is_refused():
    reservoir = Reservoir(5, seed=0)
    model = reservoir >> [Reservoir(3, seed=1, name="left"), Reservoir(3, seed=2, name="right")]
    with pytest.raises(ValueError, match="one output"):
        states_of(model, U)


def test_a_fitted_readout_counts_as_a_model():
    model = Reservoir(10, seed=1) >> Ridge(ridge=1e-6)
    model.fit(U, np.roll(U, 1))
    assert states_of(model, U).shape == (40, 1)
