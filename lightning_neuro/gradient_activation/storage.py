"""Where the numbers of a gradient lie: one dense view for every kind."""

import torch
from torch import Tensor


def stored(tensor: Tensor) -> Tensor:
    """Return a real, dense tensor that shares memory with `tensor` and holds all its stored numbers.

    Args:
        tensor: dense; sparse, whose values are first summed per index, in place; complex; or a `DTensor`, of which
            the local shard is meant.

    >>> stored(torch.tensor([1.0 + 2.0j])).shape
    torch.Size([1, 2])
    """
    if type(tensor) is Tensor and tensor.layout == torch.strided and not tensor.is_complex():
        return tensor
    if hasattr(tensor, "to_local"):
        return stored(tensor.to_local())
    if tensor.is_sparse:
        if not tensor.is_coalesced():
            tensor.copy_(tensor.coalesce())
        return stored(tensor.values())
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
