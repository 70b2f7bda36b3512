"""What all mutation operators have in common: how they are called, what they return and report."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.divergence import Divergence
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.population_checks import check_population
from lightning_neuro.safe_mutation.samples import as_ordinary


@dataclass(frozen=True)
class Mutation:
    """What an operator has made.

    Attributes:
        children: `(P, d)`, one of each parent.
        report: `(P,)` each, as they apply. "divergence": mean squared change of the outputs on the states;
            "step_l2": length of the step; "zero_fraction", "floored_fraction", "clipped_fraction": of the weights,
            those whose sensitivity is 0, is raised to the floor, whose step is cut; "unmeasured_fraction": those
            whose sensitivity is not finite, and which stay; "capped" (bool): the line search found no scale.
    """

    children: Tensor
    report: dict[str, Tensor]


class MutationOperator(Protocol):
    """What makes children of parents."""

    @property
    def needs_states(self) -> bool:
        """Whether `states` may not be None."""

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
        """Return one child of each row of `params (P, d)`.

        Args:
            policy: what the genomes are weights of.
            params: the parents.
            states: what the outputs are compared on, shared or one archive each.
            magnitude: at least 0; 0 returns the parents, bit by bit.
            generator: noise is drawn from it as one block `(P, d)`.
            valid: bool `(P, B')`, which output rows count; None: all.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: shapes do not fit, a genome is not finite, or a number is out of range.
        """


class Mutating:
    """One call of an operator: its checked arguments, and what every report has."""

    def __init__(
        self,
        owner: str,
        policy: nn.Module | BatchedPolicy,
        params: Tensor,
        magnitude: float,
    ) -> None:
        self.owner = owner
        self.policy = BatchedPolicy.of(policy)
        check_population(owner, self.policy, params)
        self.params = as_ordinary(params)
        self.magnitude = checks.number(owner, "magnitude", magnitude, at_least=0)

    def needed(self, states: Tensor | None) -> Tensor:
        """Return the states of an operator that cannot do without.

        Raises:
            ValueError: there are none.
        """
        if states is None:
            raise ValueError(
                f"{self.owner}: states are needed, got None. Record some from the environment, or use GaussianMutation."
            )
        return states

    def divergence(self, children: Tensor, states: Tensor, valid: Tensor | None, max_bytes: int) -> Tensor:
        """Return the mean squared change of the outputs, `(P,)`."""
        return Divergence(self.owner, self.policy, self.params, states, valid, max_bytes).of(children)

    def finished(self, children: Tensor, **report: Tensor) -> Mutation:
        """Return the children with their report."""
        return Mutation(children, report | {"step_l2": torch.linalg.vector_norm(children - self.params, dim=1)})
