import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lightning_neuro.gradient_rewiring import functional as grad_r

seeds = st.integers(0, 2**20)


def draw(seed: int, size: int = 40, dead: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    theta = torch.randn(size, generator=generator, dtype=torch.float64)
    sign = torch.randint(-1 if dead else 0, 2, (size,), generator=generator).to(torch.int8)
    sign = sign if dead else sign * 2 - 1
    theta = theta * sign.abs()
    return theta, sign, grad_r.join(theta, sign) + 0.3 * torch.randn(size, generator=generator, dtype=torch.float64)


@given(st.floats(0.5, 0.999), st.floats(1e-3, 100))
def test_p05_the_centre_puts_the_target_below_zero(sparsity, alpha):
    centre = grad_r.laplace_centre(sparsity, alpha)
    laplace = torch.distributions.Laplace(torch.tensor(centre, dtype=torch.float64), 1 / alpha)
    assert laplace.cdf(torch.tensor(0.0, dtype=torch.float64)).item() == pytest.approx(sparsity, rel=1e-6)


@given(seeds, st.floats(0, 0.5), st.floats(-2, 2))
def test_rewire_equals_a_loop_over_the_published_rule(seed, drift, centre):
    theta, sign, weight = draw(seed)
    found = grad_r.rewire(theta, sign, weight, drift, centre, floor=-2.0)
    for t, s, w, f in zip(theta.tolist(), sign.tolist(), weight.tolist(), found.tolist(), strict=True):
        moved = t + s * (w - s * max(t, 0))
        if s:
            moved -= drift * (math.copysign(1, t - centre) if t != centre else 0)
        assert f == pytest.approx(max(moved, -2.0), abs=1e-12)


@given(seeds)
def test_p06_the_redefined_gradient_never_points_against_the_true_one(seed):
    theta, sign, gradient = draw(seed)
    redefined = sign * gradient
    parameter = theta.clone().requires_grad_()
    (true,) = torch.autograd.grad((grad_r.join(parameter, sign) * gradient).sum(), parameter)
    assert (true * redefined).sum() >= 0
    assert (true * redefined >= 0).all()


@given(seeds)
def test_split_and_join_are_inverse_and_random_signs_are_fair(seed):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(30, generator=generator)
    theta, sign = grad_r.split(weight)
    assert torch.equal(grad_r.join(theta, sign), weight)
    _, drawn = grad_r.split(torch.zeros(4000), generator=generator)
    assert abs(drawn.double().mean().item()) < 0.1
    with pytest.raises(ValueError, match="a generator is needed"):
        grad_r.split(torch.zeros(1))


@given(seeds, st.integers(0, 40))
def test_trim_keeps_the_strongest_and_strongest_counts_them(seed, keep):
    theta, _, _ = draw(seed)
    trimmed = grad_r.trim(theta, keep)
    positive = theta[theta > 0].sort(descending=True).values
    assert torch.equal(trimmed[trimmed > 0].sort(descending=True).values, positive[:keep])
    assert torch.equal(trimmed[theta <= 0], theta[theta <= 0])
    parts = {"a": theta[:13], "b": theta[13:]}
    counts = grad_r.strongest(parts, keep)
    assert sum(counts.values()) == keep
    kept = torch.cat([grad_r.trim(part, counts[name]) for name, part in parts.items()])
    assert torch.equal(kept, trimmed)


@given(seeds)
def test_adopt_agrees_with_the_weights_and_fine_tune_with_the_connections(seed):
    theta, sign, weight = draw(seed, dead=False)
    weight[::3] = 0
    grown, signs = grad_r.adopt(theta, sign, weight)
    assert torch.equal(grad_r.join(grown, signs), weight)
    assert torch.equal(grown[weight == 0], theta[weight == 0].clamp_max(0))
    tuned = grad_r.fine_tune(theta, sign, weight)
    assert torch.equal(tuned > 0, theta > 0)
    assert torch.equal(tuned[theta <= 0], theta[theta <= 0])
