import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.spiking.encoding import LatencyEncoder


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20), st.integers(1, 30), st.data())
def test_one_spike_at_the_documented_time(values, steps, data):
    first = data.draw(st.integers(0, steps - 1))
    spikes = LatencyEncoder(steps, first_step=first)(torch.tensor(values, dtype=torch.float64)[None])
    for value, column in zip(values, spikes[:, 0].T, strict=True):
        expected = [] if value == 0 else [first + round((1 - value) * (steps - 1 - first))]
        assert column.nonzero().flatten().tolist() == expected


def test_the_stronger_the_earlier():
    x = torch.linspace(0.01, 1, 50)
    times = LatencyEncoder(100)(x[None])[:, 0].int().argmax(0)
    assert (times.diff() <= 0).all()
    assert times[0] > times[25] > times[-1]


def test_threshold_silences():
    spikes = LatencyEncoder(10, threshold=0.2)(torch.tensor([[0.2, 0.21]]))
    assert spikes.sum(0).tolist() == [[0, 1]]


def test_shape_and_type():
    spikes = LatencyEncoder(6)(torch.rand(2, 1, 4, 5))
    assert spikes.shape == (6, 2, 1, 4, 5)
    assert spikes.dtype == torch.bool


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="LatencyEncoder: x must lie between 0 and 1, got 0 to 2"):
        LatencyEncoder(5)(torch.tensor([[0.0, 2.0]]))
    with pytest.raises(ValueError, match="LatencyEncoder: first_step must be at least 0 and at most 4, got 5"):
        LatencyEncoder(5, first_step=5)
    with pytest.raises(ValueError, match="LatencyEncoder: threshold must be at least 0 and less than 1, got 1"):
        LatencyEncoder(5, threshold=1)
