import numpy as np
import pytest

from lightning_neuro.reservoir.node import SelfOrganizingReservoir
from lightning_neuro.reservoir.rules import PredictiveInformationAscent
from lightning_neuro.reservoir.rules.predictive_information import linear_predictive_information

SERIES = np.random.default_rng(6).uniform(-1, 1, (2, 600, 1))


def random_system(units=4, seed=0):
    rng = np.random.default_rng(seed)
    transition, root = rng.normal(size=(units, units)), rng.normal(size=(units, units))
    transition *= 0.8 / abs(np.linalg.eigvals(transition)).max()
    return transition, root @ root.T + np.eye(units)


@pytest.mark.parametrize("a", [0.0, 0.3, -0.8, 0.99])
def test_one_dimension_has_a_closed_form(a):
    value, gradient = linear_predictive_information(np.array([[a]]), np.array([[0.7]]))
    assert value == pytest.approx(-0.5 * np.log(1 - a * a), abs=1e-12)
    assert gradient[0, 0] == pytest.approx(a / (1 - a * a), abs=1e-9)


def test_the_value_is_the_mutual_information_of_successive_states():
    transition, noise = random_system()
    covariance = sum(
        np.linalg.matrix_power(transition, k) @ noise @ np.linalg.matrix_power(transition, k).T for k in range(400)
    )
    lagged = transition @ covariance
    joint = np.block([[covariance, lagged.T], [lagged, covariance]])
    expected = np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(joint)[1] / 2
    assert linear_predictive_information(transition, noise)[0] == pytest.approx(expected, abs=1e-10)


def test_the_gradient_is_that_of_finite_differences():
    transition, noise = random_system(seed=3)
    _, gradient = linear_predictive_information(transition, noise)
    step = 1e-6
    for place in np.ndindex(4, 4):
        shift = np.zeros((4, 4))
        shift[place] = step
        rise = linear_predictive_information(transition + shift, noise)[0]
        fall = linear_predictive_information(transition - shift, noise)[0]
        assert gradient[place] == pytest.approx((rise - fall) / (2 * step), abs=1e-7)


@pytest.mark.parametrize("start", [0.2, -0.2])
def test_one_linear_unit_is_driven_to_its_bound_on_the_side_it_starts(start):
    rule = PredictiveInformationAscent(0.05, max_spectral_radius=0.95)
    node = SelfOrganizingReservoir(W=np.array([[start]]), Win=np.eye(1), activation="identity", rules=[rule])
    history = node.adapt(SERIES[:1], epochs=4)
    assert node.W[0, 0] == pytest.approx(np.copysign(0.95, start), abs=1e-9)
    assert history["predictive_information"][-1] == pytest.approx(-0.5 * np.log(1 - 0.95**2), abs=1e-9)


@pytest.mark.parametrize("lr", [1.0, 0.6])
def test_information_of_a_linear_reservoir_never_falls_below_the_bound(lr):
    rule = PredictiveInformationAscent(0.02, steps=5, max_spectral_radius=0.9)
    node = SelfOrganizingReservoir(
        15, [rule], lr=lr, sr=0.3, seed=1, activation="identity", input_connectivity=1.0, rc_connectivity=0.4
    )
    history = node.adapt(SERIES, epochs=6)
    assert np.all(np.diff(history["predictive_information"]) > 0)
    assert history["effective_spectral_radius"][-1] <= 0.9 * (1 + 1e-9)


def test_a_reservoir_beyond_the_bound_is_brought_back():
    rule = PredictiveInformationAscent(1e-6, max_spectral_radius=0.8)
    node = SelfOrganizingReservoir(15, [rule], lr=0.5, sr=1.5, seed=1, activation="identity", rc_connectivity=0.4)
    history = node.adapt(SERIES[:, :40])
    assert history["effective_spectral_radius"][-1] == pytest.approx(0.8, rel=1e-6)


def test_a_bound_below_what_the_leak_alone_keeps_is_refused():
    rule = PredictiveInformationAscent(max_spectral_radius=0.5)
    node = SelfOrganizingReservoir(15, [rule], lr=0.1, seed=1)
    with pytest.raises(ValueError, match=r"0\.5 is out of reach of a reservoir that leaks at 0\.1"):
        node.adapt(SERIES)


def test_a_leak_inside_is_refused():
    node = SelfOrganizingReservoir(15, [PredictiveInformationAscent()], lr=0.5, equation="external", seed=1)
    with pytest.raises(ValueError, match=r"got one inside\. Give the reservoir equation='internal'"):
        node.adapt(SERIES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be greater than 0"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"noise_std": 0.0}, "noise_std must be greater than 0"),
        ({"max_spectral_radius": 1.0}, "max_spectral_radius must be greater than 0 and less than 1"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PredictiveInformationAscent(**arguments)
