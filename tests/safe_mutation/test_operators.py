import gc
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_neuro.safe_mutation.operators import (
    OPERATORS,
    GaussianMutation,
    SafeMutationAbs,
    SafeMutationRescale,
    SafeMutationSecondOrder,
    SafeMutationSum,
    operator_named,
)
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.sensitivity import sm_g_abs

SCALED = (SafeMutationSum, SafeMutationAbs, SafeMutationSecondOrder)


class TwoWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.w * torch.tensor([100.0, 0.1])


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def given(count: int = 4, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor, Tensor]:
    policy = net().to(dtype)
    return (
        policy,
        torch.randn(count, 26, generator=generator(1)).to(dtype),
        torch.randn(5, 3, generator=generator(2)).to(dtype),
    )


@pytest.mark.parametrize("name", OPERATORS)
def test_p10_magnitude_zero_keeps_every_bit(name):
    policy, parents, states = given()
    parents[0, :2] = torch.tensor([0.0, -0.0])
    made = operator_named(name)(policy, parents, states, 0.0, generator())
    assert torch.equal(made.children, parents)
    assert torch.equal(made.children.signbit(), parents.signbit())
    assert made.report["divergence"].tolist() == [0.0] * 4
    assert made.report["step_l2"].tolist() == [0.0] * 4


@pytest.mark.parametrize("name", ["gaussian", "sm_g_sum", "sm_g_abs", "sm_g_so"])
def test_p10_doubling_the_magnitude_doubles_the_step(name):
    policy, parents, states = given()
    once, twice = (
        operator_named(name)(policy, parents, states, m, generator()).children - parents for m in (0.01, 0.02)
    )
    torch.testing.assert_close(twice, 2 * once)


@pytest.mark.parametrize("name", OPERATORS)
def test_p11_parents_policy_and_random_state_stay_and_no_graph_is_kept(name):
    policy, parents, states = given()
    before, kept, noise = [p.clone() for p in policy.parameters()], parents.clone(), torch.get_rng_state()
    operator, batched = operator_named(name), BatchedPolicy(policy)
    alive = []
    for _ in range(4):
        made = operator(batched, parents.requires_grad_(), states, 0.01, generator())
        assert not made.children.requires_grad
        assert all(not value.requires_grad and value.shape == (4,) for value in made.report.values())
        gc.collect(1)  # the young generations: a full collection takes long
        alive.append(sum(issubclass(type(thing), Tensor) for thing in gc.get_objects()))
    assert alive[1] == alive[3]
    assert torch.equal(parents.detach(), kept)
    assert parents.grad is None
    assert all(torch.equal(p, b) and p.grad is None for p, b in zip(policy.parameters(), before, strict=True))
    assert torch.equal(torch.get_rng_state(), noise)


@pytest.mark.parametrize("name", OPERATORS)
def test_p12_children_depend_on_the_seed_and_not_on_memory_or_batching(name):
    policy, parents, states = given()
    made = operator_named(name)(policy, parents, states, 0.01, generator(3)).children
    small = operator_named(name, max_bytes=1)(policy, parents, states, 0.01, generator(3)).children
    loop = operator_named(name)(BatchedPolicy(policy, vectorize=False), parents, states, 0.01, generator(3)).children
    torch.testing.assert_close(small, made)
    torch.testing.assert_close(loop, made)
    assert not torch.equal(operator_named(name)(policy, parents, states, 0.01, generator(4)).children, made)


def test_children_are_parents_plus_scaled_noise():
    policy, parents, states = given()
    noise = torch.randn(4, 26, generator=generator(7), dtype=torch.float64)
    made = SafeMutationAbs(floor=0.2, clip=0.15)(policy, parents, states, 0.1, generator(7))
    raw = sm_g_abs(policy, parents, states)
    step = (0.1 * noise / raw.clamp_min(0.2)).clamp(-0.15, 0.15)
    torch.testing.assert_close(made.children, parents + step)
    torch.testing.assert_close(made.report["floored_fraction"], (raw < 0.2).double().mean(1))
    torch.testing.assert_close(made.report["clipped_fraction"], (step.abs() == 0.15).double().mean(1))
    torch.testing.assert_close(made.report["step_l2"], step.norm(dim=1))
    assert made.report["zero_fraction"].tolist() == [0.0] * 4


def test_divergence_reported_is_that_of_the_children_on_valid_states():
    policy, parents, states = given()
    valid = torch.tensor([[True, False, True, True, False]] * 4)
    batched = BatchedPolicy(policy)
    for name in OPERATORS:
        made = operator_named(name)(policy, parents, states, 0.01, generator(), valid=valid)
        for p in range(4):
            before, after = (batched.individual(v[p])(states[valid[p]]) for v in (parents, made.children))
            torch.testing.assert_close(made.report["divergence"][p], (after - before).square().mean())


def test_on_washout_the_sum_is_the_control_and_abs_is_not():
    policy = BatchedPolicy(TwoWeights(), observation_ndim=1)
    states = torch.tensor([[1.0, 1.0], [-1.0, -1.0]]).repeat(4, 1)
    parents = torch.zeros(50, 2)
    control = GaussianMutation()(policy, parents, states, 0.01, generator())
    summed = SafeMutationSum(clip=10.0)(policy, parents, states, 0.01, generator())
    assert torch.equal(summed.children, control.children)
    assert summed.report["zero_fraction"].tolist() == [1.0] * 50
    absolute = SafeMutationAbs(clip=10.0)(policy, parents, states, 0.01, generator())
    torch.testing.assert_close(absolute.children, control.children / torch.tensor([100.0, 0.1]))


def test_p07_children_that_differ_in_dead_weights_only_do_the_same():
    policy, parents, states = given()
    states[:, 1] = 0
    dead = torch.zeros(26, dtype=torch.bool)
    dead[1:12:3] = True
    made = SafeMutationAbs()(policy, parents, states, 0.1, generator())
    torch.testing.assert_close(made.report["zero_fraction"], torch.full((4,), 4 / 26, dtype=torch.float64))
    batched = BatchedPolicy(policy)
    moved_back = torch.where(dead, parents, made.children)
    torch.testing.assert_close(batched.outputs(moved_back, states), batched.outputs(made.children, states))
    frozen = SafeMutationAbs(zero="freeze")(policy, parents, states, 0.1, generator()).children
    assert torch.equal(frozen[:, dead], parents[:, dead])


def test_rescale_meets_the_magnitude_also_along_other_steps():
    policy, parents, states = given()
    for along in (None, *(kind() for kind in SCALED)):
        made = SafeMutationRescale(along)(policy, parents, states, 0.05, generator())
        assert (made.report["divergence"] <= 0.05).all()
        assert (made.report["divergence"] > 0.049).all()
        assert not made.report["capped"].any()
        direction = along or GaussianMutation()
        other = direction(policy, parents, states, 1.0, generator()).children - parents
        assert torch.cosine_similarity(made.children - parents, other).min() > 1 - 1e-9


def test_weights_whose_effect_overflows_stay_and_are_reported():
    policy, parents = nn.Linear(1, 1), torch.ones(2, 2)
    states = torch.tensor([[3e38], [3e38]])
    made = SafeMutationSum(reduction="reference")(policy, parents, states, 0.01, generator())
    assert made.children[:, 0].tolist() == [1.0, 1.0]
    assert made.report["unmeasured_fraction"].tolist() == [0.5, 0.5]


def test_gaussian_needs_no_states_and_measures_where_it_has_some():
    policy, parents, states = given()
    assert not GaussianMutation().needs_states
    assert set(GaussianMutation()(policy, parents, None, 0.1, generator()).report) == {"step_l2"}
    assert "divergence" in GaussianMutation()(policy, parents, states, 0.1, generator()).report


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"magnitude": -0.1}, "magnitude must be at least 0, got -0.1"),
        ({"params": torch.full((4, 26), torch.nan)}, "params must be finite"),
        ({"params": torch.zeros(4, 25)}, "params must be"),
        ({"states": torch.zeros(0, 3)}, "at least one state"),
    ],
)
def test_bad_arguments_are_named(name, arguments, message):
    all_arguments: dict[str, Any] = dict(zip(("policy", "params", "states"), given(dtype=torch.float32), strict=True))
    all_arguments |= {"magnitude": 0.1, "generator": generator()} | arguments
    with pytest.raises(ValueError, match=message):
        operator_named(name)(**all_arguments)


@pytest.mark.parametrize("name", ["sm_r", "sm_g_sum", "sm_g_abs", "sm_g_so"])
def test_states_are_needed_by_all_others(name):
    assert operator_named(name).needs_states
    with pytest.raises(ValueError, match=f"{type(operator_named(name)).__name__}: states are needed"):
        operator_named(name)(net(), torch.zeros(1, 26), None, 0.1, generator())


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("sm_g", {}, ValueError, "name must be one of 'gaussian', 'sm_r'"),
        ("gaussian", {"floor": 1}, TypeError, "'gaussian' has no option 'floor'; it has max_bytes"),
        ("sm_g_sum", {"floor": -1}, ValueError, "SafeMutationSum: floor must be at least 0"),
        ("sm_g_abs", {"zero": "?"}, ValueError, "SafeMutationAbs: zero must be one of"),
        ("sm_g_so", {"reduction": "sum"}, ValueError, "SafeMutationSecondOrder: reduction must be one of"),
        ("sm_g_so", {"max_bytes": 0}, ValueError, "SafeMutationSecondOrder: max_bytes"),
        ("sm_r", {"along": "sm_g_sum"}, TypeError, "SafeMutationRescale: along must be None or one of"),
    ],
)
def test_bad_options_are_named(name, options, error, message):
    with pytest.raises(error, match=message):
        operator_named(name, **options)
