import io

import pytest
import torch

from lightning_neuro.safe_mutation.archive import Archive
from lightning_neuro.safe_mutation.evolution import Champion, Evolution
from lightning_neuro.safe_mutation.trial import Trial


def champion() -> Champion:
    return Champion(torch.zeros(2), fitness=1.0)


def test_only_the_better_becomes_champion():
    params = torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    same = champion()
    assert same.or_better(params, Trial(torch.tensor([0.0, 1.0]))) is same
    better = same.or_better(params, Trial(torch.tensor([0.0, 3.0]), extras={"steps": torch.tensor([4.0, 5.0])}))
    assert (better.fitness, better.genome.tolist(), better.extras) == (3.0, [2, 2], {"steps": 5.0})
    params.zero_()
    assert better.genome.tolist() == [2, 2]  # a copy


def test_who_solved_the_task_is_better_whatever_the_fitness():
    solver = champion().or_better(torch.ones(2, 2), Trial(torch.tensor([5.0, -9.0]), torch.tensor([False, True])))
    assert (solver.solved, solver.fitness) == (True, -9.0)
    assert solver.or_better(torch.ones(1, 2), Trial(torch.tensor([99.0]))) is solver


def test_broken_individuals_never_become_champion():
    start = Evolution.of_founders(torch.ones(3, 2)).champion
    assert start.or_better(torch.zeros(2, 2), Trial(torch.full((2,), -torch.inf))) is start


def evolution(archive: Archive | None) -> Evolution:
    founders = Evolution.of_founders(torch.rand(3, 2))
    return Evolution(
        founders.population,
        torch.rand(3),
        founders.ids,
        founders.born,
        champion(),
        archive,
        generation=4,
        evaluations=9,
    )


@pytest.mark.parametrize("archive", [None, Archive(torch.rand(3, 4, 5), torch.rand(3, 4) < 0.5)])
def test_a_checkpoint_holds_everything_as_tensors_and_builtins(archive):
    before, file = evolution(archive), io.BytesIO()
    torch.save(before.state_dict(), file)
    file.seek(0)
    after = Evolution.of_state_dict(torch.load(file, weights_only=True))
    for name in ("population", "fitness", "ids", "born"):
        assert torch.equal(getattr(after, name), getattr(before, name))
    assert (after.generation, after.evaluations, after.champion.fitness) == (4, 9, 1.0)
    if archive is not None:
        assert torch.equal(after.archive.states, archive.states)
        assert torch.equal(after.archive.valid, archive.valid)


def test_a_checkpoint_of_another_format_is_refused():
    with pytest.raises(ValueError, match="expected a checkpoint of format 1, got 7"):
        Evolution.of_state_dict(evolution(None).state_dict() | {"format": 7})


def test_genomes_take_another_precision_and_experience_does_not():
    moved = evolution(Archive(torch.ones(3, 4, 5, dtype=torch.uint8), torch.ones(3, 4) > 0)).to(torch.zeros(1).double())
    assert moved.population.dtype == moved.champion.genome.dtype == torch.float64
    assert moved.archive.states.dtype == torch.uint8
