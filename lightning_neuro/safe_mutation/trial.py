"""What one evaluation leaves behind, in the form in which a generation uses it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lightning_neuro.safe_mutation.archive import Archive, archive_of
from lightning_neuro.safe_mutation.evaluation import Evaluation
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.selection import ranked


@dataclass(frozen=True)
class Trial:
    """Fitness of n individuals and what they met.

    Attributes:
        fitness: (n,) on the CPU; minus infinity where an individual is broken.
        solved: (n,) bool on the CPU; None where the task has no such thing.
        extras: further numbers by name, (n,) each, on the CPU.
        experience: what they met, or None.
    """

    fitness: Tensor
    solved: Tensor | None = None
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    experience: Archive | None = None

    @property
    def broken(self) -> Tensor:
        """Who got a fitness that is not finite, (n,) bool."""
        return ~self.fitness.isfinite()

    def best(self) -> int:
        """Index of the best: one who solved the task before others, then the fitter one, then the earlier one."""
        if self.solved is not None and bool(self.solved.any()):
            return int(torch.where(self.solved, self.fitness, -torch.inf).argmax())
        return int(self.fitness.argmax())


def trial_of(evaluation: Evaluation, policy: BatchedPolicy) -> Trial:
    """Return a trial: experience as rows, all else on the CPU, where selection happens."""
    experience = None
    if evaluation.states is not None:
        own, recurrent = policy.has_own_states(evaluation.states), policy.interface.recurrence != "none"
        experience = archive_of(evaluation.states, evaluation.valid, own=own, recurrent=recurrent)
    return Trial(
        fitness=ranked(evaluation.fitness.detach().cpu()),
        solved=None if evaluation.solved is None else evaluation.solved.cpu(),
        extras={name: values.detach().cpu().float() for name, values in evaluation.extras.items()},
        experience=experience,
    )
