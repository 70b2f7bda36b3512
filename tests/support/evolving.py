"""A small task for evolution: fit a curve, with own experience, noise and successes as they are asked for."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_neuro.safe_mutation.evaluation import Evaluation
from lightning_neuro.safe_mutation.module import SafeMutation

POINTS = torch.linspace(-1, 1, 8)[:, None]


class Curve:
    """Fitness is minus the mean squared distance from a sine; counts what it was asked."""

    def __init__(self, *, own: bool = True, noise: float = 0.0, solved_at: float | None = None) -> None:
        self.own, self.noise, self.solved_at = own, noise, solved_at
        self.asked: list[dict[str, Any]] = []

    def __call__(self, policy: Any, params: Tensor, *, seeds: Tensor, record: int, batch: Any = None) -> Evaluation:
        self.asked.append({"count": len(params), "seeds": seeds, "record": record, "batch": batch})
        points = POINTS.to(params)
        outputs = policy(params, points)[..., 0].to(params.dtype)
        fitness = -(outputs - points[:, 0].sin()).square().mean(1)
        drawn = [torch.randn(1, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
        fitness = fitness + self.noise * torch.cat(drawn).to(params)
        states = points + outputs[..., None].detach() if self.own else points
        return Evaluation(
            fitness,
            states=states if record else None,
            solved=None if self.solved_at is None else fitness >= self.solved_at,
            extras={"first": outputs[:, 0]},
        )


class Memory(nn.Module):
    """A policy that carries a state."""

    def __init__(self, inputs: int = 1, outputs: int = 1) -> None:
        super().__init__()
        self.cell, self.readout = nn.GRUCell(inputs, 4), nn.Linear(4, outputs)

    def forward(self, x: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
        h = self.cell(x, h)
        return self.readout(h), h


def curve_policy(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1))


def evolving(policy: nn.Module | None = None, evaluator: Any = None, **options: Any) -> SafeMutation:
    given = {"population_size": 12, "magnitude": 0.01, "archive_size": 12, "mutation_states": 6}
    return SafeMutation(
        curve_policy() if policy is None else policy, Curve() if evaluator is None else evaluator, **(given | options)
    )


def same_evolution(one: SafeMutation, other: SafeMutation) -> bool:
    """Whether everything that evolves is equal bit by bit."""
    return _equal(one.evolution.state_dict(), other.evolution.state_dict())


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    return torch.equal(one, other) if isinstance(one, Tensor) else one == other
