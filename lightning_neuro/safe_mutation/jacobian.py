"""Sums over states of the Jacobian of a population's outputs, and of its magnitude.

Each function takes `Block`, some parents with some states, and returns `(K, P, d)` for some of the outputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vjp, vmap

from lightning_neuro.safe_mutation.population import BatchedPolicy


@dataclass(frozen=True)
class Block:
    """Some parents and some of their states.

    Attributes:
        params: `(P, d)`.
        states: `(B, *obs)`, `(T, B, *obs)`, or with a leading P.
        in_dim: 0 where the states have a leading P, else None.
        weights: `(P, steps, B)`, how much every output row counts.
    """

    params: Tensor
    states: Tensor
    in_dim: int | None
    weights: Tensor

    @property
    def row_weights(self) -> Tensor:
        """The weights in the order of the outputs' rows, `(P, steps B)`."""
        return self.weights.flatten(1)


def outputs_with_graph(policy: BatchedPolicy, params: Tensor, block: Block) -> Tensor:
    """Return the outputs `(P, steps B, K)` such that autograd can follow them back to `params`."""
    outputs: Tensor = policy.map(policy.single, params, block.states, in_dims=(0, block.in_dim))
    return outputs


def summed(policy: BatchedPolicy, block: Block, outputs: slice) -> Tensor:
    """Return `sum_b w_b J_bk`, one backward pass for each output: parents do not meet, so theirs is one pass."""
    params = block.params.clone().requires_grad_()
    found = outputs_with_graph(policy, params, block)
    weighted = (found * block.row_weights.unsqueeze(-1)).sum((0, 1))[outputs]
    return torch.stack([torch.autograd.grad(output, params, retain_graph=True)[0] for output in weighted])


def magnitude(policy: BatchedPolicy, block: Block, outputs: slice) -> Tensor:
    """Return `sum_b w_b |J_bk|` for any policy, with the Jacobians of all parents and states at once."""
    if not policy.vectorized:
        return magnitude_by_loop(policy, block, outputs)
    dim = int(policy.interface.recurrence != "none")

    def of_parent(vector: Tensor, states: Tensor, weights: Tensor) -> Tensor:
        def of_sample(sample: Tensor, weights: Tensor) -> Tensor:
            found, pull = vjp(lambda vector: policy.single(vector, sample.unsqueeze(dim)), vector)  # type: ignore[misc]
            jacobian = vmap(pull)(_units(found, outputs))[0].unflatten(0, (-1, len(found)))  # (K, steps, d)
            return torch.einsum("s,ksd->kd", weights, jacobian.abs())

        return vmap(of_sample, in_dims=(dim, 1))(states, weights).sum(0)

    of_parents: Tensor = policy.map(of_parent, block.params, block.states, block.weights, in_dims=(0, block.in_dim, 0))
    return of_parents.movedim(1, 0)


def magnitude_by_loop(policy: BatchedPolicy, block: Block, outputs: slice) -> Tensor:
    """Return what `magnitude` does, with one backward pass for each parent, state and output."""
    dim = int(policy.interface.recurrence != "none")
    rows = []
    for parent, vector in enumerate(block.params):
        states = block.states if block.in_dim is None else block.states[parent]
        total: Tensor | float = 0.0
        for sample in range(block.weights.shape[-1]):
            leaf = vector.clone().requires_grad_()
            found = policy.single(leaf, states.narrow(dim, sample, 1))[:, outputs]
            for step, weight in enumerate(block.weights[parent, :, sample]):
                gradients = [torch.autograd.grad(output, leaf, retain_graph=True)[0] for output in found[step]]
                total = total + weight * torch.stack(gradients).abs()
        rows.append(total)
    return torch.stack(rows, dim=1)  # type: ignore[arg-type]


def _units(outputs: Tensor, chosen: slice) -> Tensor:
    """Return one cotangent for each chosen output of each step, `(K steps, steps, K)`, outputs first."""
    steps, count = outputs.shape
    every = torch.eye(steps * count, dtype=outputs.dtype, device=outputs.device).view(steps, count, steps, count)
    return every[:, chosen].transpose(0, 1).flatten(0, 1)
