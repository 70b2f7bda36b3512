"""Random numbers as a function of the seed and the generation: nothing to store, nothing to restore.

A generation that failed and is done again, or that follows a checkpoint, draws what it would have drawn.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Generator, Tensor

from lightning_neuro.common import checks

Purpose = Literal["founders", "generation", "train", "validate", "test"]
_NUMBER: dict[Purpose, int] = {"founders": 0, "generation": 1, "train": 2, "validate": 3, "test": 4}


def generator_of(seed: int, purpose: Purpose, generation: int = 0) -> Generator:
    """Return a generator of the CPU for one purpose in one generation.

    >>> generator_of(0, "generation", 3).initial_seed() == generator_of(0, "generation", 3).initial_seed()
    True
    """
    return Generator().manual_seed(int(_sequence(seed, purpose, generation).generate_state(1)[0]))


def episode_seeds(count: int, seed: int, purpose: Purpose, generation: int = 0, *, common: bool = False) -> Tensor:
    """Return one seed below 2^31 for each of `count` individuals, (count,) int64; `common`: the same for all.

    >>> episode_seeds(3, 0, "train", common=True).unique().numel()
    1
    """
    words = _sequence(seed, purpose, generation).generate_state(1 if common else count)
    return torch.from_numpy((words >> 1).astype(np.int64)).expand(count).clone()


@dataclass(frozen=True)
class Episodes:
    """Which seeds individuals are evaluated with.

    Args:
        common: all individuals of a generation get the same seed.
        fresh: each generation gets other seeds.
        owner: opens messages.

    Raises:
        TypeError: a flag is not one.

    >>> episodes = Episodes(fresh=False)
    >>> bool((episodes.seeds(4, seed=0, generation=1) == episodes.seeds(4, seed=0, generation=2)).all())
    True
    """

    common: bool = True
    fresh: bool = True
    owner: str = "SafeMutation"

    def __post_init__(self) -> None:
        checks.flag(self.owner, "common_seeds", self.common)
        checks.flag(self.owner, "fresh_seeds", self.fresh)

    def seeds(self, count: int, seed: int, generation: int) -> Tensor:
        """Return the seeds of `count` individuals in a generation, (count,) int64."""
        return episode_seeds(count, seed, "train", generation if self.fresh else 0, common=self.common)


def _sequence(seed: int, purpose: Purpose, generation: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, _NUMBER[purpose], generation])
