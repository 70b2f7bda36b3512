"""What every function on spike trains wants of torch: no autograd graph, no arithmetic below its tensors' type."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function of tensors run without gradients, and in the types of its tensors even under autocast.

    A membrane in half precision misses spikes, and a sum over a trace in half precision is off by more than a spike.

    >>> with torch.autocast("cpu", dtype=torch.bfloat16):
    ...     exact(torch.mm)(torch.eye(2), torch.eye(2)).dtype
    torch.float32
    """

    @functools.wraps(function)
    def plainly(*args: P.args, **kwargs: P.kwargs) -> R:
        device = next(value.device.type for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        with torch.no_grad(), torch.autocast(device, enabled=False):
            return function(*args, **kwargs)

    return plainly
