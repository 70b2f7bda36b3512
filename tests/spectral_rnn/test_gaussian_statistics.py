import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.spectral_rnn.gaussian_statistics import GaussianStatistics, inverse, shrink


def pairs_of(series):
    both = [np.hstack([x[:-1], x[1:]]) for x in series]
    return np.concatenate([b[np.isfinite(b).all(axis=1)] for b in both])


def assert_moments(statistics, pairs):
    width = statistics.width
    covariance = np.cov(pairs.T, ddof=0)
    early, crossed, late = statistics.covariances()
    np.testing.assert_allclose(np.concatenate(statistics.means()), pairs.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(early, covariance[:width, :width], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(crossed, covariance[width:, :width], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(late, covariance[width:, width:], rtol=1e-9, atol=1e-10)


@given(seed=st.integers(0, 50), offset=st.sampled_from([0.0, 1e6]))
def test_sums_are_those_of_all_adjacent_pairs(seed, offset):
    rng = np.random.default_rng(seed)
    series = [offset + rng.normal(size=(length, 2)) for length in (20, 1, 7)]
    series[0][rng.integers(20)] = np.nan
    statistics = GaussianStatistics.of(series)
    assert statistics.pairs == len(pairs_of(series))
    assert_moments(statistics, pairs_of(series))


@given(seed=st.integers(0, 50), cut=st.integers(1, 39))
def test_p02_chunks_and_merges_give_the_same(seed, cut):
    rng = np.random.default_rng(seed)
    x = 100 + rng.normal(size=(40, 3))
    chunked, other, nothing = (GaussianStatistics.empty(3) for _ in range(3))
    chunked.accumulate(x[:cut], size=5)
    other.accumulate(x[cut - 1 :])
    nothing.merge(other)
    chunked.merge(nothing)
    chunked.merge(GaussianStatistics.empty(3))
    assert chunked.pairs == 39
    assert_moments(chunked, pairs_of([x]))


def test_a_constant_column_with_a_large_value_is_found_constant():
    x = np.random.default_rng(0).normal(size=(100, 2))
    x[:, 0] = 0.1 + 0.2 + 1e9
    with pytest.raises(ValueError, match=r"Who: the columns of x must vary, got constant ones at \[0\]"):
        GaussianStatistics.of([x]).check("Who", shrinkage=0)
    small = 1e9 + 1e-3 * np.random.default_rng(1).normal(size=(100, 2))
    GaussianStatistics.of([small]).check("Who", shrinkage=0)


def test_inverse_and_shrink():
    root = np.random.default_rng(2).normal(size=(4, 4))
    covariance = root @ root.T
    np.testing.assert_allclose(inverse(covariance) @ covariance, np.eye(4), atol=1e-9)
    np.testing.assert_array_equal(inverse(covariance), inverse(covariance).T)
    np.testing.assert_array_equal(shrink(covariance, 0), covariance)
