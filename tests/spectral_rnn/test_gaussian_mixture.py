import numpy as np
from scipy.stats import multivariate_normal

from lightning_neuro.spectral_rnn.gaussian_mixture import GaussianMixture, fit_mixture

MIXTURE = GaussianMixture(
    np.array([0.25, 0.75]),
    np.array([[0.0, 1.0], [2.0, -1.0]]),
    np.array([np.diag([1.0, 2.0]), [[1.0, 0.5], [0.5, 1.0]]]),
)


def test_density_and_responsibilities_are_those_of_scipy():
    x = np.random.default_rng(0).normal(size=(10, 2))
    parts = zip(MIXTURE.weights, MIXTURE.means, MIXTURE.covariances, strict=True)
    joint = np.stack([w * multivariate_normal.pdf(x, mean, cov) for w, mean, cov in parts], axis=1)
    np.testing.assert_allclose(MIXTURE.log_density(x), np.log(joint.sum(axis=1)))
    np.testing.assert_allclose(MIXTURE.responsibilities(x), joint / joint.sum(axis=1, keepdims=True))


def test_far_points_have_responsibilities_not_nan():
    gamma = MIXTURE.responsibilities(np.array([[1e4, -1e4]]))
    assert np.isfinite(gamma).all()
    np.testing.assert_allclose(gamma.sum(), 1)


def test_more_iterations_are_never_less_likely():
    x = np.random.default_rng(1).normal(size=(200, 2)) ** 3
    fits = [fit_mixture(x, 3, 0.0, 1, np.random.default_rng(2), most) for most in (1, 3, 10, 30)]
    likelihood = [fit.log_density(x).sum() for fit in fits]
    assert likelihood == sorted(likelihood)


def test_repeated_points_do_not_swallow_a_component():
    x = np.concatenate([np.random.default_rng(3).normal(size=(50, 2)), np.full((20, 2), 5.0)])
    fitted = fit_mixture(x, 2, 0.0, 3, np.random.default_rng(0))
    assert np.isfinite(fitted.log_density(x)).all()
    assert np.linalg.eigvalsh(fitted.covariances).min() > 0
