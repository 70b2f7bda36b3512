"""Recurrent layers that torch can batch over weights."""

import copy

from torch import nn


def vmap_safe(module: nn.Module) -> nn.Module:
    """Return a deep copy of the module in which recurrent layers can be batched over weights."""
    return copy.deepcopy(module)
