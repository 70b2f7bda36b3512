import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.spiking.encoding import DeltaEncoder


def literal(series, threshold):
    level, on, off = series[0], [], []
    for value in series:
        up, down = value - level >= threshold, value - level <= -threshold
        level += threshold * (up - down)
        on.append(up)
        off.append(down)
    return on, off


@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0.1, 2))
def test_equals_the_literal_loop(seed, steps, threshold):
    x = torch.randn(steps, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    spikes = DeltaEncoder(threshold)(x)
    assert spikes.shape == (steps, 2, 6)
    assert spikes.dtype == torch.bool
    for b in range(2):
        for m in range(3):
            on, off = literal(x[:, b, m].tolist(), threshold)
            assert spikes[:, b, m].tolist() == on
            assert spikes[:, b, m + 3].tolist() == off


@given(st.integers(0, 10**6))
def test_spikes_follow_a_slow_series_to_within_the_threshold(seed):
    slopes = torch.rand(200, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 0.2 - 0.1
    x = slopes.cumsum(0)
    spikes = DeltaEncoder(0.1)(x).double()
    followed = x[0] + 0.1 * (spikes[..., :2] - spikes[..., 2:]).cumsum(0)
    assert (followed - x).abs().max() < 0.1 + 1e-9


def test_a_constant_series_is_silent():
    assert not DeltaEncoder(0.1)(torch.ones(10, 1, 2)).any()


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(5, 2), ValueError, r"x must have shape \(T, B, M\), got \(5, 2\)"),
        (torch.zeros(0, 2, 3), ValueError, r"x must have at least one step, got shape \(0, 2, 3\)"),
        (torch.full((2, 1, 1), torch.nan), ValueError, "x must be finite"),
        (torch.zeros(2, 1, 1, dtype=torch.bool), TypeError, "x must be a floating-point tensor, got torch.bool"),
    ],
)
def test_bad_input_is_named(x, error, message):
    with pytest.raises(error, match=f"DeltaEncoder: {message}"):
        DeltaEncoder(0.1)(x)


def test_bad_threshold_is_named():
    with pytest.raises(ValueError, match="DeltaEncoder: threshold must be greater than 0, got 0"):
        DeltaEncoder(0)
