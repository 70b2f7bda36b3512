"""The mathematics of Grad R: a weight is a fixed sign times a rectified strength.

| here | paper | meaning |
|---|---|---|
| `sign` | s | -1 or +1, fixed; 0 for a synapse that never existed |
| `theta` | theta | synaptic parameter; connected above 0, dormant otherwise |
| `weight` | w | `s * max(theta, 0)`, what the network computes with |
| `alpha` | alpha | rate of the Laplacian prior of theta |
| `centre` | mu | its location |
| `step` | eta | how far a unit of the prior's gradient moves theta |

Tensors in, tensors out; all of one shape and elementwise. `in_place` holds the fast form of `rewire`.
"""

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor

ZeroSign: TypeAlias = Literal["random", "dead"]


def laplace_centre(sparsity: float, alpha: float) -> float:
    """Return where a Laplacian of rate alpha is centred if it puts a fraction `sparsity` of its mass below 0.

    `mu = ln(2 (1 - sparsity)) / alpha`, equation of the authors' code; without a prior, minus infinity.

    Args:
        sparsity: from 0.5, where the centre is 0, to below 1.
        alpha: rate; 0 for no prior.

    >>> round(laplace_centre(0.9, 5.0), 6)
    -0.321888
    """
    return math.log(2 * (1 - sparsity)) / alpha if alpha > 0 else -math.inf


def split(
    weight: Tensor, zero_sign: ZeroSign = "random", generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Take dense weights apart into `theta = |w|`, at least in single precision, and signs as int8.

    Args:
        weight: any shape.
        zero_sign: what an exact zero becomes: a synapse of `"random"` sign that may grow, or `"dead"` for ever, as
            in the authors' code.
        generator: on the CPU; where the random signs come from. Required if any is to be drawn.

    Raises:
        ValueError: signs are to be drawn and there is no generator.

    >>> theta, sign = split(torch.tensor([0.5, -0.25, 0.0]), "dead")
    >>> theta.tolist(), sign.tolist()
    ([0.5, 0.25, 0.0], [1, -1, 0])
    """
    theta = weight.detach().to(torch.promote_types(weight.dtype, torch.float32)).abs()
    sign = weight.detach().sign().to(torch.int8)
    zeros = sign == 0
    count = int(zeros.sum()) if zero_sign == "random" else 0
    if count:
        if generator is None:
            raise ValueError("split: a generator is needed to draw signs for weights that are 0.")
        drawn = torch.randint(0, 2, (count,), generator=generator, dtype=torch.int8).mul_(2).sub_(1)
        sign[zeros] = drawn.to(sign.device)
    return theta, sign


def join(theta: Tensor, sign: Tensor) -> Tensor:
    """Return the weights `s * max(theta, 0)`.

    >>> join(torch.tensor([0.5, 0.25, -3.0]), torch.tensor([1, -1, 1], dtype=torch.int8)).tolist()
    [0.5, -0.25, 0.0]
    """
    return theta.clamp_min(0).mul_(sign)


def follow(theta: Tensor, sign: Tensor, weight: Tensor) -> Tensor:
    """Return theta moved as the optimizer has moved its weight, before any pull.

    >>> follow(torch.tensor([0.5, -0.25]), torch.tensor([1, -1], dtype=torch.int8), torch.tensor([0.75, -0.5])).tolist()
    [0.75, 0.25]
    """
    hidden = theta - theta.clamp_min(0).to(weight.dtype)  # what the weight did not show: min(theta, 0), and rounding
    return hidden.add_(sign * weight)


def rewire(
    theta: Tensor, sign: Tensor, weight: Tensor, drift: float, centre: float, floor: float = -math.inf
) -> Tensor:
    """Return theta after an optimizer step and the prior's pull.

    `theta' = theta + s (w_new - w_old) - drift * sign(theta - centre)`. The optimizer's displacement stands for
    `-eta * dL/dw`, so dormant synapses feel the gradient as well: the redefined gradient of the paper. The weights
    before the step need no copy, because they are `s * max(theta, 0)`.

    Args:
        theta: before the step.
        sign: fixed signs; entries of sign 0 stay at theta 0.
        weight: as the optimizer left them.
        drift: `step * alpha`, how far the prior moves theta.
        centre: of the prior.
        floor: lower bound of theta, which bounds how long regrowth takes.

    Differs from the authors' code in its form only: theirs contains Adam.

    >>> theta, sign = torch.tensor([0.5, -0.25]), torch.tensor([1, -1], dtype=torch.int8)
    >>> rewire(theta, sign, torch.tensor([0.75, -0.5]), drift=0.125, centre=-9.0).tolist()
    [0.625, 0.125]
    """
    moved = follow(theta, sign, weight)
    if drift:
        moved.sub_((theta - centre).sign_().mul_(sign.abs()), alpha=drift)
    return moved.clamp_min_(floor) if floor > -math.inf else moved


def fine_tune(theta: Tensor, sign: Tensor, weight: Tensor) -> Tensor:
    """Return theta after an optimizer step with the connections held as they are.

    A connected synapse follows its weight, yet not through 0, where it would leave; a dormant one does not move.

    >>> sign = torch.tensor([1, 1, 1], dtype=torch.int8)
    >>> fine_tune(torch.tensor([0.5, 0.5, -0.25]), sign, torch.tensor([0.75, -0.5, 0.125])).tolist()[::2]
    [0.75, -0.25]
    """
    least = torch.finfo(weight.dtype).tiny
    return torch.where(theta > 0, (sign * weight).to(theta.dtype).clamp_min_(least), theta)


def adopt(theta: Tensor, sign: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return theta and signs that agree with weights that somebody else has set.

    Where there is a weight, theta becomes its size and the sign its sign; where there is none, the synapse keeps its
    sign and is dormant, as deep as it was.

    >>> old = torch.tensor([0.5, -0.25, 0.5]), torch.tensor([1, 1, 1], dtype=torch.int8)
    >>> theta, sign = adopt(*old, torch.tensor([-0.75, 0.0, 0.0]))
    >>> theta.tolist(), sign.tolist()
    ([0.75, -0.25, 0.0], [-1, 1, 1])
    """
    there = weight != 0
    grown = weight.abs().to(theta.dtype)
    return torch.where(there, grown, theta.clamp_max(0)), torch.where(there, weight.sign().to(sign.dtype), sign)


def trim(theta: Tensor, keep: int) -> Tensor:
    """Return theta with the `keep` strongest connections left; the weaker ones become dormant at 0.

    Never adds a connection; of equal ones at the border the first are kept.

    >>> trim(torch.tensor([0.5, 0.25, -1.0, 0.75]), keep=2).tolist()
    [0.5, 0.0, -1.0, 0.75]
    """
    flat = theta.flatten()
    if int((flat > 0).sum()) <= keep:
        return theta.clone()
    order = flat.argsort(descending=True, stable=True)
    result = flat.clone()
    result[order[keep:]] = result[order[keep:]].clamp_max(0)
    return result.view_as(theta)


def strongest(thetas: dict[str, Tensor], keep: int) -> dict[str, int]:
    """Return how many of the `keep` strongest connections of all tensors lie in each.

    >>> strongest({"a": torch.tensor([0.5, 0.25]), "b": torch.tensor([0.75, -1.0])}, keep=2)
    {'a': 1, 'b': 1}
    """
    order = torch.cat([theta.flatten() for theta in thetas.values()]).argsort(descending=True, stable=True)[:keep]
    counts, first = {}, 0
    for name, theta in thetas.items():
        counts[name] = int(((order >= first) & (order < first + theta.numel())).sum())
        first += theta.numel()
    return counts


def bias_corrected(rate: float, beta1: float, step: int) -> float:
    """Return `eta = lr / (1 - beta1^t)`, with which the authors' Adam also scales the prior.

    >>> round(bias_corrected(0.001, 0.9, 1), 6)
    0.01
    """
    return rate / (1 - beta1**step)
