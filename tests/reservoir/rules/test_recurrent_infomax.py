import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.reservoir.node import SelfOrganizingReservoir
from lightning_neuro.reservoir.rules import RecurrentInfomax
from lightning_neuro.reservoir.rules.recurrent_infomax import _rollout, gaussian_information, lagged_moments
from lightning_neuro.reservoir.rules.rule import Circuit, Plastic
from lightning_neuro.reservoir.rules.synapses import Synapses

SERIES = np.random.default_rng(6).uniform(-1, 1, (4, 1000, 1))


def linear_capacity(node, delays=40):
    """Squared correlations of past inputs with their best linear readouts, states seen through noise, summed."""
    rng = np.random.default_rng(9)
    u = rng.uniform(-1, 1, (3000, 1))
    node.reset()
    states = node.run(u)[200:] + rng.normal(0, 0.05, (2800, node.units))
    basis = np.linalg.qr(states - states.mean(axis=0))[0]
    past = np.stack([u[200 - delay : 3000 - delay, 0] for delay in range(1, delays + 1)], axis=1)
    past -= past.mean(axis=0)
    return float((((basis.T @ past) ** 2).sum(axis=0) / (past**2).sum(axis=0)).sum())


@given(st.integers(0, 1000))
def test_information_is_that_of_the_determinants_and_symmetric(seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(6, 6))
    joint = root @ root.T + 0.1 * np.eye(6)
    half = np.linalg.slogdet(joint[:3, :3])[1] + np.linalg.slogdet(joint[3:, 3:])[1] - np.linalg.slogdet(joint)[1]
    found = gaussian_information(torch.from_numpy(joint)).item()
    swapped = np.roll(joint, (3, 3), axis=(0, 1))
    assert found == pytest.approx(half / 2, abs=1e-9)
    assert found == pytest.approx(gaussian_information(torch.from_numpy(swapped)).item(), abs=1e-9)
    assert found >= 0


def test_halves_that_know_nothing_of_each_other_share_nothing():
    assert gaussian_information(torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0]))).item() == pytest.approx(0, abs=1e-7)


def test_moments_pair_each_state_with_the_next_of_its_own_series():
    states = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 3, 2)))
    mean, second = lagged_moments(states)
    pairs = np.array([[*states[t, b], *states[t + 1, b]] for t in range(4) for b in range(3)])
    np.testing.assert_allclose(mean, pairs.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(second, pairs.T @ pairs / 12, atol=1e-14)


@pytest.mark.parametrize("leak_inside", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "identity", "softplus", "relu"])
def test_the_differentiable_rollout_is_the_node(leak_inside, activation):
    node = SelfOrganizingReservoir(
        20, seed=0, lr=0.4, activation=activation, sr=0.5, bias=0.1, equation="external" if leak_inside else "internal"
    )
    node.a, node.b = np.linspace(0.5, 1.5, 20), np.linspace(-0.2, 0.2, 20)
    expected = node.run(SERIES[:, :60])
    plastic = Plastic(Synapses(node.W), node.a, node.b)
    circuit = Circuit(list(SERIES), node.Win, node.bias, node.lr, node.activation, leak_inside)
    weights = torch.tensor(plastic.synapses.weights)
    rest = (torch.zeros(4, 20, dtype=torch.float64),) * 2
    first, rest = _rollout(weights, plastic, circuit, torch.from_numpy(circuit.currents(0, 25, 4)), rest)
    second, _ = _rollout(weights, plastic, circuit, torch.from_numpy(circuit.currents(25, 60, 4)), rest)
    np.testing.assert_allclose(torch.cat([first, second]).transpose(0, 1).numpy(), expected, atol=1e-13)


@pytest.mark.parametrize("seed", [0, 1])
def test_information_rises_epoch_by_epoch_and_memory_with_it(seed):
    node = SelfOrganizingReservoir(
        30, [RecurrentInfomax()], sr=0.5, seed=seed, input_connectivity=1.0, rc_connectivity=0.3, input_scaling=0.5
    )
    node.initialize(SERIES[0])
    pattern, before = (node.W.indices, node.W.indptr), linear_capacity(node)
    history = node.adapt(SERIES, epochs=4, washout=100)
    assert np.all(np.diff(history["recurrent_infomax"]) > 0.5)
    assert linear_capacity(node) > before + 1
    np.testing.assert_array_equal(node.W.indices, pattern[0])
    np.testing.assert_array_equal(node.W.indptr, pattern[1])


@pytest.mark.parametrize("start", [0.2, -0.2])
def test_one_linear_unit_is_driven_to_its_bound_on_the_side_it_starts(start):
    rule = RecurrentInfomax(0.1, max_spectral_radius=0.95, mean_penalty=0.0)
    node = SelfOrganizingReservoir(W=np.array([[start]]), Win=np.eye(1), activation="identity", rules=[rule])
    node.adapt(SERIES[:1], epochs=4)
    assert node.W[0, 0] == pytest.approx(np.copysign(0.95, start), abs=1e-9)


def test_the_penalty_holds_the_mean():
    free, held = (
        SelfOrganizingReservoir(
            20, [RecurrentInfomax(mean_penalty=penalty)], sr=0.5, seed=1, bias=0.3, rc_connectivity=0.3
        )
        for penalty in (0.0, 100.0)
    )
    means = [(node.adapt(SERIES, epochs=3).unit_mean[-1] ** 2).sum() for node in (free, held)]
    assert means[1] < 0.8 * means[0]


def test_ragged_series_and_leak_go_through():
    node = SelfOrganizingReservoir(10, [RecurrentInfomax(length=50)], lr=0.5, seed=0, equation="external")
    history = node.adapt([SERIES[0, :60], SERIES[1, :230], SERIES[2, :110]])
    assert np.isfinite(history["recurrent_infomax"]).all()


def test_series_shorter_than_a_window_are_refused():
    node = SelfOrganizingReservoir(10, [RecurrentInfomax()], seed=0)
    with pytest.raises(ValueError, match=r"washout \+ length = 120 steps, got 90\. Give a smaller length"):
        node.adapt(SERIES[:, :90], washout=20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be greater than 0"),
        ({"noise_std": 0.0}, "noise_std must be greater than 0"),
        ({"memory": 1.0}, "memory must be at least 0 and less than 1"),
        ({"max_spectral_radius": 0.0}, "max_spectral_radius must be greater than 0"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RecurrentInfomax(**arguments)


def test_an_activation_without_a_derivative_is_refused():
    with pytest.raises(ValueError, match="RecurrentInfomax: activation must be one of"):
        SelfOrganizingReservoir(10, [RecurrentInfomax()], activation=np.sin)
