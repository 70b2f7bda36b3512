import pytest
import torch

from lightning_neuro.safe_mutation.draws import Episodes, episode_seeds, generator_of


def test_streams_differ_by_seed_purpose_and_generation():
    streams = [
        generator_of(seed, purpose, generation).initial_seed()
        for seed in (0, 1)
        for purpose in ("founders", "generation")
        for generation in range(50)
    ]
    assert len(set(streams)) == 200


def test_seeds_are_integers_that_environments_take():
    seeds = episode_seeds(5000, 0, "train", 3)
    assert seeds.dtype == torch.int64
    assert 0 <= seeds.min() < seeds.max() < 2**31
    assert seeds.max() > 0.9 * 2**31
    assert len(seeds.unique()) > 4990


def test_an_individuals_seed_does_not_depend_on_how_many_there_are():
    assert torch.equal(episode_seeds(9, 0, "train", 3)[:4], episode_seeds(4, 0, "train", 3))


@pytest.mark.parametrize("common", [True, False])
@pytest.mark.parametrize("fresh", [True, False])
def test_common_and_fresh(common, fresh):
    episodes = Episodes(common, fresh)
    one, other = episodes.seeds(6, 0, 1), episodes.seeds(6, 0, 2)
    assert (len(one.unique()) == 1) == common
    assert torch.equal(one, other) != fresh


def test_flags_are_flags():
    with pytest.raises(TypeError, match="common_seeds must be True or False, got 'yes'"):
        Episodes(common="yes")
