"""One generation: select, mutate, evaluate, replace."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from lightning_neuro.safe_mutation.archive import Archive, sampled, states_of
from lightning_neuro.safe_mutation.evolution import Evolution
from lightning_neuro.safe_mutation.experience import ExperienceRule
from lightning_neuro.safe_mutation.selection import Breeding
from lightning_neuro.safe_mutation.trial import Trial


class Breeder(Protocol):
    """What a generation asks for; `SafeMutation` is one."""

    def select(self, fitness: Tensor, generator: Generator) -> Breeding:
        """Return who has children, and whose places these take."""

    def mutate(self, parents: Tensor, states: Tensor | None, valid: Tensor | None, generator: Generator) -> Any:
        """Return a `Mutation` of parents `(n, d)`."""

    def replace(self, fitness: Tensor, children: Tensor) -> Tensor:
        """Return which children take their places, (n,) bool, from the fitness of both."""


@dataclass(frozen=True)
class Outcome:
    """What is told about a generation.

    Attributes:
        trial: of those who were evaluated.
        parents: the index of each child's parent, (n,); empty for founders.
        report: of the mutation operator.
        seconds: spent with `"eval"` and `"mutate"`.
    """

    trial: Trial
    parents: Tensor
    report: Mapping[str, Tensor] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


Try = Callable[[Tensor], Trial]


def first_generation(
    evolution: Evolution, attempt: Try, rule: ExperienceRule, generator: Generator
) -> tuple[Evolution, Outcome]:
    """Evaluate the founders.

    Args:
        evolution: of founders.
        attempt: params `(P, d)` to their trial.
        rule: what of their experience is kept.
        generator: of this generation.
    """
    started = perf_counter()
    trial = attempt(evolution.population)
    archive = rule.founded(trial.experience, generator)
    after = replace(
        evolution,
        fitness=trial.fitness,
        champion=evolution.champion.or_better(evolution.population, trial),
        archive=archive,
        generation=1,
        evaluations=len(trial.fitness),
    )
    seconds = {"eval": perf_counter() - started, "mutate": 0.0}
    return after, Outcome(trial, torch.empty(0, dtype=torch.int64), seconds=seconds)


def next_generation(
    evolution: Evolution,
    breeder: Breeder,
    attempt: Try,
    rule: ExperienceRule,
    generator: Generator,
    *,
    reevaluate: bool = False,
) -> tuple[Evolution, Outcome]:
    """Return the population after one more generation; the given one is left as it is, whatever fails.

    Args:
        evolution: evaluated.
        breeder: selects, mutates and replaces.
        attempt: params `(n, d)` to their trial.
        rule: what of the experience is kept, and how much of it a mutation looks at.
        generator: of this generation, on the CPU.
        reevaluate: members that stay are evaluated again, for evaluators with noise.
    """
    started = perf_counter()
    breeding = _sound(breeder.select(evolution.fitness, generator), evolution.fitness)
    states, valid = _experience(evolution.archive, breeding.parents, rule, generator)
    mutation = breeder.mutate(_rows(evolution.population, breeding.parents), states, valid, generator)
    mutated = perf_counter()
    staying = _staying(evolution, breeding) if reevaluate else breeding.places[:0]
    params = torch.cat([mutation.children, _rows(evolution.population, staying)])
    trial = attempt(params)
    evaluated = perf_counter()
    after = _after(evolution, breeder, breeding, staying, params, trial, rule, generator)
    seconds = {"mutate": mutated - started, "eval": evaluated - mutated}
    return after, Outcome(trial, breeding.parents, mutation.report, seconds)


def _after(
    before: Evolution,
    breeder: Breeder,
    breeding: Breeding,
    staying: Tensor,
    params: Tensor,
    trial: Trial,
    rule: ExperienceRule,
    generator: Generator,
) -> Evolution:
    count = len(breeding.places)
    taken = breeder.replace(before.fitness[breeding.places], trial.fitness[:count]).cpu()
    who = torch.cat([taken.nonzero()[:, 0], torch.arange(count, len(params))])  # the members among the evaluated
    parents, places = torch.cat([breeding.parents, staying])[who], torch.cat([breeding.places, staying])[who]
    newborn = places[: int(taken.sum())]
    first_id = int(before.ids.max()) + 1
    # With noise an elite's second fitness counts, and the champion is one of the present members.
    champion = replace(before.champion, fitness=-torch.inf, solved=False) if len(staying) else before.champion
    return replace(
        before,
        population=before.population.index_copy(0, places.to(params.device), _rows(params, who)),
        fitness=before.fitness.index_copy(0, places, trial.fitness[who].to(before.fitness.dtype)),
        ids=before.ids.index_copy(0, newborn, torch.arange(first_id, first_id + len(newborn))),
        born=before.born.index_fill(0, newborn, before.generation),
        champion=champion.or_better(params, trial),
        archive=rule.bred(before.archive, parents, places, who, trial.experience, generator),
        generation=before.generation + 1,
        evaluations=before.evaluations + len(params),
    )


def _experience(
    archive: Archive | None, parents: Tensor, rule: ExperienceRule, generator: Generator
) -> tuple[Tensor | None, Tensor | None]:
    known = None if archive is None else archive.of(parents).completed()
    if known is None:
        return None, None
    return states_of(sampled(known, rule.sample_rows(known), generator), len(parents), each_step=rule.each_step)


def _sound(breeding: Breeding, fitness: Tensor) -> Breeding:
    """A tournament of broken members only is won by the fittest of all: genomes that are not finite breed nothing."""
    fittest = fitness.argmax()
    return replace(breeding, parents=torch.where(fitness[breeding.parents].isfinite(), breeding.parents, fittest))


def _staying(evolution: Evolution, breeding: Breeding) -> Tensor:
    leaving = torch.zeros(len(evolution.fitness), dtype=torch.bool).index_fill(0, breeding.places, True)
    return (~leaving).nonzero()[:, 0]


def _rows(tensor: Tensor, rows: Tensor) -> Tensor:
    return tensor[rows.to(tensor.device)]
