"""Spiking convolution and pooling."""

from typing import Any

import torch
from torch import nn

from lightning_neuro.common import checks
from lightning_neuro.st_rsbp import kernels
from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.conv_synapses import ConvSynapses
from lightning_neuro.st_rsbp.initial_weights import INITS, Init, as_generator, draw_
from lightning_neuro.st_rsbp.neuron_layer import NeuronLayer
from lightning_neuro.st_rsbp.rule import Kind


class WindowLayer(NeuronLayer):
    """Neurons that hear windows of the layer below, which is `(C, H, W)`; abstract."""

    def __init__(self, kernel_size: int, *, stride: int, padding: int, **options: Any) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.kernel_size = checks.integer(owner, "kernel_size", kernel_size, at_least=1)
        self.stride = checks.integer(owner, "stride", stride, at_least=1)
        self.padding = checks.integer(owner, "padding", padding, at_least=0)

    def simulate(self, inputs: Activity, *, with_trace: bool) -> Activity:
        """Return what the neurons fire, and keep its trace if that will be needed."""
        current = self.synapses(tuple(inputs.features)).current(inputs.spikes)
        spikes, trace = kernels.current_forward(
            current.flatten(2), self.neuron, with_trace=with_trace, backend=self.backend
        )
        activity = Activity(spikes.view(current.shape), current.dtype, self.backend)
        if trace is not None:
            activity.keep_trace(self.neuron, trace.view(current.shape))
        return activity

    def synapses(self, features: tuple[int, ...]) -> ConvSynapses:
        """Return the connections from inputs of this shape."""
        raise NotImplementedError

    def _window_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        owner = type(self).__name__
        if len(features) != 3:
            raise ValueError(
                f"{owner}: expected inputs of (C, H, W) per step and sample, got {tuple(features)}. "
                "Put it before fully connected layers, and reshape its inputs to (T, B, C, H, W)."
            )
        sides = [(side + 2 * self.padding - self.kernel_size) // self.stride + 1 for side in features[1:]]
        if min(sides) < 1:
            raise ValueError(
                f"{owner}: a window of {self.kernel_size} x {self.kernel_size} does not fit into inputs of "
                f"{features[1]} x {features[2]} with a padding of {self.padding}."
            )
        return tuple(sides)

    def extra_repr(self) -> str:
        """Return sizes and constants for printing."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"threshold={self.threshold:g}, tau_m={self.tau_m:g}, tau_s={self.tau_s:g}, refractory={self.refractory}"
        )


class SpikingConvLayer(WindowLayer):
    """Convolution layer of spiking neurons, inputs `(T, B, C, H, W)`.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: side of the square window.
        threshold: membrane potential that a neuron must exceed to fire.
        stride: of the window.
        padding: with silent neurons, on each side.
        tau_m: membrane time constant in steps.
        tau_s: synaptic time constant in steps.
        refractory: steps after a spike in which the membrane stays at 0.
        init: `"uniform"`, `"normal"` or `"fan_in"`, see `initial_weights.draw_`.
        init_scale: its scale.
        seed: of the initial weights, if no generator is given.
        generator: draws the initial weights.
        backend: `"auto"`, `"reference"` or `"compiled"`, see `kernels`.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind or outside its range.

    Differs from the authors' code, whose potentials in convolutions delay by the refractory time and whose
    post-derivative is truncated to an integer and carried from sample to sample.

    >>> SpikingConvLayer(1, 4, 5, threshold=5.0)(torch.zeros(6, 2, 1, 12, 12)).shape
    torch.Size([6, 2, 4, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        threshold: float,
        stride: int = 1,
        padding: int = 0,
        tau_m: float = 64.0,
        tau_s: float = 8.0,
        refractory: int = 2,
        init: Init = "uniform",
        init_scale: float = 1.0,
        seed: int = 0,
        generator: torch.Generator | None = None,
        backend: kernels.Backend = "auto",
    ) -> None:
        super().__init__(
            kernel_size,
            stride=stride,
            padding=padding,
            threshold=threshold,
            tau_m=tau_m,
            tau_s=tau_s,
            refractory=refractory,
            tolerance=0.0,
            backend=backend,
        )
        owner = type(self).__name__
        self.in_channels = checks.integer(owner, "in_channels", in_channels, at_least=1)
        self.out_channels = checks.integer(owner, "out_channels", out_channels, at_least=1)
        self.init: Any = checks.choice(owner, "init", init, INITS)
        self.init_scale = checks.number(owner, "init_scale", init_scale, above=0)
        self.weight = nn.Parameter(torch.empty(self.out_channels, self.in_channels, kernel_size, kernel_size))
        self.reset_parameters(as_generator(generator, seed))

    def output_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        """Return `(O, H', W')`.

        Raises:
            ValueError: inputs that are no (C, H, W) or too small.
        """
        sides = self._window_shape(features)
        if features[0] != self.in_channels:
            raise ValueError(f"SpikingConvLayer: expected {self.in_channels} channels, got {features[0]}.")
        return (self.out_channels, *sides)

    def synapses(self, features: tuple[int, ...]) -> ConvSynapses:
        """Return the connections from inputs of this shape."""
        return ConvSynapses(
            self.weight.detach(), self.neuron, tuple(features), self.stride, self.padding, backend=self.backend
        )

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw new initial weights."""
        draw_(self.weight, self.init, self.init_scale, self.threshold, generator)


class SpikingPoolLayer(WindowLayer):
    """Pooling by spiking neurons that sum their window with weights of 1, which are not trained.

    Args:
        kernel_size: side of the square window.
        threshold: membrane potential that a neuron must exceed to fire; 2 and 4 in the authors' MNIST net.
        stride: of the window; None for the side of the window.
        tau_m: membrane time constant in steps.
        tau_s: synaptic time constant in steps.
        refractory: steps after a spike in which the membrane stays at 0.
        backend: `"auto"`, `"reference"` or `"compiled"`, see `kernels`.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind or outside its range.

    With the published rule the gain of a neuron is 1 / kernel_size^2 in place of 1 / (threshold D), as in the
    authors' code; the adjoint stays exact.

    >>> spikes = torch.ones(20, 1, 3, 4, 4)
    >>> SpikingPoolLayer(2, threshold=2.0)(spikes).sum(0)[0, 0].tolist()
    [[6, 6], [6, 6]]
    """

    def __init__(
        self,
        kernel_size: int,
        *,
        threshold: float,
        stride: int | None = None,
        tau_m: float = 64.0,
        tau_s: float = 8.0,
        refractory: int = 2,
        backend: kernels.Backend = "auto",
    ) -> None:
        super().__init__(
            kernel_size,
            stride=kernel_size if stride is None else stride,
            padding=0,
            threshold=threshold,
            tau_m=tau_m,
            tau_s=tau_s,
            refractory=refractory,
            tolerance=0.0,
            backend=backend,
        )
        self.register_buffer("weight", torch.ones(1, 1, self.kernel_size, self.kernel_size))

    def output_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        """Return `(C, H', W')`.

        Raises:
            ValueError: inputs that are no (C, H, W) or too small.
        """
        return (features[0], *self._window_shape(features)) if features else self._window_shape(features)

    def synapses(self, features: tuple[int, ...]) -> ConvSynapses:
        """Return the connections from inputs of this shape."""
        channels = features[0]
        weight = self.weight.expand(channels, -1, -1, -1)
        return ConvSynapses(weight, self.neuron, tuple(features), self.stride, groups=channels, backend=self.backend)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Do nothing: there is nothing to draw."""

    def fixed_gain(self, kind: Kind) -> float | None:
        """Return 1 / kernel_size^2 for the published rule."""
        return 1 / self.kernel_size**2 if kind == "published" else None
