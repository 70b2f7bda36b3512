import pytest
import torch

from lightning_neuro.common.report import Figure, Table
from lightning_neuro.demo import safe_mutation
from lightning_neuro.demo.comparison import Comparison, Plan
from lightning_neuro.demo.safe_mutation import PLAIN, SAFE, Champions, Evolved
from lightning_neuro.safe_mutation.operators import operator_named

FAST = Plan(epochs=2, seeds=1)


@pytest.fixture(scope="module")
def section():
    return safe_mutation.demonstrate(Comparison(FAST, tell=lambda line: None))


@pytest.fixture(scope="module")
def evolved():
    return safe_mutation._evolve(Comparison(FAST, tell=lambda line: None), SAFE, 3, generations=4, population=10)


def after(*left: float) -> list[Evolved]:
    runs = []
    for steps in left:
        champions = Champions()
        champions.fitness = [-521.0, -steps]
        runs.append(Evolved(None, torch.zeros(0), champions))
    return runs


def test_it_tells_both_arms_and_shows_what_they_did(section):
    tables = [block for block in section.blocks if isinstance(block, Table)]
    figures = [block for block in section.blocks if isinstance(block, Figure)]
    assert [row[0] for row in tables[0].rows] == [PLAIN, SAFE]
    assert "After 6 generations of 20" in tables[0].caption
    assert [len(figure.pictures) for figure in figures] == [2, 2]


def test_the_magnitude_gives_the_divergence_that_the_text_names(evolved):
    model, policy = evolved.model, evolved.model.batched_policy
    met = safe_mutation._met(model, evolved.founders)
    generator = torch.Generator().manual_seed(3)
    made = operator_named("sm_g_sum")(policy, evolved.founders, met, model.magnitude, generator)
    assert made.report["divergence"].quantile(0.5).item() == pytest.approx(safe_mutation.DIVERGENCE, rel=0.02)


def test_both_arms_start_from_the_same_founders(evolved):
    plain = safe_mutation._evolve(Comparison(FAST, tell=lambda line: None), PLAIN, 3, generations=1, population=10)
    assert torch.equal(plain.founders, evolved.founders)
    assert plain.champions.fitness[0] == evolved.champions.fitness[0]


def test_what_is_kept_is_what_happened(evolved):
    champions = evolved.champions
    assert len(champions.fitness) == 4
    assert champions.fitness == sorted(champions.fitness)
    assert champions.fitness[-1] == evolved.model.champion_fitness
    assert champions.seconds > 0


def test_a_seed_does_not_touch_the_global_generator():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    safe_mutation._evolve(Comparison(FAST, tell=lambda line: None), PLAIN, 0, generations=1, population=8)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("plain", "safe", "told"),
    [
        ((300, 310, 290), (100, 120, 95), "had 195 steps fewer to go"),
        ((300, 310, 290), (100, 120, 95), "So SM-G-SUM did better here"),
        ((100, 120, 95), (300, 310, 290), "So plain mutations did better here"),
        ((200, 300, 250), (220, 240, 280), "No difference was shown."),
        ((200,), (100,), "one seed, which says nothing about chance."),
    ],
)
def test_the_verdict_goes_either_way(plain, safe, told):
    assert told in safe_mutation._verdict({PLAIN: after(*plain), SAFE: after(*safe)})
