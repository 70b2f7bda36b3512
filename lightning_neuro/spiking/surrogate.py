"""Surrogate gradients that pickle and that `torch.func` can transform.

snnTorch's own are closures around autograd functions without a vmap rule: a neuron that holds one can be neither
pickled (spawned processes, `torch.save(model)`) nor put under `vmap` or `jvp`. These are drop-in replacements::

    snntorch.Leaky(beta=0.9, spike_grad=FastSigmoid(slope=25))
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from lightning_neuro.common import checks


class _Surrogate(Protocol):
    def derivative(self, x: Tensor) -> Tensor: ...


class _Spike(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, surrogate: _Surrogate) -> Tensor:
        return (x > 0).to(x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, _Surrogate], output: Tensor) -> None:
        x, ctx.surrogate = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * ctx.surrogate.derivative(x), None


class _ForwardModeSpike(_Spike):
    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return tangents[0] * ctx.surrogate.derivative(x)


def _fire(x: Tensor, surrogate: _Surrogate) -> Tensor:
    # torch.compile refuses every autograd function that defines forward mode.
    spike = _Spike if torch.compiler.is_compiling() else _ForwardModeSpike
    result: Tensor = spike.apply(x, surrogate)
    return result


@dataclass(frozen=True)
class FastSigmoid:
    """Heaviside step forward, derivative of a fast sigmoid backward: `1 / (slope |x| + 1)^2`.

    Args:
        slope: how narrow the derivative is around the threshold; above 0.

    Raises:
        TypeError: `slope` is not a number.
        ValueError: it is not above 0.

    Source: Zenke and Ganguli (2018), SuperSpike. Gradient as in `snntorch.surrogate.fast_sigmoid`.

    >>> x = torch.tensor([-0.04, 0.04], requires_grad=True)
    >>> spk = FastSigmoid(slope=25)(x)
    >>> spk.sum().backward()
    >>> spk.tolist(), x.grad
    ([0.0, 1.0], tensor([0.2500, 0.2500]))
    """

    slope: float = 25.0

    def __post_init__(self) -> None:
        """Check the number."""
        checks.number("FastSigmoid", "slope", self.slope, above=0)

    def __call__(self, x: Tensor) -> Tensor:
        """Return 1 where `x` (membrane minus threshold, any shape) is above 0, else 0, in the dtype of `x`."""
        return _fire(x, self)

    def derivative(self, x: Tensor) -> Tensor:
        """Return the gradient that stands in for that of the step, elementwise."""
        return 1 / (self.slope * x.abs() + 1) ** 2


@dataclass(frozen=True)
class ATan:
    """Heaviside step forward, derivative of an arc tangent backward: `alpha / 2 / (1 + (pi alpha x / 2)^2)`.

    Args:
        alpha: how narrow and high the derivative is around the threshold; above 0.

    Raises:
        TypeError: `alpha` is not a number.
        ValueError: it is not above 0.

    Source: Fang et al. (2021), Incorporating Learnable Membrane Time Constants. Gradient as in
    `snntorch.surrogate.atan`.

    >>> x = torch.tensor([0.0, 1.0], requires_grad=True)
    >>> ATan(alpha=2)(x).sum().backward()
    >>> x.grad
    tensor([1.0000, 0.0920])
    """

    alpha: float = 2.0

    def __post_init__(self) -> None:
        """Check the number."""
        checks.number("ATan", "alpha", self.alpha, above=0)

    def __call__(self, x: Tensor) -> Tensor:
        """Return 1 where `x` (membrane minus threshold, any shape) is above 0, else 0, in the dtype of `x`."""
        return _fire(x, self)

    def derivative(self, x: Tensor) -> Tensor:
        """Return the gradient that stands in for that of the step, elementwise."""
        return self.alpha / 2 / (1 + (math.pi / 2 * self.alpha * x) ** 2)
