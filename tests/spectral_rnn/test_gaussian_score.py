import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import jacrev

from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score, IIDGaussianScore
from lightning_neuro.spectral_rnn.score import LocalScore, ScoreModel

THREE = [("ab", "c"), ("ac", "b"), ("bc", "a")]
SIX = [("ab", "cd"), ("ac", "bd"), ("ad", "bc"), ("bc", "ad"), ("bd", "ac"), ("cd", "ab")]
MODELS = [IIDGaussianScore, GaussianAR1Score]


def make_ar1(seed, width=2):
    rng = np.random.default_rng(seed)
    phi = rng.normal(size=(width, width))
    phi *= 0.7 / np.abs(np.linalg.eigvals(phi)).max()
    root = rng.normal(size=(width, width))
    return GaussianAR1Score(phi, root @ root.T + 0.5 * np.eye(width), rng.normal(size=width)), rng


def sampled(score, rng, length):
    x = np.empty((length, len(score.mean_)))
    x[0] = score.mean_
    noise = rng.normal(size=x.shape) @ np.linalg.cholesky(score.covariance_).T
    for t in range(1, length):
        x[t] = score.mean_ + score.transition_ @ (x[t - 1] - score.mean_) + noise[t]
    return x


def derivatives(score, x, steps, orders):
    """Return `(-1)^m D^m p / p` over the letters of some steps by nested differentiation of the density itself."""
    phi, mean = torch.tensor(score.transition_), torch.tensor(score.mean_)
    precision = torch.tensor(np.linalg.inv(score.covariance_))
    fixed = torch.tensor(x)

    def density(letters):
        series = [*fixed]
        for place, step in enumerate(steps):
            series[step] = letters[place * x.shape[1] : (place + 1) * x.shape[1]]
        total = torch.zeros((), dtype=torch.float64)
        for t in range(1, len(series)):
            e = series[t] - mean - phi @ (series[t - 1] - mean)
            total = total - e @ precision @ e / 2
        return torch.exp(total)

    point, found, function = fixed[list(steps)].reshape(-1), {}, density
    for order in range(1, max(orders) + 1):
        function = jacrev(function)
        if order in orders:
            found[order] = ((-1) ** order * function(point) / density(point)).numpy()
    return found


def table(local):
    """Scores of order 1 to 4 of one step over the letters of (lag, end), from the vectors and precisions."""
    s = np.concatenate([local.lag[0], local.end[0]])
    p = np.block([[local.P00, local.P10.T], [local.P10, local.P11]])
    pairs = [np.einsum(f"{a},{b}->abcd", p, np.outer(s, s)) for a, b in SIX]
    double = [np.einsum(f"{a},{b}->abcd", p, p) for a, b in SIX[:3]]
    return {
        1: s,
        2: np.outer(s, s) - p,
        3: np.einsum("a,b,c->abc", s, s, s) - sum(np.einsum(f"{q},{r}->abc", p, s) for q, r in THREE),
        4: np.einsum("a,b,c,d->abcd", s, s, s, s) - sum(pairs) + sum(double),
    }


@pytest.mark.parametrize("seed", range(3))
def test_prefix_scores_are_the_derivatives_of_the_density(seed):
    score, rng = make_ar1(seed)
    x = score.mean_ + 0.5 * rng.normal(size=(3, 2))
    (local,), steps = score.local(x)
    assert steps.tolist() == [2]
    assert local.ahead is None
    for order, value in derivatives(score, x, (1, 2), (1, 2, 3, 4)).items():
        np.testing.assert_allclose(table(local)[order], value, rtol=1e-10, atol=1e-10, err_msg=str(order))


@pytest.mark.parametrize("seed", range(3))
def test_interior_scores_are_the_derivatives_of_the_density(seed):
    score, rng = make_ar1(seed)
    x = score.mean_ + 0.5 * rng.normal(size=(5, 2))
    (local,), steps = score.local(x, interior=True)
    assert steps.tolist() == [2]
    past, future = derivatives(score, x, (1, 2), (1, 2, 3)), derivatives(score, x, (3, 2), (1, 2, 3))
    for side, expected in ((local, past), (local.ahead, future)):
        for order, value in expected.items():
            np.testing.assert_allclose(table(side)[order], value, rtol=1e-10, atol=1e-10, err_msg=str(order))


@pytest.mark.parametrize("interior", [False, True])
def test_p09_ar1_without_transition_is_iid(interior):
    rng = np.random.default_rng(0)
    covariance, mean, x = np.array([[2.0, 0.3], [0.3, 1.0]]), np.array([1.0, -2.0]), rng.normal(size=(20, 2))
    (iid,), iid_steps = IIDGaussianScore(mean, covariance).local(x, interior=interior)
    (ar1,), ar1_steps = GaussianAR1Score(np.zeros((2, 2)), covariance, mean).local(x, interior=interior)
    kept = np.flatnonzero(np.isin(iid_steps, ar1_steps))
    for one, other in [(iid, ar1)] + ([(iid.ahead, ar1.ahead)] if interior else []):
        for name in ("end", "lag", "P11", "P00", "P10"):
            expected = getattr(one.part(kept), name)
            np.testing.assert_allclose(getattr(other, name), expected, rtol=1e-12, atol=1e-12, err_msg=name)


@given(gaps=st.sets(st.integers(0, 29), max_size=6), interior=st.booleans(), ar1=st.booleans())
def test_gaps_change_no_other_step(gaps, interior, ar1):
    score, rng = make_ar1(1)
    if not ar1:
        score = IIDGaussianScore(score.mean_, score.covariance_)
    whole = rng.normal(size=(30, 2))
    broken = whole.copy()
    broken[list(gaps)] = np.nan
    (full,), all_steps = score.local(whole, interior=interior)
    (local,), steps = score.local(broken, interior=interior)
    before, after = score.reach(interior=interior)
    assert steps.tolist() == [t for t in all_steps if not gaps & set(range(t - before, t + after + 1))]
    kept = full.part(np.flatnonzero(np.isin(all_steps, steps)))
    np.testing.assert_allclose(local.end, kept.end, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(local.lag, kept.lag, rtol=1e-12, atol=1e-13)


def test_fit_finds_the_truth_and_uses_no_pair_across_a_border():
    score, rng = make_ar1(2)
    long = sampled(score, rng, 40_000)
    fitted = GaussianAR1Score().fit([part + 0 for part in np.split(long, 400)])
    np.testing.assert_allclose(fitted.transition_, score.transition_, atol=0.02)
    np.testing.assert_allclose(fitted.covariance_, score.covariance_, rtol=0.05, atol=0.05)
    np.testing.assert_allclose(fitted.mean_, score.mean_, atol=0.1)
    assert not np.allclose(fitted.transition_, GaussianAR1Score().fit(long).transition_, rtol=1e-9)
    iid = IIDGaussianScore().fit(long)
    np.testing.assert_allclose(iid.covariance_, np.cov(long[1:].T, ddof=0), rtol=1e-10)
    np.testing.assert_allclose(iid.mean_, long[1:].mean(axis=0), rtol=1e-10)


def test_fit_is_least_squares_with_an_intercept():
    x = np.random.default_rng(3).normal(size=(50, 3)).cumsum(axis=0) * 0.1
    fitted = GaussianAR1Score().fit(x)
    design = np.hstack([x[:-1], np.ones((49, 1))])
    expected = np.linalg.lstsq(design, x[1:], rcond=None)[0]
    residual = x[1:] - design @ expected
    np.testing.assert_allclose(fitted.transition_, expected[:3].T, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(fitted.covariance_, residual.T @ residual / 49, rtol=1e-8)
    np.testing.assert_allclose((np.eye(3) - fitted.transition_) @ fitted.mean_, expected[3], rtol=1e-7, atol=1e-9)


def test_scores_of_fitted_data_average_to_zero_and_to_their_precision():
    score, rng = make_ar1(4)
    x = sampled(score, rng, 500)
    (local,), _ = GaussianAR1Score().fit(x).local(x)
    np.testing.assert_allclose(local.end.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(local.end.T @ local.end / len(local.end), local.P11, rtol=0.05, atol=0.02)


def test_shrinkage_bounds_the_precision():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(100, 2))
    x = np.hstack([x, x[:, :1]])
    for model in MODELS:
        with pytest.raises(ValueError, match=f"{model.__name__}: the columns of x must be linearly independent"):
            model().fit(x)
        fitted = model(shrinkage=0.01).fit(x)
        assert np.linalg.eigvalsh(fitted.precision_)[-1] <= 3 / (0.01 * np.trace(fitted.covariance_)) * 1.04
    plain, shrunk = (IIDGaussianScore(shrinkage=s).fit(x[:, :2]).covariance_ for s in (0, 0.1))
    np.testing.assert_allclose(shrunk, plain + 0.1 * np.trace(plain) / 2 * np.eye(2))


@pytest.mark.parametrize("model", MODELS)
def test_data_that_decide_nothing_are_refused(model):
    rng = np.random.default_rng(6)
    name = model.__name__
    with pytest.raises(ValueError, match=f"{name}: x must have more than 6 pairs of adjacent finite steps .*, got 4"):
        model().fit(rng.normal(size=(5, 3)))
    constant = rng.normal(size=(50, 3))
    constant[:, 1] = 1e6 / 3
    with pytest.raises(ValueError, match=rf"{name}: the columns of x must vary, got constant ones at \[1\]"):
        model().fit(constant)
    gappy = rng.normal(size=(50, 2))
    gappy[::2] = np.nan
    with pytest.raises(ValueError, match="got 0"):
        model().fit(gappy)
    with pytest.raises(RuntimeError, match=f"{name}: expected a fitted score, got an unfitted one"):
        model().local(gappy)


def test_a_transition_without_noise_is_refused():
    turn = np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])
    x = np.array([np.linalg.matrix_power(turn, t) @ [1.0, 0.0] for t in range(100)])
    with pytest.raises(ValueError, match=r"x_t must not follow from x_\{t-1\} without noise"):
        GaussianAR1Score().fit(x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GaussianAR1Score([[0.5]]), "transition and noise_covariance must be given both or not at all"),
        (lambda: GaussianAR1Score([[0.5]], [[-1.0]]), "noise_covariance must be symmetric and positive definite"),
        (lambda: GaussianAR1Score([[0.5, 0.1]], [[1.0]]), r"transition must be a finite \(1, 1\) matrix"),
        (lambda: GaussianAR1Score([[0.5]], [[1.0]], [1.0, 2.0]), "mean must be 1 finite numbers"),
        (lambda: IIDGaussianScore(covariance=[[1.0, 0.2], [0.0, 1.0]]), "covariance must be symmetric"),
        (lambda: IIDGaussianScore(covariance=[1.0]), "covariance must be a finite square matrix"),
        (lambda: IIDGaussianScore(shrinkage=-1), "shrinkage must be at least 0, got -1"),
    ],
)
def test_wrong_parameters_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("model", MODELS)
def test_models_keep_the_protocol(model):
    score = model()
    assert isinstance(score, ScoreModel)
    assert not score.fitted
    x = np.random.default_rng(7).normal(size=(3, 30, 2))
    assert score.fit(x) is score
    assert score.fitted
    components, _ = score.local(x[0])
    assert isinstance(components[0], LocalScore)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the point is that nobody draws from it
    model().fit(x)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("model", MODELS)
def test_log_density_is_that_of_scipy(model):
    from scipy.stats import multivariate_normal

    x = np.random.default_rng(8).normal(size=(40, 2))
    x[7] = np.nan
    score = model().fit(x)
    values, steps = score.log_density(x)
    phi = score.transition_ if model is GaussianAR1Score else np.zeros((2, 2))
    expected = [
        multivariate_normal.logpdf(x[t], score.mean_ + phi @ (x[t - 1] - score.mean_), score.covariance_) for t in steps
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-10)
    assert len(steps) == 37
