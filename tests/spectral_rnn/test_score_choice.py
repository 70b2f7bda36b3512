import numpy as np
import pytest

from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score, IIDGaussianScore
from lightning_neuro.spectral_rnn.mixture_score import MixtureScore
from lightning_neuro.spectral_rnn.score_choice import bayesian_information, choose_score, fitted_score


def walk(phi, n, seed, width=3):
    noise = np.random.default_rng(seed).normal(size=(n, width))
    x = noise.copy()
    for t in range(1, n):
        x[t] += phi * x[t - 1]
    return x


@pytest.mark.parametrize("seed", range(5))
def test_memory_decides_between_iid_and_ar1(seed):
    assert isinstance(choose_score(walk(0.0, 1000, seed)), IIDGaussianScore)
    assert isinstance(choose_score(walk(0.3, 1000, seed)), GaussianAR1Score)


def test_clusters_ask_for_a_mixture():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2)) + 4 * rng.integers(0, 2, (500, 1))
    chosen = choose_score(x, components=3, seed=0)
    assert isinstance(chosen, MixtureScore)
    assert chosen.components == 2
    assert isinstance(choose_score(walk(0.0, 300, 1), components=2, seed=0), IIDGaussianScore)


def test_bic_is_its_definition():
    x = walk(0.3, 200, 0, width=1)
    score = GaussianAR1Score().fit(x)
    residual = x[1:] - score.mean_ - score.transition_.item() * (x[:-1] - score.mean_)
    variance = np.mean(residual**2)
    likelihood = -199 / 2 * (np.log(2 * np.pi * variance) + 1)
    assert bayesian_information(score, x) == pytest.approx(3 * np.log(199) - 2 * likelihood)


def test_names_and_models_become_fitted_scores():
    x = walk(0.5, 300, 2)
    assert isinstance(fitted_score("Who", "auto", x), GaussianAR1Score)
    assert isinstance(fitted_score("Who", "iid", x, shrinkage=0.1), IIDGaussianScore)
    assert fitted_score("Who", "ar1", x, shrinkage=0.1).shrinkage == 0.1
    unfitted, known = GaussianAR1Score(), IIDGaussianScore(covariance=7 * np.eye(3))
    assert fitted_score("Who", unfitted, x) is unfitted
    assert unfitted.fitted
    assert fitted_score("Who", known, x).covariance_[0, 0] == 7
    with pytest.raises(ValueError, match="Who: score must be one of 'auto', 'iid', 'ar1', got 'gmm'"):
        fitted_score("Who", "gmm", x)
    with pytest.raises(TypeError, match="Who: score must be 'auto', 'iid', 'ar1' or a score model, got int"):
        fitted_score("Who", 3, x)
