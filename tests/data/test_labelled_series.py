import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.data.labelled_series import LabelledSeries, PaddedSeries, resampled

LENGTHS = [3, 1, 4]


def tiny(**options):
    series = [np.arange(2 * length, dtype=np.float32).reshape(length, 2) for length in LENGTHS]
    return LabelledSeries(series, torch.tensor([2, 0, 1]), **options)


def test_a_batch_is_time_first_and_padded_with_zeros():
    inputs, labels = tiny().batch([2, 1])
    assert isinstance(inputs, PaddedSeries)
    assert inputs.values.shape == (4, 2, 2)
    assert inputs.values.dtype == torch.float32
    assert inputs.lengths.tolist() == [4, 1]
    assert inputs.values[:, 0].flatten().tolist() == list(range(8))
    assert inputs.values[:, 1].flatten().tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert labels.tolist() == [1, 0]


def test_padding_stays_zero_whatever_the_scale():
    data = tiny()
    data.shift, data.spread = np.full(2, 9, np.float32), np.full(2, 2, np.float32)
    inputs, _ = data.batch([2, 1])
    assert inputs.values[1:, 1].abs().max() == 0
    assert inputs.values[0, 1].tolist() == [-4.5, -4.0]
    assert data.take(torch.tensor([1]))[0][0].tolist() == [[-4.5, -4.0]]


def test_one_length_for_all_gives_a_plain_tensor():
    values, _ = tiny(num_steps=5).batch([0, 1, 2])
    assert values.shape == (5, 3, 2)
    assert values[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert values[:, 1, 1].tolist() == [1] * 5


def test_mean_and_std_are_over_all_steps():
    mean, std = tiny().mean_and_std()
    first = [0, 2, 4, 0, 0, 2, 4, 6]
    assert mean.tolist() == pytest.approx([np.mean(first), np.mean(first) + 1])
    assert std.tolist() == pytest.approx([np.std(first)] * 2)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=8), st.integers(2, 9))
def test_resampling_keeps_ends_bounds_and_straight_lines(values, num_steps):
    series = np.array(values, np.float32)[:, None]
    found = resampled(series, num_steps)
    assert found.shape == (num_steps, 1)
    assert found[[0, -1]].tolist() == series[[0, -1]].tolist()
    assert series.min() <= found.min() <= found.max() <= series.max()
    line = np.linspace(-3, 5, len(values))[:, None]
    assert resampled(line, num_steps)[:, 0] == pytest.approx(np.linspace(-3, 5, num_steps), abs=1e-5)
    assert np.array_equal(resampled(series, len(series)), series)
