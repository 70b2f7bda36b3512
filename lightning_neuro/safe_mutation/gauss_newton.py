"""The product of the Gauss-Newton matrix of the output change with a direction."""

import warnings

import torch
import torch.autograd.forward_ad as forward_mode
from torch import Tensor

from lightning_neuro.safe_mutation.jacobian import Block, outputs_with_graph
from lightning_neuro.safe_mutation.population import BatchedPolicy


def gauss_newton_product(policy: BatchedPolicy, block: Block, direction: Tensor, *, forward: bool) -> Tensor:
    """Return `H u = 2 sum_b w_b J_b^T (J_b u)` for each parent, `(P, d)`.

    H is the Hessian of the mean squared output change at the parent itself, where the change and with it the second
    derivatives of the network vanish: a product with the Jacobian and one with its transpose are exact.

    Args:
        policy: the population's one module.
        block: parents, states and how much they count.
        direction: u, `(P, d)`.
        forward: whether `J u` is taken by forward-mode differentiation; otherwise by a second backward pass.
    """
    params = block.params.clone().requires_grad_()
    outputs = outputs_with_graph(policy, params, block)
    change = (_pushed if forward else _pulled_twice)(policy, params, outputs, block, direction)
    (product,) = torch.autograd.grad(outputs, params, 2 * block.row_weights.unsqueeze(-1) * change)
    return product


def has_forward_mode(policy: BatchedPolicy, vector: Tensor, states: Tensor) -> bool:
    """Return whether everything in the policy can be differentiated forwards, tried on one genome."""
    with forward_mode.dual_level(), torch.no_grad(), warnings.catch_warnings():
        # On its first use in a process torch compiles formulas of forward mode in a way that it warns of itself.
        warnings.filterwarnings("ignore", message=".*torch.jit.script", category=DeprecationWarning)
        try:
            outputs = policy.single(forward_mode.make_dual(vector, torch.ones_like(vector)), states)
        except (NotImplementedError, RuntimeError):
            return False
        return forward_mode.unpack_dual(outputs).tangent is not None


def _pushed(policy: BatchedPolicy, params: Tensor, outputs: Tensor, block: Block, direction: Tensor) -> Tensor:
    with forward_mode.dual_level(), torch.no_grad():
        dual = outputs_with_graph(policy, forward_mode.make_dual(params.detach(), direction), block)
        tangent = forward_mode.unpack_dual(dual).tangent
        return torch.zeros_like(outputs) if tangent is None else tangent


def _pulled_twice(policy: BatchedPolicy, params: Tensor, outputs: Tensor, block: Block, direction: Tensor) -> Tensor:
    # J^T v is linear in v, so the gradient of <J^T v, u> with respect to v is J u.
    cotangent = torch.zeros_like(outputs, requires_grad=True)
    (pulled,) = torch.autograd.grad(outputs, params, cotangent, create_graph=True)
    (change,) = torch.autograd.grad(pulled, cotangent, direction, retain_graph=True)
    return change
