import numpy as np
import torch
from torch import Tensor, nn

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.rollout import ActingIndividuals


class Counting(nn.Module):
    """Adds its own weight to what it returns, once more at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h = torch.zeros_like(x) if h is None else h
        return x + h, h + self.weight


def test_individuals_leave_by_halves_and_the_rest_keep_weights_and_state() -> None:
    params = torch.arange(8.0)[:, None]
    individuals = ActingIndividuals(BatchedPolicy(Counting(), observation_ndim=1), params)
    acting = np.ones(8, dtype=bool)
    observations = 100 * torch.arange(8.0)[:, None]
    sizes = []
    for step, gone in enumerate([[], [0, 1, 2, 4], [7], [3, 5]]):
        acting[gone] = False
        individuals.leave(acting)
        sizes.append(len(individuals.rows))
        outputs = individuals.outputs(observations)
        expected = [100.0 * row + step * row for row in individuals.rows]
        assert outputs[:, 0].tolist() == expected
        assert acting[individuals.rows].sum() == acting.sum()
    assert sizes == [8, 8, 3, 1]
