"""SM-G-ABS of networks that compute with their genome in linear maps alone, without a graph of the weights.

The derivative of an output by a linear map's weight is `sum_t g_to x_ti`, over all rows of a state that the weight
meets: g at the map's output, x at its input. So one backward pass to the outputs of the maps gives those of all states.
A weight that meets one row of each state has the mean magnitude `mean_b |g_bo| |x_bi|`, one product; a weight that
meets several, as in recurrent networks, takes a product over them for each state.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_neuro.safe_mutation.jacobian import Block
from lightning_neuro.safe_mutation.linear_probes import Probes
from lightning_neuro.safe_mutation.linear_uses import LinearNet, Use
from lightning_neuro.safe_mutation.population import BatchedPolicy


def linear_magnitude(policy: BatchedPolicy, block: Block, outputs: slice, net: LinearNet) -> Tensor:
    """Return `sum_b w_b |J_bk|`, `(K, P, d)`, with one backward pass to the outputs of the linear maps for each k."""
    parents, _, samples = block.weights.shape
    probes = [block.params.new_zeros(parents, *made.shape(samples), requires_grad=True) for made in net.maps]

    def probed(vector: Tensor, states: Tensor, probes: list[Tensor]) -> tuple[Tensor, list[list[Tensor]]]:
        with Probes(net, probes) as seen:
            return policy.single(vector, states), seen.units

    found, units = policy.map(probed, block.params, block.states, probes, in_dims=(0, block.in_dim, 0))
    given = {uses: _inputs(net, uses, units) for uses in net.uses.values()}
    rows = []
    for output in found.sum((0, 1))[outputs]:
        gradients = torch.autograd.grad(output, probes, retain_graph=True, allow_unused=True)
        rows.append(_assembled(block, net, gradients, given))
    return torch.stack(rows)


Uses = tuple[Use, ...]


def _inputs(net: LinearNet, uses: Uses, units: Sequence[Sequence[Tensor]]) -> Tensor | None:
    """Return the units that meet a weight, `(P, B, steps, I)`; their magnitude if it meets one row of each state."""
    rows = [net.maps[use.map].rows(units[use.map][use.units].detach()) for use in uses if use.units is not None]
    if not rows:
        return None
    return rows[0].abs() if net.steps(uses) == 1 else torch.cat(rows, dim=2)


def _assembled(
    block: Block, net: LinearNet, gradients: Sequence[Tensor | None], given: dict[Uses, Tensor | None]
) -> Tensor:
    result = torch.zeros_like(block.params)
    weights = block.weights[:, 0, :, None, None]
    weighted: dict[tuple[int, ...], Tensor] = {}
    for place, uses in net.uses.items():
        maps = tuple(use.map for use in uses)
        if all(gradients[made] is None for made in maps):
            continue
        if maps not in weighted:
            weighted[maps] = _gradients(net, maps, gradients, weights)
        into = result.narrow(1, place.first, place.stop - place.first)
        into.copy_(_magnitude(weighted[maps], given[uses]).flatten(1))
    return result


def _gradients(net: LinearNet, maps: tuple[int, ...], gradients: Sequence[Tensor | None], weights: Tensor) -> Tensor:
    """Return the gradients at all maps that a weight is used in, times those of the states, `(P, B, steps, O)`."""
    shape = next(gradient.shape for gradient in gradients if gradient is not None)
    rows = []
    for made in maps:
        gradient = gradients[made]
        if gradient is None:
            gradient = weights.new_zeros(shape[0], *net.maps[made].shape(weights.shape[1]))
        rows.append(net.maps[made].rows(gradient))
    return torch.cat(rows, dim=2) * weights


def _magnitude(gradient: Tensor, units: Tensor | None) -> Tensor:
    """Return `sum_b |sum_t g_bto x_bti|`, or without units `sum_b |sum_t g_bto|`."""
    if gradient.shape[2] == 1:
        rows = gradient.squeeze(2).abs()
        return rows.sum(1) if units is None else torch.bmm(rows.mT, units.squeeze(2))
    if units is None:
        return gradient.sum(2).abs_().sum(1)
    each = torch.bmm(gradient.flatten(0, 1).mT, units.flatten(0, 1))
    return each.abs_().unflatten(0, gradient.shape[:2]).sum(1)
