import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from lightning_neuro.st_rsbp import system_loops
from lightning_neuro.st_rsbp.compilation import CACHE_LINE, aligned


def solved(matrix, right):
    size = len(right)
    rows = system_loops.padded(size)
    system = np.zeros((rows, rows + system_loops.PANEL), matrix.dtype)
    np.fill_diagonal(system, 1)
    system[:size, :size] = matrix
    system[:size, rows] = right
    panel, tile = np.empty((system_loops.PANEL, rows), matrix.dtype), np.empty(16 * system_loops.TILE, matrix.dtype)
    solution = np.empty(rows, matrix.dtype)
    system_loops.solve(system, panel, tile, solution)
    return solution[:size]


@given(st.integers(0, 10**6), st.sampled_from([1, 2, 15, 16, 17, 60, 81, 200]), st.sampled_from(["f4", "f8"]))
@settings(max_examples=30, deadline=None)
def test_i07_solutions_are_as_good_as_those_of_lapack(seed, size, dtype):
    generator = np.random.default_rng(seed)
    matrix = generator.standard_normal((size, size)).astype(dtype)
    truth = generator.standard_normal(size).astype(dtype)
    right = matrix @ truth
    found = solved(matrix, right)
    lapack = np.linalg.solve(matrix, right)
    residual, others = np.linalg.norm(matrix @ found - right), np.linalg.norm(matrix @ lapack - right)
    assert residual <= 20 * others + 20 * np.finfo(dtype).eps * np.linalg.norm(matrix) * np.linalg.norm(lapack)


@pytest.mark.parametrize("size", [2, 16, 40, 100])
def test_rows_are_exchanged_where_the_diagonal_is_zero(size):
    order = np.roll(np.arange(size), 1)
    matrix, right = np.eye(size)[order], np.arange(size) + 1.0
    assert np.array_equal(solved(matrix, right), np.linalg.solve(matrix, right))


@pytest.mark.parametrize("size", [1, 16, 40])
def test_i07_a_singular_system_has_no_finite_solution(size):
    matrix = np.eye(size, dtype="f4")
    matrix[size // 2] = 0
    assert not np.isfinite(solved(matrix, np.ones(size, "f4"))).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_scratch_starts_with_a_line_of_the_cache(dtype):
    for rows, columns in [(1, 1), (3, 7), (100, 64)]:
        made = aligned(rows, columns, np.empty(1, dtype))
        assert made.shape == (rows, columns)
        assert made.dtype == dtype
        assert made.ctypes.data % CACHE_LINE == 0
        made[:] = 1


def test_the_largest_value_and_its_place():
    values = np.array([1.0, -3.0, 3.0, 0.0])
    assert system_loops.largest(values) == 3
    assert system_loops.place_of(3.0, values) == 1
    assert system_loops.largest(np.zeros(3)) == 0
