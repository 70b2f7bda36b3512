import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.rescaling import line_search, rescale


def net(final: nn.Module | None = None) -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2), final or nn.Identity())


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=10)
@given(st.floats(1e-6, 1.0), st.integers(0, 2**20))
def test_p09_the_divergence_is_just_below_the_target_along_the_noise(target, seed):
    policy = net().double()
    parents, noise, states = draw(6, 50, seed=seed), draw(6, 50, seed=seed + 1), draw(6, 4, 3, seed=seed + 2)
    found = line_search(policy, parents, noise, states, target)
    step = found.children - parents
    for parent, child, n, x, divergence in zip(parents, found.children, noise, states, found.divergence, strict=True):
        before, after = (BatchedPolicy(policy).individual(v)(x) for v in (parent, child))
        assert (after - before).square().mean().item() == pytest.approx(divergence.item(), rel=1e-6)
        assert torch.cosine_similarity(child - parent, n, dim=0).item() == pytest.approx(1.0)
    assert (found.divergence <= target).all()
    assert (found.divergence[~found.capped] >= 0.99 * target).all()
    assert not found.capped.any()
    torch.testing.assert_close(step.norm(dim=1), found.scale)
    assert torch.equal(rescale(policy, parents, noise, states, target), found.children)


def test_a_linear_model_meets_the_target_in_closed_form():
    policy = nn.Linear(3, 1).double()
    parents, noise, states = draw(5, 4), draw(5, 4, seed=1), draw(7, 3, seed=2)
    found = line_search(policy, parents, noise, states, 0.25)
    change = torch.cat([states, torch.ones(7, 1)], 1) @ (noise / noise.norm(dim=1, keepdim=True)).T
    torch.testing.assert_close(found.scale, 0.5 / change.square().mean(0).sqrt(), rtol=1e-3, atol=0)


def test_saturated_outputs_are_capped_and_reported():
    policy = net(nn.Softmax(-1)).double()
    found = line_search(policy, draw(4, 50), draw(4, 50, seed=1), draw(5, 3, seed=2), 3.0)
    assert found.capped.all()
    torch.testing.assert_close(found.scale, torch.full((4,), 1e-4 * 2**20, dtype=torch.float64))
    assert (found.divergence <= 1.0).all()


class Jump(nn.Linear):
    """Its outputs jump as soon as any weight moves upwards."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(super().forward(x) > 0, 1.0, 0.0)


def test_outputs_that_jump_leave_the_parent_where_it_is():
    parents, up = torch.zeros(2, 2), torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    found = line_search(Jump(1, 1), parents, up, torch.ones(3, 1), 0.5)
    assert found.capped.tolist() == [True, True]
    assert found.scale.tolist() == [0.0, pytest.approx(1e-4 * 2**20)]
    assert torch.equal(found.children[0], parents[0])


def test_targets_below_the_first_scale_are_met():
    found = line_search(nn.Linear(1, 1), torch.zeros(1, 2), torch.ones(1, 2), torch.ones(1, 1), 1e-12)
    assert found.scale.item() == pytest.approx(1e-6 / 2**0.5, rel=1e-3)
    assert 0 < found.divergence.item() <= 1e-12


def test_p10_target_zero_and_no_noise_keep_every_bit():
    parents, noise = torch.tensor([[0.0, -0.0]]), torch.ones(1, 2)
    for made in (
        line_search(nn.Linear(1, 1), parents, noise, torch.ones(1, 1), 0.0),
        line_search(nn.Linear(1, 1), parents, noise * 0, torch.ones(1, 1), 0.1),
    ):
        assert torch.equal(made.children, parents)
        assert torch.equal(made.children.signbit(), parents.signbit())
    assert not line_search(nn.Linear(1, 1), parents, noise, torch.ones(1, 1), 0.0).capped.any()


def test_outputs_that_are_not_finite_count_as_too_far():
    class Log(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).log()

    parents, down = torch.ones(1, 2), -torch.ones(1, 2)
    found = line_search(Log(1, 1), parents, down, torch.ones(1, 1), 1e6)
    assert found.children.isfinite().all()
    assert found.divergence.item() <= 1e6
    broken = line_search(Log(1, 1), -parents, down, torch.ones(1, 1), 0.1)
    assert torch.equal(broken.children, -parents)
    assert broken.capped.all()


def test_p12_memory_and_batching_do_not_change_the_result():
    policy = net().double()
    arguments = draw(5, 50), draw(5, 50, seed=1), draw(5, 4, 3, seed=2), 0.01
    valid = torch.rand(5, 4, generator=torch.Generator().manual_seed(0)) < 0.8
    valid[:, 1] = True
    found = rescale(policy, *arguments, valid=valid)
    torch.testing.assert_close(rescale(policy, *arguments, valid=valid, max_bytes=1), found)
    torch.testing.assert_close(rescale(BatchedPolicy(policy, vectorize=False), *arguments, valid=valid), found)
    parents, noise, states, target = arguments
    for p in range(5):
        alone = rescale(policy, parents[p : p + 1], noise[p : p + 1], states[p, valid[p]], target)
        torch.testing.assert_close(alone[0], found[p])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": -0.1}, "target must be at least 0"),
        ({"target": float("nan")}, "target must be at least 0"),
        ({"noise": torch.zeros(1, 3)}, r"noise must have the shape of params"),
        ({"params": torch.full((1, 2), torch.nan)}, "finite"),
        ({"states": torch.zeros(0, 1)}, "at least one state"),
        ({"max_bytes": 0}, "max_bytes must be at least 1"),
    ],
)
def test_bad_arguments_are_named(options, message):
    arguments = {"params": torch.zeros(1, 2), "noise": torch.ones(1, 2), "states": torch.ones(1, 1), "target": 0.1}
    with pytest.raises(ValueError, match=f"rescale: .*{message}"):
        rescale(nn.Linear(1, 1), **(arguments | options))
