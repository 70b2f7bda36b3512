import warnings

import numpy as np
import pytest
import torch

from lightning_neuro.spectral_rnn.alarms import BROKEN, LARGEST_Z
from lightning_neuro.spectral_rnn.density_score import LogDensityScore
from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score, IIDGaussianScore
from lightning_neuro.spectral_rnn.mixture_score import MixtureScore
from lightning_neuro.spectral_rnn.score_diagnostics import ScoreMismatchWarning, advice, diagnose_score

N, WIDTH = 5000, 3
DRAW = {
    "gaussian": lambda rng, size: rng.normal(size=size),
    "uniform": lambda rng, size: rng.uniform(-1, 1, size),
    "laplace": lambda rng, size: rng.laplace(size=size),
    "student": lambda rng, size: rng.standard_t(5, size),
}


def draw(name, seed=0, n=N):
    return DRAW[name](np.random.default_rng(seed), (n, WIDTH))


def remembering(transition, seed=0, n=N):
    x = draw("gaussian", seed, n)
    for t in range(1, n):
        x[t] += transition @ x[t - 1]
    return x


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("n", [300, N])
def test_the_right_score_passes(seed, n):
    transition = np.array([[0.5, 0.4, 0], [-0.4, 0.5, 0], [0, 0, 0.6]])
    for score, x in (
        (IIDGaussianScore(), draw("gaussian", seed, n)),
        (IIDGaussianScore(covariance=np.eye(WIDTH)), draw("gaussian", seed, n)),
        (GaussianAR1Score(), 1e3 + remembering(transition, seed, n) * [1e-3, 1, 1e3]),
    ):
        result = diagnose_score(score if score.fitted else score.fit(x), x)
        assert result.fits
        assert result.n == n - 2


def test_z_scores_are_standard_normal_for_one_direction():
    score = IIDGaussianScore(covariance=[[1.0]])
    results = [diagnose_score(score, draw("gaussian", seed, 1000)[:, :1], directions=0).z for seed in range(200)]
    for name in ("first", "second", "present", "fourth"):
        z = np.array([result[name] for result in results])
        assert abs(z.mean()) < (0.25 if name in ("first", "second", "present") else 0.6)
        assert 0.8 < z.std() < (1.2 if name != "fourth" else 1.6)


@pytest.mark.parametrize("name", ["uniform", "laplace", "student"])
def test_other_shapes_are_noticed(name):
    x = draw(name, n=20_000)
    with pytest.warns(
        ScoreMismatchWarning, match=r"IIDGaussianScore does not fit the inputs: identity 'fourth' .*Mixture"
    ):
        result = diagnose_score(IIDGaussianScore().fit(x), x)
    assert result.worst == "fourth"


@pytest.mark.parametrize("transition", [0.6 * np.eye(3), np.array([[0, 0.5, 0], [-0.5, 0, 0], [0, 0, 0]])])
def test_memory_that_the_score_does_not_know_is_noticed(transition):
    x = remembering(transition)
    with pytest.warns(ScoreMismatchWarning, match="'past' .*try GaussianAR1Score"):
        diagnose_score(IIDGaussianScore().fit(x), x)


def test_memory_over_two_steps_is_noticed_by_the_first_order_score():
    x = draw("gaussian")
    for t in range(2, N):
        x[t] += 0.5 * x[t - 2]
    with pytest.warns(ScoreMismatchWarning, match="'past'"):
        diagnose_score(GaussianAR1Score().fit(x), x)


@pytest.mark.parametrize(
    ("score", "worst"),
    [
        (IIDGaussianScore(mean=[0.5] * WIDTH, covariance=np.eye(WIDTH)), "first"),
        (IIDGaussianScore(covariance=2 * np.eye(WIDTH)), "present"),
    ],
)
def test_wrong_parameters_are_noticed(score, worst):
    result = diagnose_score(score, draw("gaussian"), warn=False)
    assert not result.fits
    assert abs(result.z[worst]) > LARGEST_Z
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        diagnose_score(score, draw("gaussian"), warn=False)


def test_mixtures_and_programs_are_looked_at_as_what_they_are():
    rng = np.random.default_rng(0)
    clusters = rng.normal(size=(N, 2)) + 3 * rng.integers(0, 2, (N, 1))
    assert not diagnose_score(IIDGaussianScore().fit(clusters), clusters, warn=False).fits
    assert diagnose_score(MixtureScore(2, seed=0).fit(clusters), clusters).fits
    assert diagnose_score(LogDensityScore(lambda x: -torch.dot(x, x) / 2), draw("gaussian")).fits


def test_gaps_and_borders_are_respected():
    x = remembering(0.6 * np.eye(3))
    x[100:200] = np.nan
    result = diagnose_score(GaussianAR1Score().fit(x), [x[:1000], x[1000:]])
    assert result.fits
    assert result.n == N - 100 - 2 - 4


def test_too_little_is_refused():
    with pytest.raises(ValueError, match="x must have at least 10 usable steps, got 3"):
        diagnose_score(IIDGaussianScore(covariance=np.eye(WIDTH)), draw("gaussian", n=5))
    with pytest.raises(RuntimeError, match="expected a fitted score"):
        diagnose_score(IIDGaussianScore(), draw("gaussian"))


def test_advice_is_never_the_score_that_it_is():
    for score in (IIDGaussianScore(), GaussianAR1Score(), MixtureScore(2)):
        for identity in BROKEN:
            assert type(score).__name__ not in advice(score, identity)


def test_gaps_are_told_from_short_series():
    score = IIDGaussianScore(covariance=np.eye(1))
    x = np.random.default_rng(0).standard_normal((40, 1))
    x[::2] = np.nan
    with pytest.raises(ValueError, match=r"got 0. Rows of x with a NaN \(20 of 40\) cut the series up"):
        diagnose_score(score, x)
    with pytest.raises(ValueError, match="Give longer series"):
        diagnose_score(score, [x[1:2], x[3:4]])
