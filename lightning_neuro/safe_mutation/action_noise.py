"""Noise for sampled actions that depends on the seed of the episode alone."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

BLOCK = 32


class GumbelNoise:
    """Standard Gumbel noise, a stream of its own for each individual, so that others and their number do not matter.

    Args:
        seeds: of the individuals' episodes.

    >>> alone, together = GumbelNoise([5]), GumbelNoise([4, 5])
    >>> torch.equal(alone.draw(0, np.array([0]), 3), together.draw(0, np.array([1]), 3))
    True
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        # The environment draws from the seed itself; the second word keeps the two streams apart.
        self._generators = [np.random.default_rng([seed, 1]) for seed in seeds]
        self._block = np.empty((0, 0, 0))

    def draw(self, decision: int, individuals: np.ndarray, size: int) -> Tensor:
        """Return noise (n, size) of some individuals for their `decision`-th decision; decisions come in order."""
        if decision % BLOCK == 0:
            self._refill(individuals, size)
        return torch.from_numpy(self._block[individuals, decision % BLOCK])

    def _refill(self, individuals: np.ndarray, size: int) -> None:
        """Draw for many decisions at once: one call of a generator each would be the slowest part of a step."""
        if self._block.shape[2] != size:
            self._block = np.zeros((len(self._generators), BLOCK, size))
        for individual in individuals:
            self._block[individual] = self._generators[individual].gumbel(size=(BLOCK, size))
