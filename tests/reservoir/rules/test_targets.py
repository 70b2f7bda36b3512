import numpy as np
import pytest
import torch
from scipy import stats

from lightning_neuro.reservoir.rules.targets import Density, Exponential, Gaussian, Laplace, Uniform, Weibull

PAIRS = [
    (Gaussian(0.1, 0.4), stats.norm(0.1, 0.4)),
    (Laplace(0.05, 0.3), stats.laplace(0.05, 0.3)),
    (Uniform(), stats.uniform(-1, 3)),
    (Exponential(0.2), stats.expon(scale=0.2)),
    (Weibull(2.0, 0.3), stats.weibull_min(2.0, scale=0.3)),
    (Weibull(1.5, 0.6), stats.weibull_min(1.5, scale=0.6)),
    (Density(torch.distributions.Beta(2.0, 3.0)), stats.beta(2, 3)),
    (Density(torch.distributions.StudentT(4.0)), stats.t(4)),
]


@pytest.mark.parametrize(("target", "known"), PAIRS, ids=lambda value: type(value).__name__)
def test_a_score_is_the_slope_of_the_log_density(target, known):
    y, step = np.linspace(0.11, 0.87, 17), 1e-6
    slope = (known.logpdf(y + step) - known.logpdf(y - step)) / (2 * step)
    np.testing.assert_allclose(target.score(y), slope, atol=1e-6)
    assert target.score(y[None]).shape == (1, 17)


@pytest.mark.parametrize(
    ("torch_target", "target"),
    [
        (torch.distributions.Normal(0.1, 0.4), Gaussian(0.1, 0.4)),
        (torch.distributions.Laplace(0.1, 0.4), Laplace(0.1, 0.4)),
        (torch.distributions.Exponential(5.0), Exponential(0.2)),
        (torch.distributions.Weibull(0.3, 2.0), Weibull(2.0, 0.3)),
    ],
)
def test_distributions_of_torch_score_as_ours_do(torch_target, target):
    y = np.linspace(0.05, 0.95, 11)
    density = Density(torch_target)
    np.testing.assert_allclose(density.score(y), target.score(y), rtol=1e-5)  # torch holds their parameters in float32
    assert density.positive == target.positive


def test_weibull_of_shape_1_is_exponential_and_scores_stay_finite_at_the_ends():
    y = np.array([0.0, 0.5, 1.0])
    np.testing.assert_allclose(Weibull(1.0, 0.2).score(y), Exponential(0.2).score(y), atol=1e-14)
    assert np.isfinite(Weibull(2.0, 0.3).score(y)).all()
    assert np.isfinite(Density(torch.distributions.Beta(2.0, 3.0)).score(y)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(0.0, 0.0), "Gaussian: std must be greater than 0"),
        (lambda: Laplace(0.0, -1.0), "Laplace: scale must be greater than 0"),
        (lambda: Exponential(0.0), "Exponential: mean must be greater than 0"),
        (lambda: Weibull(0.0), "Weibull: shape must be greater than 0"),
    ],
)
def test_what_is_no_distribution_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_density_must_be_one_of_torch():
    with pytest.raises(TypeError, match=r"must be one of torch\.distributions, got str"):
        Density("normal")
