import math
from dataclasses import replace

import pytest
import torch

from lightning_neuro.safe_mutation.archive import Archive
from lightning_neuro.safe_mutation.evolution import Evolution
from lightning_neuro.safe_mutation.evolution_log import metrics_of, warnings_of
from lightning_neuro.safe_mutation.experience import ExperienceRule
from lightning_neuro.safe_mutation.generation import Outcome
from lightning_neuro.safe_mutation.trial import Trial


def evolution(*fitness: float) -> Evolution:
    return replace(Evolution.of_founders(torch.zeros(len(fitness), 2)), fitness=torch.tensor(fitness), generation=3)


def outcome(*fitness: float, **report: list[float]) -> Outcome:
    tensors = {name: torch.tensor(values) for name, values in report.items()}
    return Outcome(Trial(torch.tensor(fitness)), torch.tensor([0, 0, 2]), tensors, {"eval": 0.5})


def test_numbers_are_those_of_who_is_not_broken():
    found = metrics_of(evolution(1.0, 3.0, 8.0, -torch.inf), outcome(1.0, -torch.inf, 2.0, 3.0))
    assert (found["fitness/best"], found["fitness/mean"], found["fitness/median"]) == (8, 4, 3)
    assert found["fitness/std"] == pytest.approx(math.sqrt(26 / 3))
    assert found["broken_frac"] == 0.25
    assert found["genome/unique_parents"] == 2
    assert found["time/eval_s"] == 0.5


def test_reports_of_operators_get_their_names_and_means():
    report = {"floored_fraction": [0.5, 1.0], "capped": [True, False], "divergence": [torch.nan, 4.0], "new": [7.0]}
    found = metrics_of(evolution(0.0), outcome(0.0, **report))
    assert found["sensitivity/floored_frac"] == 0.75
    assert found["mutation/linesearch_capped_frac"] == 0.5
    assert found["mutation/divergence"] == 4
    assert found["mutation/new"] == 7


def test_a_population_without_a_sound_member_has_no_numbers():
    found = metrics_of(evolution(-torch.inf, -torch.inf), outcome(-torch.inf))
    assert all(math.isnan(found[f"fitness/{name}"]) for name in ("best", "mean", "std", "median"))


@pytest.mark.parametrize(("fraction", "told"), [(0.89, False), (0.91, True)])
def test_the_floor_is_told_of_above_nine_tenths(fraction, told):
    found = warnings_of("SafeMutation", evolution(0.0), outcome(0.0, floored_fraction=[fraction]), ExperienceRule(1))
    assert ("floor" in found) == told
    if told:
        assert "the floor replaces 91 % of the sensitivities" in found["floor"]


def test_blind_selection_and_short_archives_are_told_of():
    archive = Archive(torch.zeros(1, 2, 5), torch.ones(1, 2) > 0)
    rule = ExperienceRule(1, archive_size=9, archive_bytes=60)
    short = warnings_of("SafeMutation", replace(evolution(0.0), archive=archive), outcome(0.0), rule)
    assert short.keys() == {"archive"}
    blind = warnings_of("SafeMutation", evolution(0.0), outcome(-torch.inf), rule)
    assert "every individual evaluated in generation 2" in blind["broken"]
