"""When evolution has reached what it was asked for."""

import math
from dataclasses import dataclass

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.evolution import Champion


@dataclass(frozen=True)
class Stopping:
    """Ends a run at a fitness, or when the task is solved.

    Args:
        target_fitness: None: no fitness is enough.
        when_solved: what an evaluator calls solved is enough.
        owner: opens messages.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind.
    """

    target_fitness: float | None = None
    when_solved: bool = True
    owner: str = "SafeMutation"

    def __post_init__(self) -> None:
        checks.flag(self.owner, "stop_when_solved", self.when_solved)
        if self.target_fitness is not None:
            checks.number(self.owner, "target_fitness", self.target_fitness)

    def reached(self, champion: Champion, best: float = -math.inf) -> bool:
        """Return whether the run may end, by the champion or the best fitness of the population.

        They differ where who solved the task is the champion, and others are fitter.

        >>> import torch
        >>> Stopping(target_fitness=2.0).reached(Champion(torch.zeros(1), fitness=2.0))
        True
        """
        fit = self.target_fitness is not None and max(champion.fitness, best) >= self.target_fitness
        return fit or (self.when_solved and champion.solved)
