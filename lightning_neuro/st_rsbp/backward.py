"""Gains of neurons and the way of an error to the layer below, at spike-train level.

Symbols: e_ij, potential that pre neuron j leaves in post neuron i; o, counts; nu, threshold;
`D_i = 1 - G_i / nu` with G of `post_derivative`; rho_ij = e_ij / o_j.
"""

import torch
from torch import Tensor

from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.synapses import Synapses

LEAST_DISTANCE = 1e-4


def away_from_zero(values: Tensor) -> Tensor:
    """Return values moved to 1e-4 from zero where they are nearer, on their side.

    >>> [round(v, 6) for v in away_from_zero(torch.tensor([0.5, -1e-6, 0.0])).tolist()]
    [0.5, -0.0001, 0.0001]
    """
    return torch.where(values.abs() < LEAST_DISTANCE, torch.full_like(values, LEAST_DISTANCE).copysign(values), values)


def denominators(derivative: Tensor, threshold: float, floor: float | None) -> tuple[Tensor, Tensor]:
    """Return `D = 1 - G / nu` kept at or above a floor, and where it had to be kept.

    Args:
        derivative: G, any shape.
        threshold: nu.
        floor: least value, or None to keep D only away from zero, as in the authors' recurrent layers.

    >>> D, kept = denominators(torch.tensor([5.0, 9.5, 20.0]), threshold=10.0, floor=0.1)
    >>> [round(v, 3) for v in D.tolist()], kept.tolist()
    ([0.5, 0.1, 0.1], [False, True, True])
    """
    raw = 1 - derivative / threshold
    if floor is None:
        return away_from_zero(raw), raw.abs() < LEAST_DISTANCE
    return raw.clamp_min(floor), raw < floor


def pulled(synapses: Synapses, post: Activity, gains: Tensor, pre: Activity, silent_ratio: float) -> Tensor:
    """Return `sum_i c_i w_ij rho_ij`, the derivative of the loss to the counts of the layer below.

    Args:
        synapses: from the layer below.
        post: activity of the layer.
        gains: c `(B, ...)`.
        pre: activity of the layer below.
        silent_ratio: rho where one of the two neurons is silent.
    """
    below = synapses.pull_potential(post, gains, pre) / pre.counts.clamp_min(1)
    if silent_ratio:
        of_silent, of_all = synapses.pull(torch.cat([gains * (post.counts == 0), gains])).chunk(2)
        below += silent_ratio * torch.where(pre.counts > 0, of_silent, of_all)
    return below
