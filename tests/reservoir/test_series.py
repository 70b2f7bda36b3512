import numpy as np
import pytest

from lightning_neuro.reservoir.series import as_series


def test_every_form_becomes_a_list_of_series():
    one = np.arange(6).reshape(3, 2)
    assert [len(series) for series in as_series("test", one)] == [3]
    assert [series.shape for series in as_series("test", np.stack([one, one]))] == [(3, 2), (3, 2)]
    ragged = as_series("test", (one, one[:2].astype(np.float32)))
    assert [series.dtype for series in ragged] == [np.float64, np.float64]
    assert [len(series) for series in ragged] == [3, 2]


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        ([], {}, "must hold at least one series, got none"),
        (np.zeros(3), {}, r"each series must be \(time steps, columns\), got shape \(3,\). Give one column"),
        (np.zeros((3, 0)), {}, r"got shape \(3, 0\)"),
        ([np.zeros((3, 1)), np.zeros((3, 2))], {}, "series 1 must have 1 columns, got 2"),
        (np.zeros((3, 1)), {"washout": 3}, "series 0 must be longer than the washout of 3 steps, got 3"),
        (np.zeros((0, 1)), {}, "series 0 must be longer than the washout of 0 steps, got 0"),
        ([np.zeros((2, 2)), np.array([[0, 1], [np.inf, 0]])], {}, "got inf in column 0 of series 1"),
    ],
)
def test_what_does_not_fit_is_named(inputs, options, message):
    with pytest.raises(ValueError, match=message):
        as_series("test", inputs, **options)


@pytest.mark.parametrize("inputs", [np.array([["a"]]), np.array([[1j]]), None])
def test_only_real_numbers_will_do(inputs):
    with pytest.raises(TypeError, match="inputs must be arrays of real numbers"):
        as_series("test", inputs)
