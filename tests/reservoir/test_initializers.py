from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reservoirpy.nodes import Reservoir
from scipy import stats
from scipy.linalg import solve_discrete_lyapunov

from lightning_neuro.reservoir.initializers import (
    cycle_matrix,
    delay_line_matrix,
    normal_matrix_with_eigenvalues,
    orthogonal_matrix,
    permutation_matrix,
)

WITH_EQUAL_SINGULAR_VALUES = [
    permutation_matrix,
    partial(permutation_matrix, cycles=None),
    partial(permutation_matrix, cycles=2),
    cycle_matrix,
    orthogonal_matrix,
]


def dense(matrix):
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def cycle_lengths(matrix):
    target, lengths, left = dense(matrix).argmax(axis=0), [], set(range(matrix.shape[0]))
    while left:
        start = unit = min(left)
        length = 0
        while unit in left:
            left.remove(unit)
            unit, length = target[unit], length + 1
        assert unit == start
        lengths.append(length)
    return sorted(lengths)


@pytest.mark.parametrize("make", WITH_EQUAL_SINGULAR_VALUES)
@given(units=st.integers(2, 30), seed=st.integers(0, 1000))
def test_all_singular_values_and_eigenvalue_sizes_are_the_radius(make, units, seed):
    matrix = dense(make(units, sr=0.9, seed=seed))
    np.testing.assert_allclose(np.linalg.svd(matrix, compute_uv=False), 0.9, atol=1e-12)
    np.testing.assert_allclose(abs(np.linalg.eigvals(matrix)), 0.9, atol=1e-10)
    np.testing.assert_allclose(matrix @ matrix.T, matrix.T @ matrix, atol=1e-12)


@pytest.mark.parametrize("make", WITH_EQUAL_SINGULAR_VALUES)
def test_a_linear_reservoir_of_it_has_fisher_memory_1(make):
    """Ganguli, Huh and Sompolinsky 2008: `J_tot = 1` for every normal matrix and a unit input vector."""
    matrix = dense(make(20, sr=0.9, seed=0))
    vector = np.random.default_rng(1).normal(size=20)
    vector /= np.linalg.norm(vector)
    noise, signal = (solve_discrete_lyapunov(matrix, q) for q in (np.eye(20), np.outer(vector, vector)))
    assert np.trace(np.linalg.solve(noise, signal)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("cycles", [1, 2, 3, 7])
def test_permutations_have_the_cycles_asked_for(cycles):
    lengths = cycle_lengths(permutation_matrix(23, cycles=cycles, seed=4))
    assert len(lengths) == cycles
    assert lengths[-1] - lengths[0] <= 1


def test_single_cycles_and_free_permutations_are_drawn_alike():
    """Six cycles through four units; 24 permutations of four units."""
    for options, count in (({"cycles": 1}, 6), ({"cycles": None}, 24)):
        rng = np.random.default_rng(0)
        draws = [tuple(permutation_matrix(4, seed=rng, **options).toarray().argmax(axis=0)) for _ in range(2400)]
        _, counts = np.unique(draws, axis=0, return_counts=True)
        assert len(counts) == count
        assert stats.chisquare(counts).pvalue > 1e-3


def test_orthogonal_matrices_are_drawn_uniformly():
    """First entries of uniform orthogonal matrices are those of points on a sphere; half of them are reflections."""
    rng = np.random.default_rng(0)
    drawn = np.array([orthogonal_matrix(3, seed=rng) for _ in range(1500)])
    for place in ((0, 0), (2, 1)):
        assert stats.kstest(drawn[:, *place], stats.uniform(-1, 2).cdf).pvalue > 1e-3  # Archimedes
    assert stats.binomtest(int((np.linalg.det(drawn) > 0).sum()), 1500).pvalue > 1e-3


def test_the_delay_line_keeps_the_last_n_inputs_and_nothing_else():
    matrix = delay_line_matrix(6, sr=1.0)
    inputs = np.eye(6)[:, :1]
    state, seen = np.zeros(6), []
    for value in np.arange(1.0, 11.0):
        state = matrix @ state + inputs[:, 0] * value
        seen.append(state)
    np.testing.assert_array_equal(seen[-1], [10, 9, 8, 7, 6, 5])
    np.testing.assert_allclose(np.linalg.eigvals(delay_line_matrix(6, sr=3.0).toarray()), 0)


@given(st.integers(0, 1000))
def test_a_normal_matrix_has_the_eigenvalues_asked_for(seed):
    rng = np.random.default_rng(seed)
    complex_part = rng.uniform(-1, 1, 3) + 1j * rng.uniform(0.1, 1, 3)
    wanted = rng.permutation(np.concatenate([rng.uniform(-1, 1, 2), complex_part, complex_part.conj()]))
    matrix = normal_matrix_with_eigenvalues(wanted, seed=seed)
    np.testing.assert_allclose(matrix @ matrix.T, matrix.T @ matrix, atol=1e-12)
    found = np.linalg.eigvals(matrix)
    assert max(abs(found - value).min() for value in wanted) < 1e-10
    np.testing.assert_allclose(np.trace(matrix), wanted.sum().real, atol=1e-10)


@pytest.mark.parametrize("make", [*WITH_EQUAL_SINGULAR_VALUES, delay_line_matrix])
def test_each_is_an_initialiser_of_reservoirpy(make):
    one, same, other = (Reservoir(20, W=make, sr=0.8, seed=seed, dtype=np.float32) for seed in (1, 1, 2))
    for node in (one, same, other):
        node.run(np.ones((3, 1)))
    assert one.W.dtype == np.float32
    assert np.linalg.svd(dense(one.W), compute_uv=False)[0] == pytest.approx(0.8, abs=1e-6)
    np.testing.assert_array_equal(dense(one.W), dense(same.W))
    if make not in (cycle_matrix, delay_line_matrix):
        assert abs(dense(one.W) - dense(other.W)).max() > 0


@pytest.mark.parametrize("make", [permutation_matrix, orthogonal_matrix, cycle_matrix, delay_line_matrix])
def test_shapes_and_radii_are_checked(make):
    with pytest.raises(ValueError, match=rf"{make.__name__}: the matrix must be square, got shape \(3, 4\)"):
        make(3, 4)
    with pytest.raises(ValueError, match=f"{make.__name__}: sr must be at least 0, got -1"):
        make(3, sr=-1)


def test_more_cycles_than_units_are_refused():
    with pytest.raises(ValueError, match="cycles must be at least 1 and at most 3, got 4"):
        permutation_matrix(3, cycles=4)


def test_eigenvalues_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="eigenvalues must be finite, got"):
        normal_matrix_with_eigenvalues([0.5, np.nan])


@pytest.mark.parametrize("values", [[0.5, 0.1 + 0.2j], [], [[0.5], [0.6]]])
def test_eigenvalues_without_their_conjugates_are_refused(values):
    with pytest.raises(ValueError, match="must be real or come in conjugate pairs"):
        normal_matrix_with_eigenvalues(values)
