import pytest
import torch
from torch import nn

from lightning_neuro.safe_mutation.calibration import find_magnitude
from lightning_neuro.safe_mutation.operators import OPERATORS, GaussianMutation, SafeMutationSum, operator_named


def given(final: nn.Module | None = None) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    policy = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), final or nn.Identity())
    return policy, torch.randn(9, 26, generator=torch.Generator().manual_seed(0)), torch.randn(5, 3)


@pytest.mark.parametrize("target", [1e-4, 0.1])
@pytest.mark.parametrize("name", OPERATORS)
def test_the_median_child_diverges_as_wanted(name, target):
    policy, parents, states = given()
    found = find_magnitude(policy, parents, states, name, target_divergence=target, seed=4)
    made = operator_named(name)(policy, parents, states, found, torch.Generator().manual_seed(4))
    assert made.report["divergence"].median().item() == pytest.approx(target, rel=0.011)


def test_an_operator_with_options_is_tuned_as_it_is():
    policy, parents, states = given()
    found = find_magnitude(policy, parents, states, SafeMutationSum(clip=0.02), target_divergence=1e-4)
    assert found > 1.05 * find_magnitude(policy, parents, states, "sm_g_sum", target_divergence=1e-4)


def test_the_seed_decides_and_nothing_else():
    policy, parents, states = given()
    assert find_magnitude(policy, parents, states, seed=1) == find_magnitude(policy, parents, states, seed=1)
    assert find_magnitude(policy, parents, states, seed=1) != find_magnitude(policy, parents, states, seed=2)


def test_saturated_outputs_are_a_clear_failure():
    policy, parents, states = given(nn.Softmax(-1))
    with pytest.raises(ValueError, match=r"median divergence of 3 .*saturate"):
        find_magnitude(policy, parents, states, GaussianMutation(), target_divergence=3.0)


def test_outputs_that_jump_past_the_target_are_a_clear_failure():
    class Jump(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.where(super().forward(x).abs() > 0.37, 1.0, 0.0)

    with pytest.raises(ValueError, match="jump past it near magnitude"):
        find_magnitude(Jump(1, 1), torch.zeros(5, 2), torch.ones(1, 1), "gaussian", target_divergence=0.5)


def test_dead_weights_are_a_clear_failure():
    policy = nn.Linear(3, 2, bias=False)
    with pytest.raises(ValueError, match="do not depend on the weights that move"):
        find_magnitude(policy, torch.zeros(5, 6), torch.zeros(4, 3), "gaussian")


@pytest.mark.parametrize("options", [{"target_divergence": 0.0}, {"tolerance": 0.0}, {"operator": "sgd"}])
def test_bad_arguments_are_named(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must|name must"):
        find_magnitude(*given(), **options)
