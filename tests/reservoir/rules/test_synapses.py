import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array, csr_array

from lightning_neuro.reservoir.rules.synapses import Synapses


def pattern(density, units=12, others=9, seed=0):
    rng = np.random.default_rng(seed)
    return np.where(rng.random((units, others)) < density, rng.normal(size=(units, others)), 0.0)


@pytest.mark.parametrize("make", [np.array, csr_array, csc_array])
@pytest.mark.parametrize("density", [0.0, 0.03, 0.3, 1.0])
@pytest.mark.parametrize("batch", [1, 4])
def test_every_form_computes_what_the_dense_matrix_does(make, density, batch):
    matrix = pattern(density)
    rng = np.random.default_rng(1)
    post, pre = rng.normal(size=(batch, 12)), rng.normal(size=(batch, 9))
    synapses = Synapses(make(matrix))

    np.testing.assert_allclose(synapses.drive(pre), pre @ matrix.T, atol=1e-14)
    np.testing.assert_array_equal(synapses.dense(), matrix)
    mean = np.mean([np.outer(one, other) for one, other in zip(post, pre, strict=True)], axis=0)
    np.testing.assert_allclose(synapses.products(post, pre), mean[matrix != 0], atol=1e-14)
    np.testing.assert_allclose(synapses.row_sums(synapses.weights), matrix.sum(axis=1), atol=1e-14)
    per_unit = np.arange(12.0)
    np.testing.assert_array_equal(synapses.at_rows(per_unit), per_unit[np.nonzero(matrix)[0]])


@pytest.mark.parametrize("density", [0.3, 1.0])
def test_the_matrix_follows_the_weights_also_after_pickling(density):
    for synapses in (Synapses(pattern(density)), pickle.loads(pickle.dumps(Synapses(pattern(density))))):
        before = synapses.drive(np.ones((1, 9)))
        synapses.weights *= 2
        np.testing.assert_allclose(synapses.drive(np.ones((1, 9))), 2 * before)


@pytest.mark.parametrize("make", [np.array, csr_array, csc_array])
def test_the_callers_matrix_is_left_alone_and_its_form_comes_back(make):
    given_matrix = make(pattern(0.3))
    synapses = Synapses(given_matrix)
    synapses.weights += 1
    back = synapses.like(given_matrix, np.float32)
    assert type(back) is type(given_matrix)
    assert back.dtype == np.float32
    dense = given_matrix if make is np.array else given_matrix.toarray()
    np.testing.assert_array_equal(dense, pattern(0.3))
    np.testing.assert_allclose(synapses.dense(), np.where(dense != 0, dense + 1, 0))


def test_a_stored_zero_is_a_synapse_and_duplicates_are_one():
    stored = csr_array((np.array([0.0, 1.0, 2.0]), (np.array([0, 1, 1]), np.array([1, 0, 0]))), shape=(2, 2))
    assert Synapses(stored).weights.tolist() == [0.0, 3.0]


@given(st.integers(0, 1000), st.sampled_from([0.2, 1.0]))
def test_products_are_linear_in_the_post_factor(seed, density):
    rng = np.random.default_rng(seed)
    synapses = Synapses(pattern(density, seed=seed))
    one, other, pre = rng.normal(size=(3, 12)), rng.normal(size=(3, 12)), rng.normal(size=(3, 9))
    together = synapses.products(one + 2 * other, pre)
    np.testing.assert_allclose(together, synapses.products(one, pre) + 2 * synapses.products(other, pre), atol=1e-12)


@pytest.mark.parametrize(
    ("matrix", "message"), [(np.ones(3), r"must be a matrix, got shape \(3,\)"), ([[np.nan, 1]], "must be finite")]
)
def test_what_is_not_a_finite_matrix_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        Synapses(matrix)
