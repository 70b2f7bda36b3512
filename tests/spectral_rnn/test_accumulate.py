import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.spectral_rnn import moments
from lightning_neuro.spectral_rnn.accumulate import MomentAccumulator
from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score, IIDGaussianScore
from lightning_neuro.spectral_rnn.moment_kinds import (
    FirstMoments,
    MixedContraction,
    MixedMoment,
    Order4Contraction,
    SecondMoment,
    ThirdMoment,
)
from lightning_neuro.spectral_rnn.series import Series

WIDTH, OUTPUTS = 2, 3
rng = np.random.default_rng(1)
B1, B0, W = rng.normal(size=(WIDTH, 2)), rng.normal(size=(WIDTH, 2)), rng.normal(size=(2, OUTPUTS))
SCORES = {
    "iid": IIDGaussianScore(mean=[0.1, 0.2], covariance=np.eye(WIDTH)),
    "ar1": GaussianAR1Score([[0.5, 0.1], [-0.2, 0.4]], np.eye(WIDTH), [0.1, -0.3]),
}
KINDS = {
    "second": SecondMoment(),
    "first": FirstMoments(4),
    "third": ThirdMoment(B1),
    "mixed": MixedContraction(W, B1, B0),
    "full": MixedMoment(),
    "fourth": Order4Contraction(W, B0),
}


def make(score="ar1", kinds=KINDS, **options):
    return MomentAccumulator(SCORES[score], kinds, **options)


def data(seed, length, *, gaps=False):
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(length, WIDTH)), generator.normal(size=(length, OUTPUTS))
    if gaps:
        x[generator.random(length) < 0.05] = np.nan
        y[generator.random(length) < 0.05] = np.nan
    return x, y, generator.uniform(0, 2, length)


def assert_same(one, other):
    assert one.totals.keys() == other.totals.keys()
    for name, total in one.totals.items():
        scale = max(np.abs(total).max(), 1)
        np.testing.assert_allclose(other.totals[name], total, rtol=0, atol=1e-12 * scale, err_msg=name)


@given(
    seed=st.integers(0, 99),
    score=st.sampled_from(["iid", "ar1"]),
    interior=st.booleans(),
    block=st.integers(1, 90),
    cuts=st.lists(st.integers(0, 80), max_size=5).map(sorted),
)
def test_p02_chunked_equals_whole(seed, score, interior, block, cuts):
    x, y, weights = data(seed, 80, gaps=seed % 2 == 0)
    whole, chunked = make(score, interior=interior), make(score, interior=interior, block=block)
    whole.accumulate(x, y, weights)
    for start, stop in zip([0, *cuts], [*cuts, 80], strict=True):
        chunked.accumulate(x[start:stop], y[start:stop], weights[start:stop], continues=start > 0)
    assert_same(whole, chunked)


@given(seed=st.integers(0, 99), lengths=st.lists(st.integers(3, 30), min_size=3, max_size=6))
def test_p02_workers_merge_in_any_grouping(seed, lengths):
    parts = [data(seed + place, length) for place, length in enumerate(lengths)]
    whole = make()
    whole.accumulate([p[0] for p in parts], [p[1] for p in parts], [p[2] for p in parts])

    def worker(part):
        accumulator = pickle.loads(pickle.dumps(make()))
        accumulator.accumulate(*part)
        return accumulator

    left, right = worker(parts[0]), worker(parts[-1])
    for part in parts[1:]:
        left.merge(worker(part))
    for part in reversed(parts[:-1]):
        right.merge(worker(part))
    assert_same(whole, left)
    assert_same(whole, right)


def test_nothing_reaches_across_a_border_or_a_gap():
    x, y, _ = data(3, 40)
    apart, gapped, split = make(), make(), make()
    apart.accumulate([x[:20], x[20:]], [y[:20], y[20:]])
    gap = np.full((1, WIDTH), np.nan)
    gapped.accumulate(np.concatenate([x[:20], gap, x[20:]]), np.concatenate([y[:20], np.ones((1, OUTPUTS)), y[20:]]))
    split.accumulate(np.stack([x[:20], x[20:]]), np.stack([y[:20], y[20:]]))
    assert_same(apart, split)
    # The gapped series starts once, not twice, so only what asks for no context is equal.
    plain = {"second": SecondMoment(), "mixed": MixedContraction(W, B1, B0)}
    one, other = make(kinds=plain), make(kinds=plain)
    one.accumulate([x[:20], x[20:]], [y[:20], y[20:]])
    other.accumulate(np.concatenate([x[:20], gap, x[20:]]), np.concatenate([y[:20], np.ones((1, OUTPUTS)), y[20:]]))
    assert_same(one, other)
    assert gapped.totals["first.count"] == apart.totals["first.count"]


def test_totals_are_those_of_the_functions():
    x, y, weights = data(4, 50)
    accumulator = make(kinds={"second": SecondMoment()}, offset=np.full(OUTPUTS, 0.5))
    accumulator.accumulate(x, y, weights)
    local, steps = SCORES["ar1"].local(x)
    expected, count = moments.second_moment(y[steps] - 0.5, local, weights[steps])
    result = accumulator.finalize()
    np.testing.assert_allclose(result.means["second"], expected / count, rtol=1e-12, atol=1e-14)
    mean = np.average(y[steps], axis=0, weights=weights[steps])
    np.testing.assert_allclose(result.output_mean, mean)
    covariance = np.cov(y[steps].T, aweights=weights[steps], ddof=0)
    np.testing.assert_allclose(result.output_covariance, covariance, atol=1e-12)


def test_p05_constants_in_the_outputs_change_nothing():
    x, y, _ = data(5, 50)
    shift = np.array([1e3, -2.0, 0.5])
    results = []
    for constant in (0 * shift, shift):
        accumulator = make(kinds={"second": SecondMoment(), "mixed": MixedContraction(W, B1, B0)}, offset=constant)
        accumulator.accumulate(x, y + constant)
        results.append(accumulator.finalize().means)
    for name, mean in results[0].items():
        np.testing.assert_allclose(results[1][name], mean, rtol=1e-9, atol=1e-10)


def test_missing_outputs_and_weights_of_zero_are_left_out_but_serve_as_neighbours():
    x, y, _ = data(6, 40)
    weights = np.ones(40)
    weights[[10, 20]] = 0
    missing = y.copy()
    missing[[10, 20]] = np.nan
    by_weight, by_nan = make(), make()
    by_weight.accumulate(x, y, weights)
    by_nan.accumulate(x, missing)
    assert_same(by_weight, by_nan)
    assert by_nan.totals["second.count"] == 40 - 5 - 2


def test_an_exploded_series_is_dropped_with_what_follows_of_it():
    x, y, _ = data(7, 30)
    blown = y.copy()
    blown[25] = np.inf
    clean, with_blown = make(), make()
    clean.accumulate(x, y)
    with_blown.accumulate([x, x], [y, blown])
    assert_same(clean, with_blown)
    assert with_blown.finalize().n_dropped == 1
    with_blown.accumulate(x[:5], np.full((5, OUTPUTS), np.inf))
    with_blown.accumulate(x, y, continues=True)
    assert_same(clean, with_blown)
    assert with_blown.n_dropped == 2


def test_a_tail_keeps_no_chunk_alive_and_short_chunks_add_up():
    x, y, _ = data(8, 20)
    whole, single = make(), make()
    whole.accumulate(x, y)
    for t in range(20):
        single.add(Series(x[t : t + 1], y[t : t + 1]), continues=t > 0)
    assert_same(whole, single)
    assert single._tail.x.base is None


def test_errors():
    x, y, _ = data(9, 20)
    with pytest.raises(TypeError, match="MomentAccumulator: score must have fitted, fit, reach and local, got int"):
        MomentAccumulator(3, {})
    with pytest.raises(ValueError, match="with continues, x must be one series, got 2"):
        make().accumulate([x, x], [y, y], continues=True)
    with pytest.raises(ValueError, match=r"merge expected moments .* got \['outputs'\]"):
        make().merge(make(kinds={}))
    empty = make(kinds={"second": SecondMoment()})
    empty.accumulate(x[:2], y[:2])
    with pytest.raises(ValueError, match="needs stretches of at least 3 finite steps"):
        empty.finalize()
    tight = make(kinds={"full": MixedMoment(largest=20)})
    with pytest.raises(ValueError, match=r"at most 20, got 3 x 2\^3 = 24"):
        tight.accumulate(x, y)
