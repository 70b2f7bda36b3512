"""How weights start."""

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from lightning_neuro.common import checks

Init: TypeAlias = Literal["uniform", "normal", "fan_in"]
INITS = ("uniform", "normal", "fan_in")


def draw_(weight: Tensor, init: Init, scale: float, threshold: float, generator: torch.Generator) -> Tensor:
    """Fill a weight whose first dimension is the receiving neurons, in place.

    Args:
        weight: `(N, ...)`.
        init: `"uniform"` in [-scale, scale], as in the authors' code, which tunes thresholds instead; `"normal"` of
            standard deviation `scale`; `"fan_in"`, ours: uniform in ±scale * threshold / sqrt(inputs), so that layers
            of any width fire at similar rates.
        scale: see `init`.
        threshold: of the layer.
        generator: on the CPU; the same seed gives the same weights on every device.

    >>> w = draw_(torch.empty(4, 100), "fan_in", 1.0, 10.0, torch.Generator().manual_seed(0))
    >>> bool(w.abs().max() <= 1)
    True
    """
    bound = scale * threshold / math.sqrt(weight[0].numel()) if init == "fan_in" else scale
    drawn = torch.empty(weight.shape, dtype=weight.dtype)
    if init == "normal":
        drawn.normal_(0, bound, generator=generator)
    else:
        drawn.uniform_(-bound, bound, generator=generator)
    with torch.no_grad():
        return weight.copy_(drawn)


def as_generator(generator: torch.Generator | None, seed: int) -> torch.Generator:
    """Return `generator`, or a new one with `seed`."""
    if generator is None:
        return torch.Generator().manual_seed(checks.integer("layer", "seed", seed))
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"layer: generator must be a torch.Generator, got {generator!r}.")
    return generator
