import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lightning_neuro.safe_mutation.mutation import draw_noise, gaussian, moved, scaled, scaled_steps

seeds = st.integers(0, 2**20)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Parents, noise, and sensitivities over many orders with some zeros."""
    params, delta, exponent = torch.randn(3, 4, 30, generator=generator(seed), dtype=torch.float64).unbind()
    return params, delta, torch.where(exponent > 1, 0.0, 10 ** (3 * exponent))


def slow(delta: float, s: float, floor: float, zero: str, clip: float | None) -> float:
    if s == 0:
        if zero == "freeze":
            return 0.0
        s = 1.0 if zero == "unit" else floor
    step = delta / max(s, floor)
    return step if clip is None else min(max(step, -clip), clip)


@given(seeds, st.sampled_from(["unit", "floor", "freeze"]), st.sampled_from([None, 0.2]), st.sampled_from([0.01, 0.5]))
def test_scaled_equals_a_loop_over_weights(seed, zero, clip, floor):
    params, delta, sensitivity = draw(seed)
    found = scaled(params, delta, sensitivity, floor=floor, zero=zero, clip=clip)
    for p, n, s, f in zip(*(t.flatten().tolist() for t in (params, delta, sensitivity, found)), strict=True):
        assert f == pytest.approx(p + slow(n, s, floor, zero, clip), rel=1e-12)


@given(seeds)
def test_p06_zero_is_a_plain_step_the_floor_a_hundredfold_and_the_clip_a_limit(seed):
    params, delta, sensitivity = draw(seed)
    made = scaled_steps(delta, sensitivity, 0.01, "unit", None, None)
    zero, low = sensitivity == 0, (sensitivity > 0) & (sensitivity < 0.01)
    assert torch.equal(made.steps[zero], delta[zero])
    torch.testing.assert_close(made.steps[low], 100 * delta[low])
    clipped = scaled(params, delta, sensitivity, clip=0.2)
    assert (clipped - params).abs().max() <= 0.2 + 1e-12
    torch.testing.assert_close(made.zero_fraction, zero.double().mean(1))
    torch.testing.assert_close(made.floored_fraction, low.double().mean(1))
    assert made.clipped_fraction.tolist() == [0.0] * 4
    cut = scaled_steps(delta, sensitivity, 0.01, "unit", 0.2, None).clipped_fraction
    torch.testing.assert_close(cut, (made.steps.abs() > 0.2).double().mean(1))


def test_the_zero_rule_comes_before_the_floor():
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    assert scaled(zero, one, zero, floor=4.0).item() == 0.25  # 0 becomes 1, then 4


@given(seeds)
def test_normalisations(seed):
    _, delta, sensitivity = draw(seed)
    by_std = scaled_steps(delta, sensitivity, 0.01, "unit", None, "std")
    torch.testing.assert_close(by_std.steps.square().mean(1), delta.square().mean(1))
    plain = scaled_steps(delta, sensitivity, 0.01, "unit", None, None).steps
    torch.testing.assert_close(by_std.steps / by_std.steps[:, :1], plain / plain[:, :1])
    by_max = scaled_steps(delta, sensitivity, 0.01, "unit", None, "max").steps
    relative = sensitivity / sensitivity.amax(1, keepdim=True)
    torch.testing.assert_close(by_max, scaled_steps(delta, relative, 0.01, "unit", None, None).steps)
    infinite = torch.cat([sensitivity, torch.full((4, 1), torch.inf, dtype=torch.float64)], 1)
    longer = torch.cat([delta, delta[:, :1]], 1)
    found = scaled_steps(longer, infinite, 0.01, "unit", None, "max").steps
    torch.testing.assert_close(found, torch.cat([by_max, torch.zeros(4, 1, dtype=torch.float64)], 1))


def test_normalisation_of_nothing_is_nothing():
    zero, one = torch.zeros(1, 3), torch.ones(1, 3)
    for normalize in ("std", "max"):
        assert torch.equal(scaled(one, zero, zero, normalize=normalize), one)
    assert torch.equal(scaled(one, one, zero, zero="freeze", normalize="std"), one)
    large = torch.full((1, 3), 1e30)
    torch.testing.assert_close(scaled(zero, one, 1 / large, floor=0.0, normalize="std"), one)


def test_p08_weights_of_unequal_sensitivity_contribute_equally():
    delta = 0.01 * torch.randn(20000, 2, generator=generator(), dtype=torch.float64)
    sensitivity = torch.tensor([[100.0, 0.1]], dtype=torch.float64).expand(20000, 2)
    change = scaled(torch.zeros_like(delta), delta, sensitivity, floor=0.0) * sensitivity
    torch.testing.assert_close(change.std(0), torch.full((2,), 0.01, dtype=torch.float64), rtol=0.02, atol=0)


def test_gaussian_is_normal_with_the_magnitude_and_independent():
    children = gaussian(torch.ones(400, 100), 0.5, generator()) - 1
    flat = children.flatten().sort().values.double()
    ranks = (torch.arange(len(flat), dtype=torch.float64) + 0.5) / len(flat)
    distance = (torch.distributions.Normal(0.0, 0.5).cdf(flat) - ranks).abs().max().item()
    assert distance < 1.95 / math.sqrt(len(flat))  # Kolmogorov and Smirnov at p = 0.001
    assert torch.corrcoef(children[:, :2].T)[0, 1].abs() < 0.2
    assert torch.corrcoef(children[:2])[0, 1].abs() < 0.4


def test_p10_magnitude_zero_keeps_every_bit_and_doubling_doubles():
    params = torch.tensor([[0.0, -0.0, 1.0]])
    for children in (
        gaussian(params, 0.0, generator()),
        scaled(params, -params * 0, params + 1),
        moved(params, params * 0),
    ):
        assert torch.equal(children.signbit(), params.signbit())
        assert torch.equal(children, params)
    once, twice = (gaussian(torch.zeros(3, 5), m, generator()) for m in (0.25, 0.5))
    assert torch.equal(2 * once, twice)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_is_one_block_of_the_generator_alone(dtype):
    state = torch.get_rng_state()
    found = draw_noise(torch.zeros(3, 4, dtype=dtype), generator(5))
    assert torch.equal(found, torch.randn(3, 4, generator=generator(5), dtype=dtype))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"floor": -0.1}, "floor must be at least 0"),
        ({"floor": 0.0, "zero": "floor"}, "greater than 0"),
        ({"zero": "one"}, "zero must be one of 'unit', 'floor', 'freeze'"),
        ({"clip": 0.0}, "clip must be greater than 0"),
        ({"normalize": "l2"}, "normalize must be one of 'std', 'max'"),
        ({"sensitivity": torch.tensor([[torch.nan, 1.0]])}, "negative entry or NaN"),
        ({"sensitivity": torch.tensor([[-1.0, 1.0]])}, "negative entry or NaN"),
        ({"sensitivity": torch.ones(2)}, "sensitivity must be"),
        ({"delta": torch.ones(1, 3)}, r"delta must have the shape of params, \(1, 2\), got \(1, 3\)"),
    ],
)
def test_what_scaled_refuses(options, message):
    arguments = {"params": torch.zeros(1, 2), "delta": torch.ones(1, 2), "sensitivity": torch.ones(1, 2)} | options
    with pytest.raises(ValueError, match=f"scaled: .*{message}"):
        scaled(**arguments)


def test_what_gaussian_refuses():
    with pytest.raises(ValueError, match="gaussian: magnitude must be at least 0, got -1"):
        gaussian(torch.zeros(1, 2), -1, generator())
    with pytest.raises(TypeError, match="gaussian: params must be a floating point tensor"):
        gaussian([[0.0]], 1, generator())
