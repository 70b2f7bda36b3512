import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.spectral_rnn import series as module
from lightning_neuro.spectral_rnn.series import Series, all_finite, arrays, as_series, blocks, drop_exploded, rows_at


def test_arrays_take_one_series_many_and_ragged_ones():
    assert [a.shape for a in arrays("Who", "x", np.zeros((5, 2)))] == [(5, 2)]
    assert [a.shape for a in arrays("Who", "x", np.zeros((3, 5, 2)))] == [(5, 2)] * 3
    assert [a.shape for a in arrays("Who", "x", [np.zeros((5, 2)), [[1, 2]]])] == [(5, 2), (1, 2)]
    assert arrays("Who", "x", np.ones((2, 1), np.float32))[0].dtype == np.float64


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (np.zeros(5), ValueError, r"Who: each series of x must be \(time steps, columns\), got shape \(5,\)"),
        (np.zeros((5, 0)), ValueError, r"got shape \(5, 0\)"),
        ([], ValueError, "Who: x must hold at least one series, got none"),
        ([np.zeros((5, 2)), np.zeros((5, 3))], ValueError, r"Who: x\[1\] must have 2 columns, got 3"),
        (np.array([["a", "b"]]), TypeError, "Who: x must hold arrays of real numbers, got ndarray"),
        (np.ones((2, 2), complex), TypeError, "must hold arrays of real numbers"),
    ],
)
def test_arrays_refuse(values, error, message):
    with pytest.raises(error, match=message):
        arrays("Who", "x", values)
    with pytest.raises(ValueError, match=r"x\[0\] must have 4 columns, got 2"):
        arrays("Who", "x", np.zeros((5, 2)), width=4)


def test_warmup_takes_weight_and_keeps_rows():
    x = np.arange(6.0)[:, None]
    (plain,) = as_series("Who", x, x)
    assert plain.weights is None
    given_weights = np.full(6, 2.0)
    (warmed,) = as_series("Who", x, x, weights=given_weights, warmup=2)
    assert warmed.weights.tolist() == [0, 0, 2, 2, 2, 2]
    assert len(warmed) == 6
    assert given_weights.tolist() == [2] * 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": [np.zeros((5, 1))]}, "y must hold 2 series as x does, got 1"),
        ({"y": [np.zeros((5, 1)), np.zeros((4, 1))]}, r"y\[1\] must have 5 steps as x\[1\] does, got 4"),
        ({"weights": [np.ones(5), np.ones(3)]}, r"weights\[1\] must have shape \(5,\), got \(3,\)"),
        ({"weights": [np.ones(5), -np.ones(5)]}, r"weights\[1\] must be finite and at least 0, got -1"),
        ({"lengths": [5]}, "lengths must hold 2 series"),
        ({"lengths": [5, 6]}, r"lengths\[1\] must be 0 to 5, got 6"),
    ],
)
def test_as_series_refuses_what_does_not_fit(options, message):
    x, y = np.zeros((2, 5, 3)), options.pop("y", np.zeros((2, 5, 1)))
    with pytest.raises(ValueError, match=message):
        as_series("Who", x, y, **options)


@pytest.mark.parametrize("number", [-np.inf, 1e51, -1e200])
def test_only_exploded_series_are_dropped(number):
    fine, missing, blown = np.zeros((3, 1)), np.array([[0], [np.nan], [1e49]]), np.array([[0], [np.nan], [number]])
    kept, dropped = drop_exploded([Series(fine, missing), Series(fine, blown), Series(blown, fine)])
    assert (len(kept), dropped) == (1, 2)
    assert kept[0].y is missing


def test_all_finite_is_not_fooled_by_overflow():
    assert all_finite(np.full((3, 3), 1e308))
    assert not all_finite(np.array([[1.0, np.nan]]))
    assert not all_finite(np.array([np.inf, -np.inf]))


@given(
    gaps=st.sets(st.integers(0, 24), max_size=8),
    length=st.integers(0, 25),
    before=st.integers(0, 3),
    after=st.integers(0, 3),
    size=st.integers(1, 30),
)
def test_usable_steps_equal_a_loop_and_blocks_cover_each_once(gaps, length, before, after, size):
    x = np.arange(25.0)[:, None]
    x[list(gaps)] = np.nan
    x = x[:length]
    expected = [
        t
        for t in range(length)
        if all(0 <= u < length and np.isfinite(x[u, 0]) for u in range(t - before, t + after + 1))
    ]
    assert module.usable_steps(x, before, after).tolist() == expected
    covered = []
    for part in blocks(Series(x, x), size, before, after):
        covered += part.x[module.usable_steps(part.x, before, after), 0].astype(int).tolist()
    assert covered == expected


def test_rows_at_views_adjacent_steps():
    values = np.arange(10.0)[:, None]
    assert np.shares_memory(rows_at(values, np.array([3, 4, 5]), 1), values)
    np.testing.assert_array_equal(rows_at(values, np.array([3, 4, 5]), 1).ravel(), [4, 5, 6])
    np.testing.assert_array_equal(rows_at(values, np.array([3, 5]), -1).ravel(), [2, 4])
    assert len(rows_at(values, np.array([], int))) == 0
