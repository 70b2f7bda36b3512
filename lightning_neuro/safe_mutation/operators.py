"""Mutation operators: parents in, children out, with a report.

Each is a frozen set of options and is called as `operator(policy, params, states, magnitude, generator)`; none needs
Lightning. What the magnitude means differs between them:

| name | operator | magnitude |
|---|---|---|
| gaussian | GaussianMutation | standard deviation of each weight's step |
| sm_r | SafeMutationRescale | mean squared change of the outputs |
| sm_g_sum, sm_g_abs | SafeMutationSum, SafeMutationAbs | about the change of the outputs that each weight makes alone |
| sm_g_so | SafeMutationSecondOrder | standard deviation times the root of a curvature |
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.budget import DEFAULT_BYTES
from lightning_neuro.safe_mutation.mutating import Mutating, Mutation, MutationOperator
from lightning_neuro.safe_mutation.mutation import draw_noise, moved
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.rescaling import line_search
from lightning_neuro.safe_mutation.scaled_operators import (
    SafeMutationAbs,
    SafeMutationSecondOrder,
    SafeMutationSum,
    ScaledMutation,
)


@dataclass(frozen=True)
class GaussianMutation:
    """The control: every weight moves by normal noise of one size. With states it reports the divergence as well.

    Args:
        max_bytes: about how much memory to work in.

    >>> parents = torch.zeros(250, 8)
    >>> made = GaussianMutation()(nn.Linear(3, 2), parents, None, 0.01, torch.Generator().manual_seed(0))
    >>> round(made.children.std().item(), 3)
    0.01
    """

    max_bytes: int = DEFAULT_BYTES

    def __post_init__(self) -> None:
        checks.integer("GaussianMutation", "max_bytes", self.max_bytes, at_least=1)

    @property
    def needs_states(self) -> bool:
        """False."""
        return False

    def __call__(
        self,
        policy: nn.Module | BatchedPolicy,
        params: Tensor,
        states: Tensor | None,
        magnitude: float,
        generator: torch.Generator,
        *,
        valid: Tensor | None = None,
    ) -> Mutation:
        """Return children `parent + magnitude * n`; see `MutationOperator`."""
        task = Mutating("GaussianMutation", policy, params, magnitude)
        children = moved(task.params, task.magnitude * draw_noise(task.params, generator))
        if states is None:
            return task.finished(children)
        return task.finished(children, divergence=task.divergence(children, states, valid, self.max_bytes))


@dataclass(frozen=True)
class SafeMutationRescale:
    """SM-R: the whole step scaled until the mean squared change of the outputs is the magnitude, `rescaling.rescale`.

    Args:
        along: ours: an SM-G operator whose steps give the direction in place of plain noise.
        max_bytes: about how much memory to work in.

    >>> noise = torch.Generator().manual_seed(0)
    >>> made = SafeMutationRescale()(nn.Linear(3, 2), torch.zeros(2, 8), torch.ones(1, 3), 0.01, noise)
    >>> [round(divergence, 4) for divergence in made.report["divergence"].tolist()]
    [0.01, 0.01]
    """

    along: ScaledMutation | None = None
    max_bytes: int = DEFAULT_BYTES

    def __post_init__(self) -> None:
        if self.along is not None and not isinstance(self.along, ScaledMutation):
            raise TypeError(
                "SafeMutationRescale: along must be None or one of SafeMutationSum, SafeMutationAbs and "
                f"SafeMutationSecondOrder, got {self.along!r}."
            )
        checks.integer("SafeMutationRescale", "max_bytes", self.max_bytes, at_least=1)

    @property
    def needs_states(self) -> bool:
        """True."""
        return True

    def __call__(
        self,
        policy: nn.Module | BatchedPolicy,
        params: Tensor,
        states: Tensor | None,
        magnitude: float,
        generator: torch.Generator,
        *,
        valid: Tensor | None = None,
    ) -> Mutation:
        """Return children whose divergence is the magnitude, or less; see `MutationOperator`."""
        task = Mutating("SafeMutationRescale", policy, params, magnitude)
        given, steps = task.needed(states), draw_noise(task.params, generator)
        report: dict[str, Tensor] = {}
        if self.along is not None:
            steps, report = self.along.steps(task.policy, task.params, given, 1.0, steps, valid)
        found = line_search(
            task.policy,
            task.params,
            steps,
            given,
            task.magnitude,
            valid=valid,
            max_bytes=self.max_bytes,
            owner=task.owner,
        )
        return task.finished(found.children, **report, divergence=found.divergence, capped=found.capped)


OPERATORS: dict[str, type[Any]] = {
    "gaussian": GaussianMutation,
    "sm_r": SafeMutationRescale,
    "sm_g_sum": SafeMutationSum,
    "sm_g_abs": SafeMutationAbs,
    "sm_g_so": SafeMutationSecondOrder,
}


def operator_named(name: str, **options: Any) -> MutationOperator:
    """Return an operator by name.

    Args:
        name: "gaussian", "sm_r", "sm_g_sum", "sm_g_abs" or "sm_g_so".
        options: of that operator.

    Raises:
        ValueError: no such name, or an option out of range.
        TypeError: the operator has no such option.

    >>> operator_named("sm_g_sum", clip=0.2).clip
    0.2
    """
    kind = OPERATORS[checks.choice("operator_named", "name", name, OPERATORS)]
    known = [field.name for field in dataclasses.fields(kind)]
    for option in options:
        if option not in known:
            raise TypeError(f"operator_named: {name!r} has no option {option!r}; it has {', '.join(known)}.")
    made: MutationOperator = kind(**options)
    return made


__all__ = [
    "OPERATORS",
    "GaussianMutation",
    "Mutation",
    "MutationOperator",
    "SafeMutationAbs",
    "SafeMutationRescale",
    "SafeMutationSecondOrder",
    "SafeMutationSum",
    "ScaledMutation",
    "operator_named",
]
