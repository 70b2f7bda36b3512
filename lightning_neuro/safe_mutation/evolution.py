"""Everything a run of evolution knows between two generations, and how a checkpoint holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from lightning_neuro.safe_mutation.archive import Archive
from lightning_neuro.safe_mutation.trial import Trial

FORMAT = 1


@dataclass(frozen=True)
class Champion:
    """The best individual so far.

    Attributes:
        genome: (d,).
        fitness: with which it became champion; minus infinity before anything was evaluated.
        solved: whether it solved the task.
        extras: further numbers that the evaluator gave.
    """

    genome: Tensor
    fitness: float = -torch.inf
    solved: bool = False
    extras: Mapping[str, float] = field(default_factory=dict)

    def or_better(self, params: Tensor, trial: Trial) -> "Champion":
        """Return the better of this champion and the best of a trial; who solved the task is better."""
        best = trial.best()
        fitness, solved = float(trial.fitness[best]), trial.solved is not None and bool(trial.solved[best])
        if (solved, fitness) <= (self.solved, self.fitness):
            return self
        extras = {name: float(values[best]) for name, values in trial.extras.items()}
        return Champion(params[best].clone(), fitness, solved, extras)


@dataclass(frozen=True)
class Evolution:
    """The population between two generations. Generations are counted by evaluations of a population.

    Attributes:
        population: (P, d).
        fitness: (P,) on the CPU; minus infinity where broken, or not evaluated yet.
        ids: number of each member in the order of birth, (P,) int64 on the CPU.
        born: generation in which each was born, (P,) int64 on the CPU.
        champion: the best so far.
        archive: what the members met, or None.
        generation: how many are done; 0: the founders have not been evaluated.
        evaluations: how many fitness evaluations were spent.
    """

    population: Tensor
    fitness: Tensor
    ids: Tensor
    born: Tensor
    champion: Champion
    archive: Archive | None = None
    generation: int = 0
    evaluations: int = 0

    @classmethod
    def of_founders(cls, population: Tensor) -> "Evolution":
        """Return the start of a run; the first founder is the champion until there is a fitness.

        >>> Evolution.of_founders(torch.zeros(3, 2)).ids
        tensor([0, 1, 2])
        """
        members = len(population)
        return cls(
            population,
            fitness=torch.full((members,), -torch.inf),
            ids=torch.arange(members),
            born=torch.zeros(members, dtype=torch.int64),
            champion=Champion(population[0].clone()),
        )

    def to(self, like: Tensor) -> "Evolution":
        """Return the same with genomes and experience on the device, and genomes in the dtype, of `like`."""
        archive = self.archive
        if archive is not None:
            archive = Archive(archive.states.to(like.device), archive.valid.to(like.device), archive.shared)
        champion = replace(self.champion, genome=self.champion.genome.to(like))
        return replace(self, population=self.population.to(like), champion=champion, archive=archive)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and builtin types only."""
        champion, archive = self.champion, self.archive
        return {
            "format": FORMAT,
            "population": self.population.cpu(),
            "fitness": self.fitness,
            "ids": self.ids,
            "born": self.born,
            "generation": self.generation,
            "evaluations": self.evaluations,
            "champion": {
                "genome": champion.genome.cpu(),
                "fitness": champion.fitness,
                "solved": champion.solved,
                "extras": dict(champion.extras),
            },
            "archive": None
            if archive is None
            else {"states": archive.states.cpu(), "valid": archive.valid.cpu(), "shared": archive.shared},
        }

    @classmethod
    def of_state_dict(cls, state: Mapping[str, Any]) -> "Evolution":
        """Return what `state_dict` gave.

        Raises:
            ValueError: it was written in another format.
        """
        if state.get("format") != FORMAT:
            raise ValueError(
                f"SafeMutation: expected a checkpoint of format {FORMAT}, got {state.get('format')}. "
                "Load it with the version of lightning_neuro that wrote it."
            )
        archive = state["archive"]
        return cls(
            state["population"],
            fitness=state["fitness"],
            ids=state["ids"],
            born=state["born"],
            champion=Champion(**state["champion"]),
            archive=None if archive is None else Archive(**archive),
            generation=state["generation"],
            evaluations=state["evaluations"],
        )
