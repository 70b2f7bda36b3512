"""The Jacobian of a policy's outputs by its weights, one backward pass for each state and output."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn


def explicit_jacobian(policy: nn.Module, vector: Tensor, states: Tensor, *, sequences: bool = False) -> Tensor:
    """Return `(B, K, d)` with nothing but `Tensor.backward`."""
    module = copy.deepcopy(policy)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    nn.utils.vector_to_parameters(vector.detach().clone(), parameters)
    rows = []
    for state in states.unbind(1 if sequences else 0):
        outputs = module(state.unsqueeze(1 if sequences else 0)).flatten()
        rows.append(torch.stack([gradient(outputs[k], parameters) for k in range(len(outputs))]))
    return torch.stack(rows)


def gradient(output: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    for parameter in parameters:
        parameter.grad = None
    output.backward(retain_graph=True)
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    return torch.cat([part.flatten() for part in parts])


def slow_sum(jacobian: Tensor) -> Tensor:
    return jacobian.mean(0).square().sum(0).sqrt()


def slow_abs(jacobian: Tensor) -> Tensor:
    return jacobian.abs().mean(0).square().sum(0).sqrt()


def slow_second_order(jacobian: Tensor, direction: Tensor) -> Tensor:
    flat = jacobian.flatten(0, 1)
    hessian = 2 / len(jacobian) * flat.T @ flat
    return (hessian @ (direction / direction.norm())).abs().sqrt()


def for_each(parents: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.stack([function(parent) for parent in parents])
