import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from lightning_neuro.reservoir.guided.subject import is_nilpotent, rows_scaled


@given(seed=st.integers(0, 500), units=st.integers(1, 8), loop=st.booleans())
def test_nilpotent_is_what_vanishes_in_as_many_powers_as_units(seed, units, loop):
    rng = np.random.default_rng(seed)
    weights = np.tril(rng.integers(0, 2, (units, units)), -1).astype(float)
    if loop:
        weights[0, units - 1] = 1.0
    order = rng.permutation(units)
    weights = weights[np.ix_(order, order)]
    vanished = not np.linalg.matrix_power(weights, units).any()
    assert is_nilpotent(weights) is is_nilpotent(csr_array(weights)) is vanished


def test_rows_are_scaled_in_either_form():
    weights, factors = np.arange(6.0).reshape(2, 3), np.array([2.0, 0.5])
    np.testing.assert_array_equal(rows_scaled(weights, factors), factors[:, None] * weights)
    np.testing.assert_array_equal(rows_scaled(csr_array(weights), factors).toarray(), factors[:, None] * weights)
