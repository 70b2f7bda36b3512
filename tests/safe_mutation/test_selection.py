"""Tournaments, elites and victims against rules of counting."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from lightning_neuro.safe_mutation.selection import (
    Selection,
    best_first,
    draw_tournaments,
    losers,
    ranked,
    winners,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_p16_what_is_not_finite_ranks_last():
    assert ranked(torch.tensor([torch.nan, 2.0, torch.inf, -torch.inf])).tolist() == [-torch.inf, 2, *[-torch.inf] * 2]


def test_members_of_a_tournament_differ_and_are_drawn_evenly():
    drawn = draw_tournaments(20, 4000, 5, generator())
    assert all(len(set(row)) == 5 for row in drawn.tolist())
    assert chisquare(drawn.flatten().bincount(minlength=20)).pvalue > 0.001
    assert chisquare(drawn[:, 0].bincount(minlength=20)).pvalue > 0.001  # in every place: ties are won by the later one


@given(st.lists(st.integers(-3, 3), min_size=5, max_size=12), st.integers(0, 100))
def test_best_and_worst_are_those_of_a_loop(fitness, seed):
    values = torch.tensor(fitness, dtype=torch.float32)
    drawn = draw_tournaments(len(fitness), 6, 4, generator(seed))
    for row, best, worst in zip(drawn.tolist(), winners(drawn, values), losers(drawn, values), strict=True):
        by_loop = [row[0], row[0]]
        for member in row[1:]:
            by_loop[0] = member if fitness[member] >= fitness[by_loop[0]] else by_loop[0]
            by_loop[1] = member if fitness[member] <= fitness[by_loop[1]] else by_loop[1]
        assert [best, worst] == by_loop


def test_p13_winners_of_tournaments_follow_the_power_law_of_ranks():
    """A winner is below quantile q of the ranks if all five members are: q^5, but for drawing without replacement."""
    fitness = torch.randperm(200, generator=generator(1)).float()
    won = fitness[winners(draw_tournaments(200, 20000, 5, generator()), fitness)]
    edges = torch.tensor([0, 80, 110, 130, 150, 165, 180, 190, 200])
    below = torch.tensor(
        [torch.tensor([(edge - each) / (200 - each) for each in range(5)]).clamp(min=0).prod() for edge in edges]
    )
    counts = torch.histogram(won, edges.float() - 0.5).hist
    assert chisquare(counts, below.diff() * 20000).pvalue > 0.001


def test_elites_stay_and_all_others_make_room():
    fitness = torch.tensor([0.0, 5.0, 3.0, 5.0, -torch.inf, 1.0])
    plan = Selection(elites=2, tournament_size=3)(fitness, generator())
    assert plan.places.tolist() == [0, 2, 4, 5]
    assert len(plan.parents) == 4
    assert best_first(fitness)[:2].tolist() == [1, 3]


def test_truncation_draws_evenly_from_the_fittest():
    fitness = torch.arange(100.0)
    plan = Selection(parents="truncation", truncation_fraction=0.1, elites=0)
    parents = torch.cat([plan(fitness, generator(seed)).parents for seed in range(50)])
    assert parents.min() == 90
    assert chisquare(parents.bincount(minlength=100)[90:]).pvalue > 0.001


@pytest.mark.parametrize("offspring", [1, 3])
@pytest.mark.parametrize("removal", ["reference", "independent"])
def test_p13_steady_state_removes_as_many_as_are_born(offspring, removal):
    fitness = torch.randperm(30, generator=generator(3)).float()
    rule = Selection("steady_state", offspring=offspring, removal=removal)
    plans = [rule(fitness, generator(seed)) for seed in range(200)]
    for plan in plans:
        assert len(plan.parents) == len(set(plan.places.tolist())) == offspring
        assert fitness.argmax() not in plan.places
        if removal == "reference":
            assert (fitness[plan.parents] > fitness[plan.places]).all()
    worse = [float((fitness[plan.parents] > fitness[plan.places]).float().mean()) for plan in plans]
    assert (min(worse) < 1) == (removal == "independent")  # two draws are not one


def test_p13_the_victim_is_the_worst_of_the_parents_own_tournament():
    fitness = torch.arange(5.0)  # five members: everyone is in the tournament
    plan = Selection("steady_state")(fitness, generator())
    assert (plan.parents.tolist(), plan.places.tolist()) == ([4], [0])


def test_where_all_tie_the_latest_drawn_is_parent_and_victim():
    plan = Selection("steady_state")(torch.zeros(5), generator())
    assert plan.parents.tolist() == plan.places.tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replacement": "always"}, "replacement must be one of 'generational', 'steady_state', got 'always'"),
        ({"parents": "roulette"}, "parents must be one of"),
        ({"removal": "age"}, "removal must be one of"),
        ({"tournament_size": 0}, "tournament_size must be at least 1, got 0"),
        ({"elites": -1}, "elites must be at least 0"),
        ({"offspring": 0}, "offspring must be at least 1"),
        ({"truncation_fraction": 0}, "truncation_fraction must be greater than 0"),
        ({"replacement": "steady_state", "parents": "truncation"}, "steady_state' chooses parents and victims by"),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Selection(**options)


@pytest.mark.parametrize(
    ("options", "members", "needed"),
    [({}, 4, 5), ({"elites": 9}, 9, 10), ({"replacement": "steady_state", "offspring": 4}, 19, 20)],
)
def test_a_population_that_is_too_small_is_refused(options, members, needed):
    Selection(**options).check_population(needed)
    with pytest.raises(ValueError, match=f"population_size must be at least {needed} .* got {members}"):
        Selection(**options).check_population(members)
