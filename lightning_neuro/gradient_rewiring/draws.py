"""Random draws that depend on a seed, a tensor's name and the step, and on nothing else.

Nothing is carried from step to step, so a resumed run draws what an uninterrupted one would have drawn, every rank
draws the same, and nobody's generator is touched.
"""

from zlib import crc32

import numpy as np
import torch
from torch import Tensor

LARGE_CHOICE = 8
ROUNDS = 8


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
        """Return `count` places of the True elements of a mask, flattened; all choices equally likely.

        Few of many are found by drawing places at large until enough are new and True, which costs what is drawn and
        not what the mask holds; otherwise the True elements are shuffled.
        """
        flat = among.flatten()
        if count * LARGE_CHOICE > len(flat):
            places = flat.nonzero().flatten()
            return places[torch.randperm(len(places), generator=self._generator)[:count].to(places.device)]
        return self._rejecting(flat, count)

    def _rejecting(self, flat: Tensor, count: int) -> Tensor:
        free, found = flat.clone(), []
        for _ in range(ROUNDS):
            drawn = torch.randint(0, len(flat), (2 * count + 8,), generator=self._generator).to(flat.device)
            drawn = _first_of_each(drawn[free[drawn]])[:count]
            free[drawn] = False
            found.append(drawn)
            count -= len(drawn)
            if not count:
                return torch.cat(found)
        rest = free.nonzero().flatten()  # where hardly any element is True
        return torch.cat([*found, rest[torch.randperm(len(rest), generator=self._generator)[:count].to(rest.device)]])


def _first_of_each(places: Tensor) -> Tensor:
    """Return places without repetitions, in the order in which they came first.

    >>> _first_of_each(torch.tensor([7, 2, 7, 5, 2])).tolist()
    [7, 2, 5]
    """
    order = places.argsort(stable=True)
    ordered = places[order]
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return places[order[first].sort().values]
