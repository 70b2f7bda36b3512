"""Who has children, and whose places the children take."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Generator, Tensor

from lightning_neuro.common import checks

Parents = Literal["tournament", "truncation"]
Replacement = Literal["generational", "steady_state"]
Removal = Literal["reference", "independent"]


@dataclass(frozen=True)
class Breeding:
    """The plan of one generation.

    Attributes:
        parents: index of each child's parent, (n,).
        places: index of the member that each child replaces, (n,), all different.
    """

    parents: Tensor
    places: Tensor


def ranked(fitness: Tensor) -> Tensor:
    """Return fitness in which what is not finite ranks last, as minus infinity.

    >>> ranked(torch.tensor([1.0, float("nan"), float("inf")]))
    tensor([1., -inf, -inf])
    """
    return torch.where(fitness.isfinite(), fitness, -torch.inf)


def draw_tournaments(members: int, count: int, size: int, generator: Generator) -> Tensor:
    """Return `count` tournaments of `size` distinct members in random order, (count, size)."""
    return torch.rand(count, members, generator=generator).topk(size, dim=1).indices


def winners(tournaments: Tensor, fitness: Tensor) -> Tensor:
    """Return the fittest of each tournament, the later one of equals, (count,).

    >>> winners(torch.tensor([[2, 0, 1]]), torch.tensor([5.0, 5.0, 3.0]))
    tensor([1])
    """
    return _pick(tournaments, fitness[tournaments].flip(1).argmax(1))


def losers(tournaments: Tensor, fitness: Tensor) -> Tensor:
    """Return the least fit of each tournament, the later one of equals, (count,).

    >>> losers(torch.tensor([[2, 0, 1]]), torch.tensor([5.0, 3.0, 3.0]))
    tensor([1])
    """
    return _pick(tournaments, fitness[tournaments].flip(1).argmin(1))


def _pick(tournaments: Tensor, from_the_end: Tensor) -> Tensor:
    return tournaments.flip(1).gather(1, from_the_end[:, None])[:, 0]


def best_first(fitness: Tensor) -> Tensor:
    """Return indices by falling fitness, the earlier one of equals first, (P,)."""
    return fitness.argsort(descending=True, stable=True)


@dataclass(frozen=True)
class Selection:
    """How parents are chosen and whom their children replace.

    `"generational"` (ours): the `elites` fittest stay where they are, all others make room; each child's parent is the
    fittest of `tournament_size` distinct members, or one of the fittest `truncation_fraction` drawn evenly.
    `"steady_state"` (the authors' program): `offspring` tournaments without common members; the fittest of each has a
    child and the least fit makes room for it. With `removal="independent"` a second draw of tournaments tells who
    leaves, which is what the authors' program draws but then does not use.

    Raises:
        TypeError, ValueError: an option is out of range, or belongs to the other replacement.

    >>> plan = Selection(elites=1)(torch.tensor([0.0, 2.0, 1.0, 3.0, 0.5]), torch.Generator().manual_seed(0))
    >>> plan.places
    tensor([0, 1, 2, 4])
    """

    replacement: Replacement = "generational"
    parents: Parents = "tournament"
    tournament_size: int = 5
    elites: int = 1
    offspring: int = 1
    removal: Removal = "reference"
    truncation_fraction: float = 0.2
    owner: str = field(default="Selection", repr=False, compare=False)

    def __post_init__(self) -> None:
        checks.choice(self.owner, "replacement", self.replacement, ("generational", "steady_state"))
        checks.choice(self.owner, "parents", self.parents, ("tournament", "truncation"))
        checks.choice(self.owner, "removal", self.removal, ("reference", "independent"))
        checks.integer(self.owner, "tournament_size", self.tournament_size, at_least=1)
        checks.integer(self.owner, "elites", self.elites, at_least=0)
        checks.integer(self.owner, "offspring", self.offspring, at_least=1)
        checks.number(self.owner, "truncation_fraction", self.truncation_fraction, above=0, at_most=1)
        if self.replacement == "steady_state" and self.parents == "truncation":
            raise ValueError(
                f"{self.owner}: replacement='steady_state' chooses parents and victims by tournament, got "
                "parents='truncation'. Use parents='tournament', or replacement='generational'."
            )

    def check_population(self, members: int) -> None:
        """Refuse a population in which the options could not be met.

        Raises:
            ValueError: it is too small.
        """
        tournaments = self.offspring if self.replacement == "steady_state" else 1
        needed = max(self.tournament_size * tournaments, 1)
        if self.replacement == "generational":
            needed = max(needed, self.elites + 1)
        if members < needed:
            raise ValueError(
                f"{self.owner}: population_size must be at least {needed} with tournament_size={self.tournament_size}, "
                f"elites={self.elites} and offspring={self.offspring}, got {members}."
            )

    def __call__(self, fitness: Tensor, generator: Generator) -> Breeding:
        """Return the plan for one generation.

        Args:
            fitness: (P,) on the CPU, no NaN.
            generator: of the CPU; nothing else is random.
        """
        if self.replacement == "steady_state":
            return self._steady_state(fitness, generator)
        places = best_first(fitness)[self.elites :].sort().values
        return Breeding(self._parents(fitness, len(places), generator), places)

    def _parents(self, fitness: Tensor, count: int, generator: Generator) -> Tensor:
        if self.parents == "tournament":
            return winners(draw_tournaments(len(fitness), count, self.tournament_size, generator), fitness)
        best = best_first(fitness)[: max(1, round(self.truncation_fraction * len(fitness)))]
        return best[torch.randint(len(best), (count,), generator=generator)]

    def _steady_state(self, fitness: Tensor, generator: Generator) -> Breeding:
        tournaments = self._disjoint(len(fitness), generator)
        leaving = tournaments if self.removal == "reference" else self._disjoint(len(fitness), generator)
        return Breeding(winners(tournaments, fitness), losers(leaving, fitness))

    def _disjoint(self, members: int, generator: Generator) -> Tensor:
        drawn = torch.randperm(members, generator=generator)[: self.offspring * self.tournament_size]
        return drawn.view(self.offspring, self.tournament_size)
