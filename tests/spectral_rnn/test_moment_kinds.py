import numpy as np
import pytest

from lightning_neuro.spectral_rnn import moment_kinds, moments
from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score
from lightning_neuro.spectral_rnn.score import ahead_of

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(20, 3)), rng.normal(size=(20, 4))
B1, B0, W = rng.normal(size=(3, 2)), rng.normal(size=(3, 2)), rng.normal(size=(2, 4))
LOCAL, STEPS = GaussianAR1Score(0.5 * np.eye(3), np.eye(3)).local(X, interior=True)
SEEN, WEIGHTS = Y[STEPS], rng.uniform(0, 2, len(STEPS))
CASES = {
    "second": (moment_kinds.SecondMoment(), moments.second_moment(SEEN, LOCAL, WEIGHTS)),
    "first": (moment_kinds.FirstMoments(2), moments.first_moments(SEEN, LOCAL, STEPS, 2, WEIGHTS)),
    "third": (moment_kinds.ThirdMoment(B1), moments.third_moment(SEEN, LOCAL, B1, WEIGHTS)),
    "full": (moment_kinds.MixedMoment(), moments.mixed_moment(SEEN, LOCAL, WEIGHTS)),
    "past": (
        moment_kinds.MixedContraction(W, B1, B0),
        moments.mixed_contraction(SEEN @ W.T, LOCAL, B1, B0, WEIGHTS),
    ),
    "future": (
        moment_kinds.MixedContraction(W, B1, B0, future=True),
        moments.mixed_contraction(SEEN @ W.T, ahead_of(LOCAL), B1, B0, WEIGHTS),
    ),
    "fourth": (moment_kinds.Order4Contraction(W, B0), moments.order4_contraction(SEEN @ W.T, LOCAL, B0, WEIGHTS)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_kind_is_its_function(name):
    kind, (expected, weight) = CASES[name]
    total, count = kind(SEEN, LOCAL, STEPS, WEIGHTS)
    np.testing.assert_allclose(total, expected, rtol=1e-13)
    assert count == weight
    assert kind.context == (1 if name == "first" else 0)


@pytest.mark.parametrize("name", CASES)
def test_a_moment_is_linear_in_the_outputs(name):
    kind, _ = CASES[name]
    one, other = (kind(y, LOCAL, STEPS, WEIGHTS)[0] for y in (SEEN, SEEN[::-1]))
    both = kind(2 * SEEN - SEEN[::-1], LOCAL, STEPS, WEIGHTS)[0]
    np.testing.assert_allclose(both, 2 * one - other, rtol=1e-9, atol=1e-9)


def test_past_and_future_differ():
    assert not np.allclose(CASES["past"][1][0], CASES["future"][1][0])
