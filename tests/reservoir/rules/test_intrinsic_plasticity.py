import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit

from lightning_neuro.reservoir.activation import known_activation
from lightning_neuro.reservoir.node import SelfOrganizingReservoir
from lightning_neuro.reservoir.rules import Exponential, Gaussian, IntrinsicPlasticity, Laplace, Uniform, Weibull
from lightning_neuro.reservoir.rules.intrinsic_plasticity import gain_and_shift_gradients

RNG = np.random.default_rng(0)
NET, GAIN, SHIFT = RNG.normal(size=(1, 400)), RNG.uniform(0.3, 2, 400), RNG.normal(0, 0.3, 400)
Z = GAIN * NET + SHIFT


def gradients(name, output, target, net=NET, gain=GAIN):
    return gain_and_shift_gradients(net, output, gain, known_activation("test", name), target)


def schrauwen_2008(y, mean, std):
    return -(-(mean / std**2) + (y / std**2) * (2 * std**2 + 1 - y**2 + mean * y))


def triesch_2005(y, mean):
    return 1 - (2 + 1 / mean) * y + y**2 / mean


def li_2011(y, k, scale):
    return k - (k + 1) * y - k * (y / scale) ** k * (1 - y)


def two_sided(y, mean, scale):
    return -(2 * y + (1 - y**2) * np.sign(y - mean) / scale)


@pytest.mark.parametrize(
    ("name", "function", "target", "published"),
    [
        ("tanh", np.tanh, Gaussian(0.1, 0.8), lambda y: schrauwen_2008(y, 0.1, 0.8)),
        ("tanh", np.tanh, Laplace(0.1, 0.8), lambda y: two_sided(y, 0.1, 0.8)),
        ("tanh", np.tanh, Uniform(), lambda y: -2 * y),
        ("sigmoid", expit, Exponential(0.7), lambda y: triesch_2005(y, 0.7)),
        ("sigmoid", expit, Weibull(1.0, 0.7), lambda y: triesch_2005(y, 0.7)),
        ("sigmoid", expit, Weibull(2.0, 0.7), lambda y: li_2011(y, 2.0, 0.7)),
        ("sigmoid", expit, Uniform(), lambda y: 1 - 2 * y),
    ],
)
def test_one_rule_is_every_published_rule(name, function, target, published):
    output = function(Z)
    by_gain, by_shift = gradients(name, output, target)
    expected = published(output)[0]
    np.testing.assert_allclose(by_shift, expected, atol=4e-15)
    np.testing.assert_allclose(by_gain, 1 / GAIN + expected * NET[0], atol=1e-14)


@pytest.mark.parametrize(
    ("name", "function", "log_slope", "target", "density"),
    [
        ("tanh", np.tanh, lambda z: np.log1p(-(np.tanh(z) ** 2)), Gaussian(0.1, 0.4), stats.norm(0.1, 0.4)),
        ("sigmoid", expit, lambda z: np.log(expit(z) * expit(-z)), Weibull(2.0, 0.6), stats.weibull_min(2, scale=0.6)),
        ("softplus", lambda z: np.logaddexp(0, z), lambda z: np.log(expit(z)), Exponential(0.5), stats.expon(0, 0.5)),
        ("identity", lambda z: z, np.zeros_like, Gaussian(0.1, 0.4), stats.norm(0.1, 0.4)),
    ],
)
def test_the_rule_ascends_the_targets_likelihood_of_the_net_input(name, function, log_slope, target, density):
    """KL falls where `ln p(f(a r + b)) + ln f'(a r + b) + ln a` rises, by the change of variables."""

    def likelihood(gain, shift):
        z = gain * NET + shift
        return density.logpdf(function(z)) + log_slope(z) + np.log(gain)

    step = 1e-6
    by_gain, by_shift = gradients(name, function(Z), target)
    numeric_gain = (likelihood(GAIN + step, SHIFT) - likelihood(GAIN - step, SHIFT)) / (2 * step)
    numeric_shift = (likelihood(GAIN, SHIFT + step) - likelihood(GAIN, SHIFT - step)) / (2 * step)
    np.testing.assert_allclose(by_gain, numeric_gain[0], atol=2e-6, rtol=1e-6)
    np.testing.assert_allclose(by_shift, numeric_shift[0], atol=2e-6, rtol=1e-6)


def test_a_batch_averages_increments():
    net = RNG.normal(size=(5, 30))
    gain, target = np.linspace(0.5, 1.5, 30), Gaussian(0.0, 0.3)
    output = np.tanh(gain * net)
    batch = gradients("tanh", output, target, net, gain)
    singles = [gradients("tanh", output[[b]], target, net[[b]], gain) for b in range(5)]
    np.testing.assert_allclose(batch, np.mean(singles, axis=0), atol=1e-13)


SERIES = np.random.default_rng(5).uniform(-1, 1, (10, 2000, 1))


@pytest.mark.parametrize(
    ("activation", "target", "mean", "std"),
    [("tanh", Gaussian(0.0, 0.2), 0.0, 0.2), ("sigmoid", Exponential(0.2), 0.2, 0.2)],
)
def test_outputs_approach_the_target(activation, target, mean, std):
    rule = IntrinsicPlasticity(target, learning_rate=4e-3)
    node = SelfOrganizingReservoir(60, [rule], sr=0.95, activation=activation, input_connectivity=1.0, seed=0)
    node.adapt(SERIES)
    history = node.adapt(SERIES)
    assert history["mean"][-1] == pytest.approx(mean, abs=0.02)
    assert history["std"][-1] == pytest.approx(std, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "target", "mean", "std"),
    [
        ("tanh", Gaussian(0.0, 0.2), 0.0, 0.2),
        ("sigmoid", Exponential(0.2), 0.2, 0.2),
        ("sigmoid", Weibull(2.0, 0.3), 0.266, 0.139),
    ],
)
def test_sixty_thousand_steps_reach_the_target_as_the_prototype_did(activation, target, mean, std):
    series = np.random.default_rng(6).uniform(-1, 1, (60_000, 1))
    rule = IntrinsicPlasticity(target)
    node = SelfOrganizingReservoir(100, [rule], sr=0.95, activation=activation, input_connectivity=1.0, seed=0)
    node.adapt(series)
    history = node.adapt(series[:10_000])
    assert history["mean"][-1] == pytest.approx(mean, abs=0.015)
    assert history["std"][-1] == pytest.approx(std, abs=0.03)


def test_gains_keep_between_their_limits():
    rule = IntrinsicPlasticity(learning_rate=1.0, min_gain=0.5, max_gain=1.5)
    node = SelfOrganizingReservoir(20, [rule], seed=0)
    node.adapt(SERIES[0, :50])
    assert node.a.min() >= 0.5
    assert node.a.max() <= 1.5


@pytest.mark.parametrize(
    ("given_target", "expected"),
    [("gaussian", Gaussian()), ("exponential", Exponential()), ("laplace", Laplace()), ("uniform", Uniform())],
)
def test_targets_have_names(given_target, expected):
    assert IntrinsicPlasticity(given_target).target == expected


def test_any_distribution_of_torch_is_a_target():
    plain = SelfOrganizingReservoir(20, [IntrinsicPlasticity(Gaussian(0.0, 0.5))], seed=0)
    torched = SelfOrganizingReservoir(20, [IntrinsicPlasticity(torch.distributions.Normal(0.0, 0.5))], seed=0)
    for node in (plain, torched):
        node.adapt(SERIES[0, :100])
    np.testing.assert_allclose(torched.a, plain.a, atol=1e-12)
    np.testing.assert_allclose(torched.b, plain.b, atol=1e-12)


@pytest.mark.parametrize("target", [Exponential(), "weibull", torch.distributions.Exponential(1.0)])
def test_a_target_above_0_needs_outputs_above_0(target):
    with pytest.raises(ValueError, match=r"needs outputs above 0, got the activation tanh\. Give .*sigmoid"):
        SelfOrganizingReservoir(10, [IntrinsicPlasticity(target)])


def test_an_activation_without_known_slopes_is_refused():
    with pytest.raises(ValueError, match=r"activation must be one of tanh, .*, got 'sin'"):
        SelfOrganizingReservoir(10, [IntrinsicPlasticity()], activation=np.sin)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be greater than 0"),
        ({"min_gain": 0.0}, "min_gain must be greater than 0"),
        ({"min_gain": 2.0, "max_gain": 1.0}, "max_gain must be at least 2"),
        ({"target": "cauchy"}, "target must be one of 'gaussian'"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        IntrinsicPlasticity(**arguments)


def test_what_is_no_target_is_refused():
    with pytest.raises(TypeError, match=r"must be a target, a torch distribution or a name, got 0\.2"):
        IntrinsicPlasticity(0.2)
