"""SM-G-ABS of networks made of linear layers, without one gradient per state.

The derivative of an output by a linear layer's weight is `g_o x_i`: g at the layer's output, x at its input. So the
mean magnitude over states is one matrix product, `mean_b |g_bo| |x_bi|`, as long as the weight meets each state once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from lightning_neuro.safe_mutation.jacobian import Block
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.samples import Samples


@dataclass(frozen=True)
class LinearLayer:
    """One use of a linear layer.

    Attributes:
        call: its place among all calls of `functional.linear` of one forward pass.
        inputs: width.
        outputs: width.
        weight: where its weight begins in the genome; None if it is frozen.
        bias: the same of its bias; None also if there is none.
    """

    call: int
    inputs: int
    outputs: int
    weight: int | None
    bias: int | None

    def spans(self) -> list[tuple[int, int]]:
        """Where its trainable weights begin and end in the genome."""
        sizes = [(self.weight, self.inputs * self.outputs), (self.bias, self.outputs)]
        return [(first, first + size) for first, size in sizes if first is not None]


def linear_layers(policy: BatchedPolicy, params: Tensor, samples: Samples) -> list[LinearLayer] | None:
    """Return the linear layers if they are all that uses the genome, each weight once and on one row per state.

    Follows one forward pass of one parent: every operation that computes with trainable weights must be a linear
    layer, so also uses that no module shows are seen. None: there are others, and the shortcut would be wrong.
    """
    if not policy.vectorized or policy.interface.recurrence != "none":
        return None
    count = min(samples.count, 2)
    states = samples.block(slice(0, 1), slice(0, count))
    with torch.inference_mode(False), torch.no_grad():
        vector = params[0].clone()
        with _Uses(vector, count) as uses:
            policy.single(vector, states[0] if samples.own else states)
    spans = sorted(span for layer in uses.layers for span in layer.spans())
    once = all(stop <= first for (_, stop), (first, _) in pairwise(spans))
    return uses.layers if uses.only_linear and once and vector._version == 0 else None


def linear_magnitude(policy: BatchedPolicy, block: Block, outputs: slice, layers: list[LinearLayer]) -> Tensor:
    """Return `sum_b w_b |J_bk|`, `(K, P, d)`, with one backward pass to the layers' outputs for each k."""
    parents, _, samples = block.weights.shape
    probes = [block.params.new_zeros(parents, samples, layer.outputs, requires_grad=True) for layer in layers]

    def probed(vector: Tensor, states: Tensor, probes: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        with _Probes({layer.call: probe for layer, probe in zip(layers, probes, strict=True)}) as seen:
            return policy.single(vector, states), seen.inputs

    found, inputs = policy.map(probed, block.params, block.states, probes, in_dims=(0, block.in_dim, 0))
    sizes = [given.detach().abs() for given in inputs]
    rows = []
    for output in found.sum((0, 1))[outputs]:
        gradients = torch.autograd.grad(output, probes, retain_graph=True, allow_unused=True)
        rows.append(_assembled(block, layers, gradients, sizes))
    return torch.stack(rows)


def _assembled(
    block: Block, layers: list[LinearLayer], gradients: Iterable[Tensor | None], inputs: list[Tensor]
) -> Tensor:
    result = torch.zeros_like(block.params)
    for layer, gradient, given in zip(layers, gradients, inputs, strict=True):
        if gradient is None:
            continue
        weighted = gradient.abs().mul_(block.weights[:, 0].unsqueeze(-1))
        if layer.weight is not None:
            into = result.narrow(1, layer.weight, layer.outputs * layer.inputs)
            into.copy_(torch.bmm(weighted.mT, given).flatten(1))
        if layer.bias is not None:
            result.narrow(1, layer.bias, layer.outputs).copy_(weighted.sum(1))
    return result


class _Uses(TorchFunctionMode):
    """Notes every operation that computes with a genome, on `rows` states."""

    def __init__(self, vector: Tensor, rows: int) -> None:
        super().__init__()
        self.layers: list[LinearLayer] = []
        self.only_linear = True
        self._storage = vector.untyped_storage().data_ptr()
        self._rows = rows
        self._calls = 0

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        computes = any(not self._inside(output) for output in _tensors(result))
        if computes and any(map(self._inside, _tensors((args, kwargs)))):
            layer = self._layer(*_operands(*args, **kwargs)) if func is functional.linear else None
            if layer is None:
                self.only_linear = False
            else:
                self.layers.append(layer)
        self._calls += func is functional.linear
        return result

    def _inside(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() == self._storage

    def _layer(self, given: Tensor, weight: Tensor, bias: Tensor | None) -> LinearLayer | None:
        if self._inside(given) or given.ndim != 2 or len(given) != self._rows or not weight.is_contiguous():
            return None
        places = [
            None if part is None or not self._inside(part) else int(part.storage_offset()) for part in (weight, bias)
        ]
        return LinearLayer(self._calls, weight.shape[1], weight.shape[0], places[0], places[1])


class _Probes(TorchFunctionMode):
    """Adds a probe to the output of some linear layers and keeps their inputs."""

    def __init__(self, probes: dict[int, Tensor]) -> None:
        super().__init__()
        self.inputs: list[Tensor] = []
        self._probes = probes
        self._calls = 0

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is not functional.linear:
            return result
        self._calls += 1
        if (probe := self._probes.get(self._calls - 1)) is None:
            return result
        self.inputs.append(_operands(*args, **(kwargs or {}))[0])
        return result + probe


def _operands(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:  # noqa: A002
    return input, weight, bias


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]
