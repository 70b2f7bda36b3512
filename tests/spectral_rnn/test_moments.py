import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.spectral_rnn import moments
from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score
from lightning_neuro.spectral_rnn.moments import BLOCK
from lightning_neuro.spectral_rnn.score import LocalScore


def random_components(rng, n, width, count=1, *, stepwise=False):
    """Scores of no density in particular: the formulas hold for any vectors and any precisions."""
    found = []
    gamma = rng.dirichlet(np.ones(count), n)
    for k in range(count):
        root = rng.normal(size=(2 * width, 2 * width))
        precision = root @ root.T / width
        p11, p00 = precision[width:, width:], precision[:width, :width]
        if stepwise:
            scale = rng.uniform(0.5, 2, (n, 1, 1))
            p11, p00 = scale * p11, scale * p00
        found.append(
            LocalScore(
                rng.normal(size=(n, width)),
                rng.normal(size=(n, width)),
                p11,
                p00,
                precision[width:, :width],
                gamma=gamma[:, k] if count > 1 else None,
            )
        )
    return found


def gaussian_tensor(s, precision):
    """S_m of one step over letters that index the entries of `s`: all ways to put some letters in pairs."""

    def value(letters):
        if not letters:
            return 1.0
        first, rest = letters[0], letters[1:]
        total = s[first] * value(rest)
        for place, letter in enumerate(rest):
            total -= precision[first, letter] * value(rest[:place] + rest[place + 1 :])
        return total

    return value


def full_scores(components, step, letters):
    """Tensor of a score, mode by mode at "end" or "lag", with loops over all entries."""
    width = components[0].end.shape[1]
    total = np.zeros((width,) * len(letters))
    for c in components:
        p11, p00 = (p if p.ndim == 2 else p[step] for p in (c.P11, c.P00))
        value = gaussian_tensor(np.concatenate([c.lag[step], c.end[step]]), np.block([[p00, c.P10.T], [c.P10, p11]]))
        for entry in itertools.product(range(width), repeat=len(letters)):
            places = tuple(e + width * (letter == "end") for e, letter in zip(entry, letters, strict=True))
            total[entry] += (1 if c.gamma is None else c.gamma[step]) * value(places)
    return total


def summed(y, components, letters, weights):
    steps = range(len(y))
    weights = np.ones(len(y)) if weights is None else weights
    return sum(weights[t] * np.multiply.outer(y[t], full_scores(components, t, letters)) for t in steps)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_p04_second_moment_equals_the_full_tensor(rng, count, weighted):
    y, components = rng.normal(size=(7, 2)), random_components(rng, 7, 3, count)
    weights = rng.uniform(0, 2, 7) if weighted else None
    total, n = moments.second_moment(y, components, weights)
    np.testing.assert_allclose(total, summed(y, components, ["end", "end"], weights), rtol=1e-12, atol=1e-12)
    assert n == pytest.approx(7 if weights is None else weights.sum())


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_p04_mixed_contraction_and_mixed_moment_equal_the_full_tensor(rng, count, weighted):
    y, components = rng.normal(size=(6, 4)), random_components(rng, 6, 3, count)
    output_weights, b1, b0 = rng.normal(size=(2, 4)), rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    weights = rng.uniform(0, 2, 6) if weighted else None
    full = summed(y, components, ["end", "lag", "lag"], weights)
    expected = np.einsum("kabc,ik,ai,bj,cj->ij", full, output_weights, b1, b0, b0)
    contracted, n = moments.mixed_contraction(y @ output_weights.T, components, b1, b0, weights)
    moment, same = moments.mixed_moment(y, components, weights)
    np.testing.assert_allclose(contracted, expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(moment, full, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(moments.contract_mixed(moment, output_weights, b1, b0), expected, rtol=1e-11, atol=1e-11)
    assert n == same == pytest.approx(6 if weights is None else weights.sum())


@pytest.mark.parametrize("count", [1, 2])
def test_p04_order4_contraction_equals_the_full_tensor(rng, count):
    y, components, b0 = rng.normal(size=(4, 2)), random_components(rng, 4, 3, count), rng.normal(size=(3, 2))
    weights = rng.uniform(0, 2, 4)
    expected = np.einsum("iabcd,ap,bp,cq,dq->ipq", summed(y, components, ["lag"] * 4, weights), b0, b0, b0, b0)
    contracted, _ = moments.order4_contraction(y, components, b0, weights)
    np.testing.assert_allclose(contracted, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("count", [1, 2])
def test_p04_third_moment_equals_the_full_tensor(rng, count):
    y, components, basis = rng.normal(size=(5, 2)), random_components(rng, 5, 3, count), rng.normal(size=(3, 2))
    weights = rng.uniform(0, 2, 5)
    expected = np.einsum("kabc,ap,bq,cr->kpqr", summed(y, components, ["end"] * 3, weights), basis, basis, basis)
    total, n = moments.third_moment(y, components, basis, weights)
    np.testing.assert_allclose(total, expected, rtol=1e-11, atol=1e-11)
    assert n == pytest.approx(weights.sum())


def test_p04_precisions_may_change_from_step_to_step(rng):
    y, components = rng.normal(size=(6, 2)), random_components(rng, 6, 3, stepwise=True)
    b1, b0 = rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    second, _ = moments.second_moment(y, components)
    np.testing.assert_allclose(second, summed(y, components, ["end", "end"], None), rtol=1e-11, atol=1e-11)
    full = summed(y, components, ["end", "lag", "lag"], None)
    mixed, _ = moments.mixed_contraction(y, components, b1, b0)
    np.testing.assert_allclose(mixed, np.einsum("iabc,ai,bj,cj->ij", full, b1, b0, b0), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    "call",
    [
        lambda y, c: moments.third_moment(y, c, np.eye(3)),
        lambda y, c: moments.mixed_moment(y, c),
        lambda y, c: moments.order4_contraction(y, c, np.eye(3)),
    ],
)
def test_orders_above_two_refuse_a_score_known_to_order_two(rng, call):
    with pytest.raises(ValueError, match="expected a score of Gaussians or their mixture, got one known to order 2"):
        call(rng.normal(size=(4, 3)), random_components(rng, 4, 3, stepwise=True))


@given(length=st.integers(BLOCK - 2, 2 * BLOCK + 2), cut=st.floats(0, 1))
def test_moments_of_two_halves_add_up(length, cut):
    rng = np.random.default_rng(length)
    y, components, b = rng.normal(size=(length, 2)), random_components(rng, length, 2, 2), np.eye(2)
    split = int(cut * length)
    for moment in (
        moments.second_moment,
        moments.mixed_moment,
        lambda y, c: moments.mixed_contraction(y, c, b, b),
        lambda y, c: moments.order4_contraction(y, c, b),
        lambda y, c: moments.third_moment(y, c, b),
    ):
        whole, n = moment(y, components)
        halves = [moment(y[part], [c.part(part) for c in components]) for part in (slice(split), slice(split, None))]
        scale = np.abs(whole).max()
        np.testing.assert_allclose(halves[0][0] + halves[1][0], whole, rtol=0, atol=1e-12 * length * max(scale, 1))
        assert halves[0][1] + halves[1][1] == n == length


def test_first_moments_are_those_of_a_plain_loop(rng):
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 3))
    x[12] = np.nan
    score = GaussianAR1Score([[0.5, 0.2], [0, 0.3]], np.eye(2))
    local, steps = score.local(x)
    weights = rng.uniform(0, 2, len(steps))
    sums, count = moments.first_moments(y[steps], local, steps, 3, weights)
    innovation = x[1:] - x[:-1] @ score.transition_.T
    r = np.vstack([np.full((1, 2), np.nan), innovation])
    expected, n = np.zeros((3, 4, 2)), 0.0
    for t, w in zip(steps, weights, strict=True):
        s = [r[t]] + [r[t - k] - r[t - k + 1] @ score.transition_ for k in range(1, 4)]
        if all(np.isfinite(x[t - k]).all() for k in range(5) if t - k >= 0) and t >= 4:
            n += w
            expected += w * np.einsum("k,la->kla", y[t], np.array(s))
    np.testing.assert_allclose(sums, expected, rtol=1e-12, atol=1e-12)
    assert count == pytest.approx(n)
