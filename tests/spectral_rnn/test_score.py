import numpy as np
import pytest

from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score, IIDGaussianScore
from lightning_neuro.spectral_rnn.score import LocalScore, ScoreModel, ahead_of, require_fitted


def test_a_part_takes_what_changes_from_step_to_step_and_leaves_what_does_not():
    rng = np.random.default_rng(0)
    end, lag, stepwise, constant = (
        rng.normal(size=(5, 2)),
        rng.normal(size=(5, 2)),
        rng.normal(size=(5, 2, 2)),
        np.eye(2),
    )
    local = LocalScore(end, lag, stepwise, constant, constant, gamma=np.arange(5.0))
    part = local.followed_by(local).part(slice(1, 3))
    np.testing.assert_array_equal(part.end, end[1:3])
    np.testing.assert_array_equal(part.lag, lag[1:3])
    np.testing.assert_array_equal(part.P11, stepwise[1:3])
    np.testing.assert_array_equal(part.gamma, [1, 2])
    assert part.P00 is constant
    assert part.ahead is None
    np.testing.assert_array_equal(local.part(np.array([4, 0])).end, end[[4, 0]])


def test_ahead_of_gives_the_following_neighbour_or_refuses():
    x = np.arange(6.0)[:, None]
    score = GaussianAR1Score([[0.5]], [[1.0]])
    (local,), _ = score.local(x, interior=True)
    (following,) = ahead_of([local])
    assert following is local.ahead
    assert following.end is local.end
    np.testing.assert_array_equal(following.lag[:-1], local.end[1:])
    with pytest.raises(ValueError, match="expected an interior score, got that of a prefix"):
        ahead_of(score.local(x)[0])


def test_scores_are_told_by_what_they_can_do():
    assert isinstance(IIDGaussianScore(), ScoreModel)
    assert not isinstance(np.eye(2), ScoreModel)
    with pytest.raises(RuntimeError, match="IIDGaussianScore: expected a fitted score, got an unfitted one"):
        require_fitted(IIDGaussianScore())
    require_fitted(IIDGaussianScore(covariance=[[1.0]]))
