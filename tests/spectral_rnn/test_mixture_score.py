import numpy as np
import pytest
import torch
from torch.func import jacrev

from lightning_neuro.spectral_rnn import moments
from lightning_neuro.spectral_rnn.gaussian_mixture import GaussianMixture
from lightning_neuro.spectral_rnn.gaussian_score import IIDGaussianScore
from lightning_neuro.spectral_rnn.mixture_score import MixtureScore
from lightning_neuro.spectral_rnn.score import ScoreModel, ahead_of

KNOWN = {
    "weights": [0.3, 0.7],
    "means": [[-1.0, 0.5], [1.0, 0.0]],
    "covariances": [[[1.0, 0.3], [0.3, 0.8]], [[0.5, -0.1], [-0.1, 1.2]]],
}


def density(x):
    total = torch.zeros((), dtype=torch.float64)
    for weight, mean, covariance in zip(*(torch.tensor(v, dtype=torch.float64) for v in KNOWN.values()), strict=True):
        gap = x - mean
        total = (
            total + weight * torch.exp(-gap @ torch.linalg.solve(covariance, gap) / 2) / torch.det(covariance).sqrt()
        )
    return total


def nested(function, point, orders):
    """Return `(-1)^m D^m p / p` for m = 0 to `orders` by nested differentiation."""
    found, value = [np.ones(())], function(point)
    for order in range(1, orders + 1):
        function = jacrev(function)
        found.append(((-1) ** order * function(point) / value).numpy())
    return found


def test_scores_of_a_known_mixture_are_the_derivatives_of_its_density():
    x = np.array([[0.3, -0.4], [-0.2, 0.9], [0.1, 0.4]])
    components, steps = MixtureScore(2, **KNOWN).local(x, interior=True)
    assert steps.tolist() == [1]
    past, now, future = (nested(density, torch.tensor(row), 4) for row in x)
    one, unit = np.ones((1, 1)), np.eye(2)
    close = {"rtol": 1e-11, "atol": 1e-12}
    np.testing.assert_allclose(moments.second_moment(one, components)[0][0], now[2], **close)
    np.testing.assert_allclose(moments.third_moment(one, components, unit)[0][0], now[3], **close)
    expected = np.multiply.outer(now[1], past[2])
    np.testing.assert_allclose(moments.mixed_moment(one, components)[0][0], expected, **close)
    expected = np.multiply.outer(now[1], future[2])
    np.testing.assert_allclose(moments.mixed_moment(one, ahead_of(components))[0][0], expected, **close)
    fourth = moments.order4_contraction(np.ones((1, 2)), components, unit)[0]
    np.testing.assert_allclose(fourth[0], np.einsum("aabb->ab", past[4]), **close)


def test_one_component_is_one_gaussian():
    x = np.random.default_rng(0).normal(size=(200, 2)) @ [[1, 0.5], [0, 2]]
    (mixture,), steps = MixtureScore(1).fit(x).local(x)
    (gaussian,), same = IIDGaussianScore().fit(np.vstack([x[:1], x])).local(x)
    np.testing.assert_array_equal(steps, same)
    np.testing.assert_allclose(mixture.end, gaussian.end, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(mixture.gamma, 1)


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    mixture = GaussianMixture(*(np.array(v) for v in KNOWN.values()))
    label = rng.choice(2, size=n, p=mixture.weights)
    roots = np.linalg.cholesky(mixture.covariances)
    return mixture.means[label] + np.einsum("nab,nb->na", roots[label], rng.normal(size=(n, 2)))


def test_fit_is_as_likely_as_the_truth_and_seeded():
    x = drawn(2000)
    known, fitted = MixtureScore(2, **KNOWN), MixtureScore(2, seed=3).fit(x)
    assert fitted.log_density(x)[0].mean() > known.log_density(x)[0].mean() - 5e-4
    again = MixtureScore(2, seed=3).fit([x[:700], x[700:]])
    np.testing.assert_array_equal(again.mixture_.means, fitted.mixture_.means)
    fresh = drawn(2000, seed=1)
    assert abs(fitted.log_density(fresh)[0].mean() - known.log_density(fresh)[0].mean()) < 0.02
    assert fitted.n_parameters == 1 + 2 * (2 + 3)


def test_gaps_are_kept_out():
    x = drawn(300)
    x[50] = np.nan
    score = MixtureScore(2, seed=0).fit(x)
    assert np.isfinite(score.mixture_.means).all()
    components, steps = score.local(x)
    assert not {50, 51} & set(steps.tolist())
    assert all(np.isfinite(c.end).all() and np.isfinite(c.gamma).all() for c in components)
    np.testing.assert_allclose(sum(c.gamma for c in components), 1)


def test_the_protocol_is_kept():
    score = MixtureScore()
    assert isinstance(score, ScoreModel)
    assert not score.fitted
    with pytest.raises(RuntimeError, match="MixtureScore: expected a fitted score"):
        score.local(np.zeros((3, 1)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": None}, "must be given all or not at all"),
        ({"weights": [0.5, 0.6]}, "weights must be greater than 0 and add to 1"),
        ({"means": [[0.0], [1.0]]}, r"must have shapes \(2,\), \(2, Dx\) and \(2, Dx, Dx\)"),
        ({"covariances": -np.ones((2, 2, 2))}, r"covariances\[0\] must be symmetric and positive definite"),
    ],
)
def test_wrong_mixtures_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        MixtureScore(2, **{**KNOWN, **changed})
    with pytest.raises(ValueError, match="components must be at least 1, got 0"):
        MixtureScore(0)
