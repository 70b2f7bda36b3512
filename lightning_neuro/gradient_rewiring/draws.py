"""Random draws that depend on a seed, a tensor's name and the step, and on nothing else.

Nothing is carried from step to step, so a resumed run draws what an uninterrupted one would have drawn, every rank
draws the same, and nobody's generator is touched.
"""

from zlib import crc32

import numpy as np
import torch
from torch import Tensor


def generator(seed: int, name: str, step: int = 0) -> torch.Generator:
    """Return a fresh generator on the CPU for one tensor at one step.

    >>> a, b = generator(0, "fc.weight", 7), generator(0, "fc.weight", 7)
    >>> torch.equal(torch.rand(3, generator=a), torch.rand(3, generator=b))
    True
    """
    words = np.random.SeedSequence([seed, crc32(name.encode()), step]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)


class Draws:
    """What Deep R draws for one tensor in one step.

    Args:
        seed: of the run.
        name: of the tensor.
        step: which optimizer step, from 0.
    """

    def __init__(self, seed: int, name: str, step: int) -> None:
        self._generator = generator(seed, name, step)

    def normal(self, like: Tensor) -> Tensor:
        """Return standard normal numbers of the shape, type and device of `like`."""
        drawn = torch.randn(like.shape, generator=self._generator, dtype=like.dtype)
        return drawn.to(like.device)

    def bernoulli(self, probability: float, like: Tensor) -> Tensor:
        """Return True with a probability, in the shape and on the device of `like`."""
        return (torch.rand(like.shape, generator=self._generator) < probability).to(like.device)

    def choose(self, among: Tensor, count: int) -> Tensor:
        """Return a mask with `count` of the True elements of a mask, all choices equally likely."""
        places = among.flatten().nonzero().flatten()
        order = torch.randperm(len(places), generator=self._generator)[:count].to(places.device)
        chosen = torch.zeros_like(among)
        chosen.view(-1)[places[order]] = True
        return chosen
