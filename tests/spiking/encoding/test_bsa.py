import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.spiking.encoding import BSAEncoder, bsa_decode, bsa_encode, bsa_kernel


def literal(signal, kernel, threshold, delay=1):
    """One channel, one number at a time."""
    rest, spikes = [float(x) for x in signal], [False] * len(signal)
    for t in range(len(rest)):
        with_spike = without = 0.0
        for i, h in enumerate(kernel):
            if t + i < len(rest):
                with_spike += abs(rest[t + i] - h)
                without += abs(rest[t + i])
        if with_spike < without - threshold and t + delay < len(rest):
            spikes[t + delay] = True
            for i, h in enumerate(kernel):
                if t + i < len(rest):
                    rest[t + i] -= h
    return spikes


def wave(steps=600):
    return 0.4 + 0.3 * torch.sin(2 * torch.pi * torch.arange(steps, dtype=torch.float64) / 120)


def test_kernel_is_the_published_one():
    expected = [2.718281828459045 ** (-((i - 12) ** 2) / 25) for i in range(24)]
    torch.testing.assert_close(bsa_kernel(), torch.tensor(expected, dtype=torch.float64) / sum(expected))


@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from([0.6, 0.9]), st.integers(0, 2))
def test_equals_the_literal_loop(seed, steps, threshold, delay):
    signal = torch.rand(steps, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 1.5 - 0.2
    spikes = bsa_encode(signal, threshold=threshold, delay=delay)
    kernel = bsa_kernel().tolist()
    for b in range(2):
        for m in range(2):
            assert spikes[:, b, m].tolist() == literal(signal[:, b, m], kernel, threshold, delay)


def test_the_literal_loop_at_an_ordinary_length():
    assert bsa_encode(wave()).tolist() == literal(wave(), bsa_kernel().tolist(), 0.6)


@pytest.mark.parametrize(("threshold", "error", "bias"), [(0.6, 0.14, 0.08), (0.9, 0.045, 0.015)])
def test_decoding_approximates_the_signal(threshold, error, bias):
    decoded = bsa_decode(bsa_encode(wave(), threshold=threshold), bsa_kernel())
    difference = (decoded - wave())[30:570]
    assert difference.abs().max() < error
    assert difference.mean().abs() < bias
    assert torch.corrcoef(torch.stack([decoded, wave()])[:, 30:570])[0, 1] > 0.998


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(0, 3), st.integers(1, 30))
def test_decoding_is_a_convolution(seed, steps, delay, taps):
    spikes = torch.rand(steps, 3, generator=torch.Generator().manual_seed(seed)) < 0.3
    kernel = torch.arange(1, taps + 1, dtype=torch.float64)
    expected = torch.zeros(steps, 3, dtype=torch.float64)
    for t, channel in spikes.nonzero().tolist():
        for i in range(taps):
            if 0 <= t + i - delay < steps:
                expected[t + i - delay, channel] += kernel[i]
    torch.testing.assert_close(bsa_decode(spikes, kernel, delay=delay), expected)


def test_nothing_fires_at_step_0_nor_for_silence():
    assert not bsa_encode(torch.ones(50))[0].any()
    assert not bsa_encode(torch.zeros(50, 2)).any()
    assert bsa_encode(torch.zeros(0, 2)).shape == (0, 2)


def test_the_signal_is_left_alone():
    signal = torch.full((50,), 0.5)
    bsa_encode(signal)
    assert (signal == 0.5).all()


def test_module_does_as_the_function():
    kernel = bsa_kernel(11)
    encoder = BSAEncoder(kernel, threshold=0.8, delay=0)
    assert torch.equal(encoder(wave()), bsa_encode(wave(), kernel, threshold=0.8, delay=0))
    assert repr(encoder) == "BSAEncoder(11 taps, threshold=0.8, delay=0)"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: bsa_encode(torch.zeros(3, dtype=torch.long)), TypeError, "signal must be a floating-point tensor"),
        (lambda: bsa_encode(torch.tensor([torch.inf])), ValueError, "signal must be finite"),
        (lambda: bsa_encode(torch.zeros(3), threshold=-1), ValueError, "threshold must be at least 0, got -1"),
        (lambda: bsa_encode(torch.zeros(3), delay=-1), ValueError, "delay must be at least 0, got -1"),
        (lambda: bsa_encode(torch.zeros(3), torch.zeros(2, 2)), ValueError, r"kernel must have shape \(n,\)"),
        (lambda: bsa_decode(torch.zeros(3), delay=-1), ValueError, "delay must be at least 0, got -1"),
        (lambda: BSAEncoder(torch.zeros(0)), ValueError, r"kernel must have shape \(n,\) with n at least 1"),
        (lambda: bsa_kernel(0), ValueError, "taps must be at least 1, got 0"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
