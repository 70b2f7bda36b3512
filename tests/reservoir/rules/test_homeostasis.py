import numpy as np
import pytest

from lightning_neuro.reservoir.node import SelfOrganizingReservoir
from lightning_neuro.reservoir.rules import Homeostasis
from lightning_neuro.reservoir.rules.homeostasis import flow_error

SERIES = np.random.default_rng(0).uniform(-1, 1, (8, 1500, 1))


def adapted(rule, epochs=1, **reservoir):
    node = SelfOrganizingReservoir(60, [rule], seed=0, rc_connectivity=0.3, **reservoir)
    return node, node.adapt(SERIES, epochs=epochs)


def test_thresholds_bring_every_unit_to_the_target_rate():
    _, history = adapted(Homeostasis("threshold", 0.2, 0.02), activation="sigmoid", epochs=2)
    np.testing.assert_allclose(history.unit_mean[-1], 0.2, atol=0.01)


def test_scaling_brings_rates_of_excited_units_to_the_target():
    rng = np.random.default_rng(1)
    excitation = rng.uniform(0, 0.01, (60, 60))
    node = SelfOrganizingReservoir(
        W=excitation,
        Win=rng.uniform(0, 0.2, (60, 1)),
        bias=0.2,
        activation="relu",
        rules=[Homeostasis("rate", 0.5, 0.01)],
    )
    before = node.run(abs(SERIES[0])).mean()
    node.adapt(abs(SERIES))
    node.reset()
    assert before < 0.45
    np.testing.assert_allclose(node.run(abs(SERIES[0]))[100:].mean(axis=0), 0.5, atol=0.03)


def test_scaling_brings_variances_to_the_target():
    node, _ = adapted(Homeostasis("variance", 0.2, 0.02), sr=0.7, bias=0.0, input_scaling=0.5, epochs=2)
    plain = SelfOrganizingReservoir(60, seed=0, rc_connectivity=0.3, sr=0.7, input_scaling=0.5)
    before, after = (one.run(SERIES).var(axis=(0, 1)).mean() for one in (plain, node))
    assert before < 0.12
    assert after == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("start", [0.4, 1.6])
def test_flow_control_brings_the_spectral_radius_to_the_target_from_both_sides(start):
    """Every unit has an input of its own: one they shared would pass for flow."""
    inputs = np.random.default_rng(0).normal(size=(4, 1500, 100))
    rule = Homeostasis("flow", 0.9, 0.03)
    node = SelfOrganizingReservoir(100, [rule], sr=start, rc_connectivity=0.2, Win=0.3 * np.eye(100), seed=0)
    history = node.adapt(inputs)
    assert history["spectral_radius"][-1] == pytest.approx(0.9, abs=0.1)


def test_the_flow_error_of_a_scaled_rotation_is_zero_at_its_radius_and_has_the_right_sign_beside_it():
    angle = 0.7
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    states = np.random.default_rng(2).normal(size=(4000, 2))
    for radius, sign in ((0.8, 0), (0.7, 1), (0.9, -1)):
        error = flow_error(states, states @ (radius * rotation).T, 0.8).sum()
        assert np.sign(round(error, 10)) == sign


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "calcium"}, "kind must be one of 'rate', 'variance', 'flow', 'threshold'"),
        ({"target": 0.0}, "target must be greater than 0"),
        ({"learning_rate": 0.0}, "learning_rate must be greater than 0"),
        ({"window": 0.0}, "window must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Homeostasis(**arguments)


def test_thresholds_may_aim_at_any_mean():
    assert Homeostasis("threshold", -0.2).target == -0.2
