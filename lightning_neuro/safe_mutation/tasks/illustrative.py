"""Three domains of two weights that show when plain mutation fails, and when cancelling gradients mislead SM-G-SUM.

Both weights must come right, but one moves the output a thousand times more than the other. In `washout` the gradients
of the two patterns cancel as well.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.evaluation import Evaluation
from lightning_neuro.safe_mutation.operators import MutationOperator, operator_named
from lightning_neuro.safe_mutation.population import BatchedPolicy

DomainName = Literal["easy", "medium", "washout"]
PATTERNS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "easy": ((0, 1), (0, 1)),
    "medium": ((1, 0), (0, 1)),
    "washout": ((1, 1), (-1, -1)),
}
GAINS = (100.0, 0.1)
SOLVED_ABOVE = -0.01
CLIP = 10.0


class TwoWeights(nn.Module):
    """`y0 = 100 w0 x0`, `y1 = 0.1 w1 x1`; both weights start uniformly from -1 to 1.

    >>> sum(weights.numel() for weights in TwoWeights().parameters())
    2
    """

    def __init__(self) -> None:
        super().__init__()
        # With one input, torch starts a linear layer uniformly from -1 to 1.
        self.strong = nn.Linear(1, 1, bias=False)
        self.weak = nn.Linear(1, 1, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return `(B, 2)` for inputs `(B, 2)`."""
        strong, weak = GAINS
        return torch.cat([strong * self.strong(inputs[:, :1]), weak * self.weak(inputs[:, 1:])], dim=1)


class Illustrative:
    """One of the three domains: two patterns, to be reproduced. Fitness is minus the summed squared error.

    Args:
        domain: "easy" (one weight matters), "medium" (both do), or "washout" (both do, and gradients cancel).

    Attributes:
        patterns: inputs, which are the targets as well, `(2, 2)`.
        states: the patterns four times over, `(8, 2)`.

    Raises:
        ValueError: the domain is unknown.

    >>> medium = Illustrative("medium")
    >>> medium(BatchedPolicy(medium.policy()), torch.tensor([[0.01, 0.0], [0.0, 0.0]])).fitness.tolist()
    [-1.0, -2.0]
    """

    def __init__(self, domain: DomainName) -> None:
        self.domain = checks.choice("Illustrative", "domain", domain, list(PATTERNS))
        self.patterns = torch.tensor(PATTERNS[domain], dtype=torch.float32)
        self.states = self.patterns.repeat(4, 1)

    @staticmethod
    def policy() -> TwoWeights:
        """Return the model of two weights."""
        return TwoWeights()

    def __call__(self, policy: BatchedPolicy, params: Tensor, *, record: int = 0) -> Evaluation:
        """Return the evaluation of every row of `params`, with at most `record` of the eight states, for all."""
        patterns = self.patterns.to(params)
        fitness = -(policy(params, patterns) - patterns).square().flatten(1).sum(1)
        states = self.states[:record].to(params) if record else None
        return Evaluation(fitness, states=states, solved=fitness > SOLVED_ABOVE)


@dataclass(frozen=True)
class Climb:
    """What hill climbers reached.

    Args:
        params: `(C, 2)`, the weights of each climber at the end.
        fitness: `(iterations + 1, C)`, of the start and after each iteration.
    """

    params: Tensor
    fitness: Tensor

    @property
    def solved_at(self) -> Tensor:
        """Iteration after which each climber was there first, int64 `(C,)`; -1: never."""
        there = self.fitness > SOLVED_ABOVE
        return torch.where(there.any(0), there.int().argmax(0), -1)


def climb(
    domain: DomainName,
    operator: str | MutationOperator,
    magnitude: float,
    *,
    iterations: int = 2000,
    climbers: int = 20,
    seed: int = 0,
) -> Climb:
    """Let independent hill climbers run: each mutates once per iteration, and keeps the child if strictly better.

    Args:
        domain: "easy", "medium" or "washout".
        operator: a mutation operator, or its name. By name, safe mutations clip steps at 10.
        magnitude: of the mutations.
        iterations: mutations of each climber.
        climbers: C, all at once.
        seed: of starts and mutations.

    Raises:
        TypeError: a number is not an integer.
        ValueError: a number or name is out of range.

    >>> climb("easy", "sm_g_abs", 0.1, iterations=100).solved_at.ge(0).sum().item()
    20
    """
    checks.integer("climb", "iterations", iterations, at_least=0)
    checks.integer("climb", "climbers", climbers, at_least=1)
    task = Illustrative(domain)
    policy = BatchedPolicy(task.policy())
    mutate = _operator(operator)
    generator = Generator().manual_seed(seed)
    params = torch.rand(climbers, policy.size, generator=generator) * 2 - 1
    fitness = [task(policy, params).fitness]
    for _ in range(iterations):
        children = mutate(policy, params, task.states, magnitude, generator).children
        reached = task(policy, children).fitness
        better = reached > fitness[-1]
        params = torch.where(better[:, None], children, params)
        fitness.append(torch.where(better, reached, fitness[-1]))
    return Climb(params, torch.stack(fitness))


def _operator(operator: str | MutationOperator) -> MutationOperator:
    if not isinstance(operator, str):
        return operator
    return operator_named(operator, **({} if operator in ("gaussian", "sm_r") else {"clip": CLIP}))
