"""The mathematics of Deep R (Bellec et al., arXiv 1711.05136) and of its soft form, the baselines of Grad R.

Symbols as in `functional`, and: `l1`, the strength of the L1 penalty (alpha there); `noise`, standard normal;
`spread`, its scale `sqrt(2 * step * temperature)`; `step`, the learning rate (eta there).
"""

import math

import torch
from torch import Tensor

BIRTH = 1e-8


def hard_walk(theta: Tensor, sign: Tensor, weight: Tensor, shrink: float, spread: float, noise: Tensor) -> Tensor:
    """Return theta of Deep R before any regrowth: connections walk, and one that would cross 0 becomes dormant.

    `theta' = s w_new - step * l1 + spread * noise` for connections; dormant synapses stay at 0.

    Args:
        theta: before the step.
        sign: fixed signs.
        weight: as the optimizer left it.
        shrink: `step * l1`.
        spread: scale of the noise.
        noise: standard normal, for the synaptic parameter.

    >>> theta, sign = torch.tensor([0.5, 0.1, 0.0]), torch.ones(3, dtype=torch.int8)
    >>> hard_walk(theta, sign, torch.tensor([0.75, -0.25, 0.5]), 0.125, 0.0, torch.zeros(3)).tolist()
    [0.625, 0.0, 0.0]
    """
    moved = (sign * weight).to(theta.dtype).sub_(shrink).add_(noise, alpha=spread)
    return moved.clamp_min_(0).mul_(theta > 0)


def soft_walk(
    theta: Tensor, sign: Tensor, weight: Tensor, shrink: float, spread: float, noise: Tensor, floor: float
) -> Tensor:
    """Return theta of soft Deep R: connections feel gradient and penalty, and every synapse feels the noise.

    Args:
        theta: before the step.
        sign: fixed signs; where it is 0, theta stays.
        weight: as the optimizer left it.
        shrink: `step * l1`.
        spread: scale of the noise.
        noise: standard normal, for the synaptic parameter.
        floor: see `soft_floor`.

    >>> theta, sign = torch.tensor([0.5, -0.25]), torch.ones(2, dtype=torch.int8)
    >>> soft_walk(theta, sign, torch.tensor([0.75, 0.5]), 0.125, 0.5, torch.ones(2), -9.0).tolist()
    [1.125, 0.25]
    """
    connected = (theta > 0) & (sign != 0)
    moved = (sign * weight).to(theta.dtype).sub_(shrink).where(connected, theta)
    return moved.add_(noise * sign.abs(), alpha=spread).clamp_min_(floor)


def soft_floor(temperature: float, l1: float, sparsity: float) -> float:
    """Return the lower bound of theta that balances soft Deep R at a sparsity: `-T s / (l1 (1 - s))`.

    Minus infinity without penalty or at a sparsity of 1.

    >>> round(soft_floor(0.00125, 0.1, 0.9), 6)
    -0.1125
    """
    if l1 <= 0 or sparsity >= 1:
        return -math.inf
    return -temperature * sparsity / (l1 * (1 - sparsity))


def birth(dtype: torch.dtype) -> float:
    """Return how strong a connection is born: 1e-8, or more where a type of weights cannot hold that little.

    >>> birth(torch.float32), birth(torch.float16)
    (1e-08, 6.103515625e-05)
    """
    return max(BIRTH, torch.finfo(dtype).tiny)


def noise_scale(step: float, temperature: float) -> float:
    """Return `sqrt(2 * step * temperature)`.

    >>> noise_scale(0.02, 0.04)
    0.04
    """
    return math.sqrt(2 * step * temperature)


def connections(sparsity: float, synapses: int) -> int:
    """Return how many connections a sparsity leaves.

    >>> connections(0.9, 30)
    3
    """
    return round((1 - sparsity) * synapses)
