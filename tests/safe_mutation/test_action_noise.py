import numpy as np
import torch

from lightning_neuro.safe_mutation.action_noise import BLOCK, GumbelNoise


def test_a_stream_depends_on_its_seed_alone_and_outlives_those_who_leave() -> None:
    alone, together = GumbelNoise([9]), GumbelNoise([7, 8, 9])
    for decision in range(2 * BLOCK + 3):
        # The first leaves in the middle of a block, the second at its end.
        left = np.arange(3) if decision < 5 else np.arange(1, 3) if decision < BLOCK else np.array([2])
        expected = alone.draw(decision, np.array([0]), 4)
        assert torch.equal(together.draw(decision, left, 4)[-1:], expected)


def test_equal_seeds_draw_equally_and_decisions_differ() -> None:
    noise = GumbelNoise([5, 5, 6])
    first, second = noise.draw(0, np.arange(3), 3), noise.draw(1, np.arange(3), 3)
    assert first[0].equal(first[1])
    assert not first[0].equal(first[2])
    assert not first.equal(second)


def test_noise_is_standard_gumbel() -> None:
    noise = GumbelNoise(range(500))
    drawn = torch.stack([noise.draw(decision, np.arange(500), 2) for decision in range(8)])
    # Mean: Euler's constant; variance: pi^2 / 6 = 1.645. Standard errors with 8000 numbers: 0.0143 and about 0.04.
    assert abs(drawn.mean().item() - 0.5772) < 0.06
    assert abs(drawn.var().item() - 1.645) < 0.2
