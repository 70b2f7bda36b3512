import pytest
import torch
from torch import nn

from lightning_neuro.safe_mutation.founders import Founding
from lightning_neuro.safe_mutation.genome import Genome


def policy() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 50), nn.Tanh(), nn.LSTM(50, 3))


def test_the_policy_is_first_and_others_are_as_torch_initialises():
    module = policy()
    drawn = Founding().population(module, 60, seed=0)
    assert torch.equal(drawn[0], Genome(module).vector(module))
    weights = Genome(module).tensors(drawn[1:])["0.weight"]
    assert weights.abs().max() <= 0.5  # 1 / sqrt(4)
    assert weights.std().item() == pytest.approx(0.5 / 3**0.5, rel=0.02)
    assert len(drawn[:, 0].unique()) == 60


def test_nothing_else_is_changed():
    module, state = policy(), torch.get_rng_state()
    before = Genome(module).vector(module)
    drawn = [Founding().population(module, 5, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(Genome(module).vector(module), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_noise_has_its_standard_deviation():
    module = policy()
    drawn = Founding("noise", 0.3).population(module, 100, seed=0)
    assert torch.equal(drawn[0], Genome(module).vector(module))
    assert (drawn[1:] - drawn[0]).std().item() == pytest.approx(0.3, rel=0.02)


def test_outer_modules_have_the_last_word():
    class Ones(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def reset_parameters(self) -> None:
            nn.init.ones_(self.inner.weight)

    module = Ones()
    assert (Genome(module).tensors(Founding().population(module, 3, seed=0)[1:])["inner.weight"] == 1).all()


class Bare(nn.Module):
    """Weights without an initialiser of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))


def test_weights_that_all_founders_would_share_are_told_of():
    module = nn.Sequential(nn.Linear(3, 3), Bare())
    with pytest.raises(ValueError, match=r"parameter '1.weight' of Sequential belongs to no module with reset_param"):
        Founding().population(module, 3, seed=0)
    module[1].weight.requires_grad_(False)
    assert Founding().population(module, 3, seed=0).shape == (3, 12)


def test_a_function_that_builds_policies_is_called_for_each_founder():
    drawn = Founding().population(Bare(), 5, seed=0, make=Bare)
    assert len(drawn[:, 0].unique()) == 5
    with pytest.raises(ValueError, match="configure_policy must build the same architecture each time"):
        Founding().population(Bare(), 5, seed=0, make=lambda: nn.Linear(1, 1))


@pytest.mark.parametrize(("options", "message"), [({"initial": "zeros"}, "initial must"), ({"std": 0}, "initial_std")])
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Founding(**options)
