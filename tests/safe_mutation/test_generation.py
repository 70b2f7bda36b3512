"""A generation against a slow one that moves members of a list."""

import pytest
import torch
from torch import Tensor

from lightning_neuro.safe_mutation.archive import archive_of
from lightning_neuro.safe_mutation.draws import generator_of
from lightning_neuro.safe_mutation.evolution import Evolution
from lightning_neuro.safe_mutation.experience import ExperienceRule
from lightning_neuro.safe_mutation.generation import first_generation, next_generation
from lightning_neuro.safe_mutation.operators import Mutation
from lightning_neuro.safe_mutation.selection import Breeding, Selection
from lightning_neuro.safe_mutation.trial import Trial

RULE = ExperienceRule(6, archive_size=4, mutation_states=3)


class Breeding6:
    """Adds 1 to parents; keeps what it was asked."""

    def __init__(self, selection=None, keep=None) -> None:
        self.selection, self.keep = selection or Selection(elites=1, tournament_size=3), keep
        self.seen: list[tuple[Tensor, Tensor | None, Tensor | None]] = []

    def select(self, fitness: Tensor, generator: torch.Generator) -> Breeding:
        return self.selection(fitness, generator)

    def mutate(
        self, parents: Tensor, states: Tensor | None, valid: Tensor | None, generator: torch.Generator
    ) -> Mutation:
        self.seen.append((parents, states, valid))
        return Mutation(parents + 1, {"divergence": torch.ones(len(parents))})

    def replace(self, fitness: Tensor, children: Tensor) -> Tensor:
        return torch.ones(len(children), dtype=torch.bool) if self.keep is None else self.keep(fitness, children)


def attempt(params: Tensor) -> Trial:
    """Everybody meets two states that name them."""
    states = params[:, None, :1].expand(-1, 2, -1).clone()
    return Trial(params[:, 0].clone(), experience=archive_of(states, None, own=True, recurrent=False))


def founders() -> Evolution:
    return Evolution.of_founders(torch.tensor([[10.0], [50.0], [30.0], [20.0], [60.0], [40.0]]))


def second(breeder: Breeding6, **options) -> tuple[Evolution, Evolution]:
    before, _ = first_generation(founders(), attempt, RULE, generator_of(0, "generation"))
    after, _ = next_generation(before, breeder, attempt, RULE, generator_of(0, "generation", 1), **options)
    return before, after


def test_founders_are_evaluated_once():
    after, outcome = first_generation(founders(), attempt, RULE, generator_of(0, "generation"))
    assert after.fitness.tolist() == founders().population[:, 0].tolist()
    assert (after.generation, after.evaluations, after.champion.fitness) == (1, 6, 60)
    assert after.archive.states.shape == (6, 2, 1)
    assert not len(outcome.parents)


def test_children_take_places_fitness_and_what_their_parents_met():
    breeder = Breeding6()
    before, after = second(breeder)
    plan = Selection(elites=1, tournament_size=3)(before.fitness, generator_of(0, "generation", 1))
    for parent, place in zip(plan.parents.tolist(), plan.places.tolist(), strict=True):
        value = before.fitness[parent].item()
        assert after.population[place].item() == after.fitness[place].item() == value + 1
        assert after.archive.states[place].flatten().tolist() == [value, value, value + 1, value + 1]
    assert after.fitness[4] == 60
    assert after.archive.states[4][after.archive.filled[4]].tolist() == [[60], [60]]
    assert after.ids.tolist() == [6, 7, 8, 9, 4, 10]
    assert after.born.tolist() == [1, 1, 1, 1, 0, 1]
    assert (after.generation, after.evaluations) == (2, 11)


def test_mutation_looks_at_states_of_each_childs_parent():
    breeder = Breeding6()
    second(breeder)
    parents, states, valid = breeder.seen[0]
    assert valid is None
    assert torch.equal(states, parents[:, None].expand(-1, 2, -1))


def test_what_was_there_before_is_left_as_it_was():
    before, _ = first_generation(founders(), attempt, RULE, generator_of(0, "generation"))
    copies = [each.clone() for each in (before.population, before.fitness, before.ids, before.archive.states)]
    next_generation(before, Breeding6(), attempt, RULE, generator_of(0, "generation", 1))
    for copy, now in zip(copies, (before.population, before.fitness, before.ids, before.archive.states), strict=True):
        assert torch.equal(copy, now)


def test_children_that_are_not_taken_leave_no_trace_but_their_cost():
    before, after = second(Breeding6(keep=lambda old, new: new > 55))
    taken = after.fitness != before.fitness
    assert (after.fitness[taken] > 55).all()
    assert torch.equal(after.population[~taken], before.population[~taken])
    assert torch.equal(after.ids[~taken], before.ids[~taken])
    assert after.evaluations == 11


def test_members_that_stay_are_evaluated_again_if_asked():
    calls = []

    def noisy(params: Tensor) -> Trial:
        calls.append(len(params))
        return Trial(params[:, 0] - 100.0 * len(calls))

    before, _ = first_generation(founders(), noisy, RULE, generator_of(0, "generation"))
    after, _ = next_generation(before, Breeding6(), noisy, RULE, generator_of(0, "generation", 1), reevaluate=True)
    assert calls == [6, 6]
    assert after.fitness[4] == 60 - 200
    assert after.ids[4] == 4
    assert after.champion.fitness == after.fitness.max() < before.champion.fitness


@pytest.mark.parametrize("generations", [40])
def test_steady_state_is_the_authors_loop(generations):
    """A list: the worst of the tournament goes, the child is appended."""
    breeder = Breeding6(Selection("steady_state", tournament_size=3))
    evolution, _ = first_generation(founders(), attempt, RULE, generator_of(0, "generation"))
    members = evolution.fitness.tolist()
    for generation in range(1, generations):
        drawn = breeder.select(evolution.fitness, generator_of(0, "generation", generation))
        parent, victim = (evolution.fitness[each].item() for each in (drawn.parents, drawn.places))
        members.append(parent + 1)
        members.remove(victim)
        evolution, _ = next_generation(evolution, breeder, attempt, RULE, generator_of(0, "generation", generation))
        assert sorted(evolution.fitness.tolist()) == sorted(members)
    assert evolution.evaluations == 6 + generations - 1


def test_a_tournament_of_broken_members_is_won_by_the_fittest_of_all():
    before, _ = first_generation(founders(), attempt, RULE, generator_of(0, "generation"))
    broken = torch.full((6,), -torch.inf).index_fill(0, torch.tensor([2]), 30.0)
    breeder = Breeding6(Selection(tournament_size=1, elites=1))
    before = Evolution(before.population, broken, before.ids, before.born, before.champion, generation=1)
    next_generation(before, breeder, attempt, RULE, generator_of(0, "generation", 1))
    assert breeder.seen[0][0].unique().tolist() == [30]
