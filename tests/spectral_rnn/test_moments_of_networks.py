"""Moments of small networks against their closed forms, by quadrature: exact, without Monte Carlo."""

import itertools

import numpy as np
import pytest

from lightning_neuro.spectral_rnn import moments
from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score, IIDGaussianScore
from lightning_neuro.spectral_rnn.score import LocalScore, ahead_of


def apart(triples):
    """Many short series as one, with a gap after each."""
    gap = np.full((len(triples), 1, triples.shape[2]), np.nan)
    return np.concatenate([triples, gap], axis=1).reshape(-1, triples.shape[2])


def hermite(points, dimensions):
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    grid = np.array(list(itertools.product(nodes, repeat=dimensions)))
    return grid, np.array([np.prod(w) for w in itertools.product(weights / weights.sum(), repeat=dimensions)])


def test_gold_a():
    grid, weights = hermite(6, 4)
    x = grid.reshape(-1, 2, 2)
    a = np.array([1.0, 2.0])
    y = 3 * (x[:, 1] @ a + 0.5 * (x[:, 0] @ a) ** 2)[:, None] ** 2
    local, steps = IIDGaussianScore(covariance=np.eye(2)).local(apart(x))
    assert steps.tolist() == list(range(1, 3 * len(x), 3))
    second, n = moments.second_moment(y, local, weights)
    mixed, _ = moments.mixed_moment(y, local, weights)
    second_axis = np.array([[0.0], [1.0]])
    fourth, _ = moments.order4_contraction(y, local, second_axis, weights)
    assert n == pytest.approx(1)
    np.testing.assert_allclose(second[0], [[6, 12], [12, 24]], atol=1e-9)
    np.testing.assert_allclose(mixed[0], 6 * np.einsum("a,b,c->abc", a, a, a), atol=1e-9)
    assert mixed[0, 1, 1, 1] == pytest.approx(48)
    assert fourth.item() == pytest.approx(288)


def test_gold_b():
    (local,), steps = GaussianAR1Score([[0.5]], [[1.0]]).local(np.array([[0.0], [1.0], [2.0]]))
    one, unit = np.ones((1, 1)), np.eye(1)
    assert steps.tolist() == [2]
    assert (local.end.item(), local.lag.item()) == (1.5, 0.25)
    assert (local.P11.item(), local.P00.item(), local.P10.item()) == (1, 1.25, -0.5)
    assert moments.second_moment(one, [local])[0].item() == 1.25
    assert local.lag.item() ** 2 - local.P00.item() == -1.1875
    assert moments.mixed_contraction(one, [local], unit, unit)[0].item() == -1.53125
    assert moments.order4_contraction(one, [local], unit)[0].item() == 4.22265625


def quadratic(x, a, recurrent, readout):
    """Outputs at the last step of many short series of one input."""
    h = np.zeros((len(x), len(a)))
    for t in range(x.shape[1]):
        h = (x[:, t] * a + h @ recurrent.T) ** 2
    return h @ readout


def test_gold_c():
    grid, weights = hermite(12, 3)
    x = np.empty((len(grid), 3, 1))
    x[:, 0, 0] = grid[:, 0]
    for t in (1, 2):
        x[:, t, 0] = 0.5 * x[:, t - 1, 0] + np.sqrt(0.8) * grid[:, t]
    a, recurrent = np.array([1, -0.7]), np.array([[0.3, -0.2], [0.1, 0.25]])
    y = quadratic(x, a, recurrent, np.array([[1, 0.5], [-0.4, 2]]))
    local, steps = GaussianAR1Score([[0.5]], [[0.8]]).local(apart(x))
    assert len(steps) == len(x)
    ones = np.ones((1, 2))
    second, _ = moments.second_moment(y, local, weights)
    mixed, _ = moments.mixed_contraction(y, local, ones, ones, weights)
    fourth, _ = moments.order4_contraction(y, local, ones, weights)
    np.testing.assert_allclose(second.ravel(), [1.608, 2.96], atol=1e-9)
    np.testing.assert_allclose(mixed[:, 0], [1.0572, -0.842], atol=1e-9)
    np.testing.assert_allclose(fourth[:, 0, 1], [0.504036, 2.865948], atol=1e-9)


@pytest.mark.parametrize("score", ["iid", "ar1"])
def test_p06_outputs_linear_in_the_input_carry_no_second_moment(score):
    grid, weights = hermite(4, 3)
    x = grid[:, :, None].copy()
    model = IIDGaussianScore(covariance=[[1.0]])
    if score == "ar1":
        model = GaussianAR1Score([[0.5]], [[1.0]])
        x[:, 1] += 0.5 * x[:, 0]
        x[:, 2] += 0.5 * x[:, 1]
    local, steps = model.local(apart(x))
    last = steps % 4 == 2
    local = [LocalScore(c.end[last], c.lag[last], c.P11, c.P00, c.P10) for c in local]
    y = np.stack([x[:, 2, 0], 3 * x[:, 1, 0] - x[:, 2, 0]], axis=1)
    np.testing.assert_allclose(moments.second_moment(y, local, weights)[0], 0, atol=1e-12)
    np.testing.assert_allclose(
        moments.mixed_contraction(y, local, np.ones((1, 2)), np.ones((1, 2)), weights)[0], 0, atol=1e-12
    )


def test_mixed_contraction_with_the_future_sees_a_network_that_runs_backward():
    grid, weights = hermite(5, 5)
    x = grid[:, :, None]
    v = 0.3
    k = (x[:, 2, 0] + v * (x[:, 3, 0] ** 2)) ** 2
    local, steps = IIDGaussianScore(covariance=[[1.0]]).local(apart(x), interior=True)
    middle = steps % 6 == 2
    pick = [c.part(middle) for c in local], [c.part(middle) for c in ahead_of(local)]
    one = np.ones((1, 1))
    past, future = (moments.mixed_contraction(k[:, None], side, one, one, weights)[0].item() for side in pick)
    assert past == pytest.approx(0, abs=1e-10)
    assert future == pytest.approx(4 * v)


@pytest.mark.parametrize("transition", [np.zeros((1, 1)), np.array([[0.6]])])
def test_first_moments_of_a_linear_network_are_its_markov_parameters(transition):
    grid, weights = hermite(3, 5)
    x = np.empty((len(grid), 5, 1))
    x[:, 0, 0] = grid[:, 0]
    for t in range(1, 5):
        x[:, t] = x[:, t - 1] @ transition.T + grid[:, t, None]
    h = np.zeros((len(grid), 2))
    a, recurrent, readout = np.array([[1.0], [-0.5]]), np.array([[0.5, -0.3], [0.2, 0.4]]), np.array([[1.0], [2.0]])
    for t in range(5):
        h = x[:, t] @ a.T + h @ recurrent.T
    long = apart(x)
    local, steps = GaussianAR1Score(transition, [[1.0]]).local(long)
    y, w = np.zeros((len(long), 1)), np.zeros(len(long))
    y[4::6], w[4::6] = h @ readout, weights
    sums, _ = moments.first_moments(y[steps], local, steps, 3, w[steps])
    expected = [(readout.T @ np.linalg.matrix_power(recurrent, k) @ a).item() for k in range(4)]
    np.testing.assert_allclose(sums[0, :, 0], expected, atol=1e-10)
