"""The rewiring step in place on lists of tensors: the fast form of `functional.rewire` and `functional.join`.

On the CPU a compiled loop where numba is installed, and otherwise pieces small enough to stay in cache, so that in
both cases memory is read and written once and no tensor is copied. On other devices torch's multi-tensor kernels.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

from lightning_neuro.gradient_rewiring import compiled, functional

PIECE = 1 << 16
TEMPORARIES = 4
SMALLEST_CHUNK = 1 << 16


@dataclass(frozen=True, eq=False)
class Step:
    """What one weight tensor needs for a step.

    Args:
        weight: as the optimizer left it.
        theta: the same shape and strides, at least single precision.
        sign: the same shape and strides, int8.
        drift: `step * alpha`.
        centre: of the prior.
        floor: lower bound of theta.
    """

    weight: Tensor
    theta: Tensor
    sign: Tensor
    drift: float
    centre: float
    floor: float = -math.inf


@torch.no_grad()
def rewire_(steps: Sequence[Step]) -> None:
    """Move theta and set `weight = sign * max(theta, 0)`, in place.

    >>> weight, theta = torch.tensor([0.75, -0.5]), torch.tensor([0.5, -0.25])
    >>> rewire_([Step(weight, theta, torch.tensor([1, -1], dtype=torch.int8), drift=0.125, centre=-9.0)])
    >>> weight.tolist(), theta.tolist()
    ([0.625, -0.125], [0.625, 0.125])
    """
    on_cpu = [step for step in steps if step.weight.device.type == "cpu"]
    for step in on_cpu:
        _on_cpu_(step)
    rest = [step for step in steps if step.weight.device.type != "cpu"]

    def kind(step: Step) -> str:
        return f"{step.weight.device} {step.weight.dtype}"

    for _, members in groupby(sorted(rest, key=kind), key=kind):
        for chunk in chunks(list(members)):
            multi_tensor_(chunk)


def _on_cpu_(step: Step) -> None:
    tensors = (step.weight, step.theta, step.sign)
    if any(tensor.stride() != step.weight.stride() for tensor in tensors) or not is_dense(step.weight):
        _piece_(*tensors, step)
        return
    weight, theta, sign = (flat(tensor) for tensor in tensors)
    if compiled.rewire_(weight, theta, sign, step.drift, step.centre, step.floor):
        # numpy writes behind torch's back; whoever watches the version of a weight must see that it has changed.
        torch.autograd.graph.increment_version(step.weight)
        return
    for pieces in zip(weight.split(PIECE), theta.split(PIECE), sign.split(PIECE), strict=True):
        _piece_(*pieces, step)


def _piece_(weight: Tensor, theta: Tensor, sign: Tensor, step: Step) -> None:
    theta.copy_(functional.rewire(theta, sign, weight, step.drift, step.centre, step.floor))
    weight.copy_(functional.join(theta, sign))


def chunks(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Cut tensors up and group them, so that temporaries of a group are no larger than the largest tensor.

    `multi_tensor_` holds three or four numbers per element, so a group has a quarter of the largest tensor's elements.
    """
    limit = max(SMALLEST_CHUNK, max(step.weight.numel() for step in steps) // TEMPORARIES)
    group: list[Step] = []
    filled = 0
    for piece in (piece for step in steps for piece in _pieces(step, limit)):
        size = piece.weight.numel()
        if group and filled + size > limit:
            yield group
            group, filled = [], 0
        group.append(piece)
        filled += size
    yield group


def _pieces(step: Step, limit: int) -> list[Step]:
    tensors = (step.weight, step.theta, step.sign)
    alike = all(tensor.stride() == step.weight.stride() for tensor in tensors) and is_dense(step.weight)
    if not alike or step.weight.numel() <= limit:
        return [step]
    cut = zip(*(flat(tensor).split(limit) for tensor in tensors), strict=True)
    return [replace(step, weight=weight, theta=theta, sign=sign) for weight, theta, sign in cut]


def multi_tensor_(steps: Sequence[Step]) -> None:
    """Do the same with few kernels for many tensors of one device and type."""
    thetas = [step.theta for step in steps]
    weights = [step.weight.detach() for step in steps]
    signs = [step.sign.to(step.theta.dtype) for step in steps]
    pulls = torch._foreach_sub(thetas, [step.centre for step in steps])
    torch._foreach_sign_(pulls)
    torch._foreach_mul_(pulls, [step.drift for step in steps])
    torch._foreach_mul_(pulls, torch._foreach_abs(signs))
    shown = list(torch._foreach_clamp_min(thetas, 0.0))
    if weights[0].dtype != thetas[0].dtype:
        shown = [tensor.to(weights[0].dtype).to(thetas[0].dtype) for tensor in shown]
    torch._foreach_sub_(thetas, shown)
    new = [tensor.to(thetas[0].dtype) for tensor in weights]
    torch._foreach_addcmul_(thetas, signs, new)
    torch._foreach_sub_(thetas, pulls)
    if any(step.floor > -math.inf for step in steps):
        torch._foreach_clamp_min_(thetas, [step.floor for step in steps])
    torch._foreach_copy_(shown, thetas)
    torch._foreach_clamp_min_(shown, 0.0)
    torch._foreach_mul_(shown, signs)
    torch._foreach_copy_(weights, shown)


def is_dense(tensor: Tensor) -> bool:
    """Tell whether a tensor fills its memory without gaps, in whatever order of its dimensions.

    >>> is_dense(torch.ones(2, 3).T), is_dense(torch.ones(4, 3)[::2])
    (True, False)
    """
    reached = 1
    for stride, size in sorted((st, sz) for st, sz in zip(tensor.stride(), tensor.shape, strict=True) if sz != 1):
        if stride != reached:
            return False
        reached *= size
    return True


def flat(tensor: Tensor) -> Tensor:
    """Return a dense tensor as a vector in the order of its memory."""
    return tensor.detach().as_strided((tensor.numel(),), (1,))
