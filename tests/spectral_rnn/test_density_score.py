import numpy as np
import pytest
import torch

from lightning_neuro.spectral_rnn import moments
from lightning_neuro.spectral_rnn.density_score import LogDensityScore
from lightning_neuro.spectral_rnn.gaussian_score import IIDGaussianScore
from lightning_neuro.spectral_rnn.mixture_score import MixtureScore
from lightning_neuro.spectral_rnn.score import ScoreModel, ahead_of

COVARIANCE = np.array([[2.0, 0.3], [0.3, 1.0]])
KNOWN = {
    "weights": [0.3, 0.7],
    "means": [[-1.0, 0.5], [1.0, 0.0]],
    "covariances": [[[1.0, 0.3], [0.3, 0.8]], [[0.5, -0.1], [-0.1, 1.2]]],
}


def gaussian(x):
    return -x @ torch.tensor(np.linalg.inv(COVARIANCE)) @ x / 2


def mixture(x):
    parts = []
    for weight, mean, covariance in zip(*(torch.tensor(v, dtype=torch.float64) for v in KNOWN.values()), strict=True):
        gap = x - mean
        parts.append(weight.log() - gap @ torch.linalg.inv(covariance) @ gap / 2 - torch.logdet(covariance) / 2)
    return torch.logsumexp(torch.stack(parts), 0)


@pytest.mark.parametrize(
    ("program", "closed"),
    [(gaussian, IIDGaussianScore(covariance=COVARIANCE)), (mixture, MixtureScore(2, **KNOWN))],
)
def test_moments_equal_those_of_the_closed_form(program, closed):
    rng = np.random.default_rng(0)
    x, y, b = rng.normal(size=(30, 2)), rng.normal(size=(30, 2)), rng.normal(size=(2, 2))
    x[11] = np.nan
    one, steps = LogDensityScore(program).local(x, interior=True)
    other, same = closed.local(x, interior=True)
    np.testing.assert_array_equal(steps, same)
    y = y[steps]
    np.testing.assert_allclose(moments.second_moment(y, one)[0], moments.second_moment(y, other)[0], atol=1e-10)
    for left, right in ((one, other), (ahead_of(one), ahead_of(other))):
        expected, _ = moments.mixed_contraction(y, right, b, b)
        np.testing.assert_allclose(moments.mixed_contraction(y, left, b, b)[0], expected, atol=1e-10)


def test_a_perfect_denoiser_gives_the_score_of_the_noisy_inputs():
    clean, std = 3.0, 0.7
    score = LogDensityScore.from_denoiser(lambda x: x * clean / (clean + std**2), std)
    x = np.random.default_rng(1).normal(size=(5, 1))
    (local,), _ = score.local(x)
    (closed,), _ = IIDGaussianScore(covariance=[[clean + std**2]]).local(x)
    np.testing.assert_allclose(local.end, closed.end)
    np.testing.assert_allclose(local.P11, np.broadcast_to(closed.P11, (4, 1, 1)))


def test_a_series_too_short_has_no_steps():
    (local,), steps = LogDensityScore(gaussian).local(np.zeros((1, 2)))
    assert len(steps) == len(local.end) == 0


def test_the_protocol_is_kept_and_bad_programs_are_refused():
    score = LogDensityScore(gaussian)
    assert isinstance(score, ScoreModel)
    assert score.fitted
    assert score.fit(np.zeros((3, 2))) is score
    with pytest.raises(TypeError, match="log_density must be callable, got float"):
        LogDensityScore(1.0)
    with pytest.raises(ValueError, match="std must be greater than 0"):
        LogDensityScore.from_denoiser(lambda x: x, 0)
    with pytest.raises(ValueError, match="must be finite at the data, got NaN or infinity"):
        LogDensityScore(lambda x: torch.log(x).sum()).local(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"score of a step must have shape \(2,\), got \(2, 2\)"):
        LogDensityScore.from_denoiser(lambda x: x[None] * x[:, None], 1.0).local(np.zeros((3, 2)))
