import pytest
import torch

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.tasks.topdown_policy import TopdownPolicy


def test_a_population_does_what_each_does_alone():
    policy = BatchedPolicy(TopdownPolicy(15, 3))
    assert (policy.interface.recurrence, policy.interface.observation_ndim) == ("step", 3)
    generator = torch.Generator().manual_seed(0)
    params = torch.randn(3, policy.size, generator=generator)
    images = torch.randint(0, 256, (3, 2, 3, 15, 15), generator=generator, dtype=torch.uint8)
    state = None
    alone = [policy.individual(vector) for vector in params]
    states = [None] * 3
    for _ in range(3):
        scores, state = policy(params, images, state)
        for index, module in enumerate(alone):
            with torch.no_grad():
                expected, states[index] = module(images[index], states[index])
            torch.testing.assert_close(scores[index], expected)
    assert policy.vectorized


def test_cells_are_looked_at_one_at_a_time():
    policy = TopdownPolicy(15, 3)
    images = torch.zeros(1, 3, 15, 15, dtype=torch.uint8)
    images[0, 0, 3:6, 6:9] = 255
    seen = policy.look(images.float())
    blank = policy.look(torch.zeros(1, 3, 15, 15))
    assert (seen != blank).any(1).nonzero().tolist() == [[0, 1, 2]]


def test_refusals():
    with pytest.raises(ValueError, match="image_size must be a multiple of pixels_per_cell, 4, got 15"):
        TopdownPolicy(15, 4)
    with pytest.raises(ValueError, match="filters must be at least 1"):
        TopdownPolicy(15, 3, filters=0)
