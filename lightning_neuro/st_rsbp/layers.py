"""Fully connected spiking layers, feed-forward and recurrent."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.st_rsbp import kernels
from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.connectivity import (
    Connectivity,
    DenseConnectivity,
    RandomConnectivity,
    ReservoirConnectivity,
)
from lightning_neuro.st_rsbp.initial_weights import INITS, Init, as_generator, draw_
from lightning_neuro.st_rsbp.lateral import lateral_weight
from lightning_neuro.st_rsbp.neuron_layer import NeuronLayer
from lightning_neuro.st_rsbp.synapses import DenseSynapses


class DenseNeuronLayer(NeuronLayer):
    """Neurons that hear every input; abstract."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        init: Init,
        init_scale: float,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.in_features = checks.integer(owner, "in_features", in_features, at_least=1)
        self.out_features = checks.integer(owner, "out_features", out_features, at_least=1)
        self.init: Any = checks.choice(owner, "init", init, INITS)
        self.init_scale = checks.number(owner, "init_scale", init_scale, above=0)
        self.weight = nn.Parameter(torch.empty(self.out_features, self.in_features))

    def output_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        """Return `(N,)`; inputs of any shape are flattened.

        Raises:
            ValueError: inputs of another number of neurons.
        """
        size = torch.Size(features).numel()
        if size != self.in_features:
            raise ValueError(
                f"{type(self).__name__}: expected {self.in_features} input neurons, got {size}, features "
                f"{tuple(features)}."
            )
        return (self.out_features,)

    def synapses(self, features: tuple[int, ...]) -> DenseSynapses:
        """Return the connections from inputs of this shape."""
        return DenseSynapses(self.weight.detach(), self.neuron, tuple(features), self.backend)

    def simulate(self, inputs: Activity, *, with_trace: bool) -> Activity:
        """Return what the neurons fire, and keep its trace if that will be needed."""
        spikes, trace = kernels.dense_forward(
            inputs.spikes.flatten(2),
            self.weight.detach(),
            self.neuron,
            self._feedback(),
            with_trace=with_trace,
            backend=self.backend,
        )
        activity = Activity(spikes, self.weight.dtype, self.backend)
        if trace is not None:
            activity.keep_trace(self.neuron, trace)
        return activity

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw new initial weights."""
        draw_(self.weight, self.init, self.init_scale, self.threshold, generator)

    def extra_repr(self) -> str:
        """Return sizes and constants for printing."""
        return (
            f"{self.in_features}, {self.out_features}, threshold={self.threshold:g}, tau_m={self.tau_m:g}, "
            f"tau_s={self.tau_s:g}, refractory={self.refractory}"
        )

    def _feedback(self) -> Tensor | None:
        recurrent = self.recurrent
        if not self.lateral_inhibition:
            return recurrent
        lateral = lateral_weight(self.out_features, self.lateral_inhibition, self.weight)
        return lateral if recurrent is None else recurrent + lateral


class SpikingLayer(DenseNeuronLayer):
    """Fully connected feed-forward layer.

    Args:
        in_features: neurons or channels below, M.
        out_features: neurons, N.
        threshold: membrane potential above which a neuron fires.
        tau_m: membrane time constant in steps.
        tau_s: synaptic time constant in steps.
        refractory: steps after a spike in which the membrane stays at 0.
        lateral_inhibition: strength of the fixed inhibition between all neurons; 1 for the authors' output layers.
        init: `"uniform"`, `"normal"` or `"fan_in"`, see `initial_weights.draw_`.
        init_scale: its scale.
        seed: of the initial weights, if no generator is given.
        generator: draws the initial weights; share one between layers, or give each its own seed.
        backend: `"auto"`, `"reference"` or `"compiled"`, see `kernels`.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind or outside its range.

    >>> layer = SpikingLayer(3, 2, threshold=5.0)
    >>> layer(torch.zeros(10, 1, 3)).shape
    torch.Size([10, 1, 2])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        threshold: float,
        tau_m: float = 64.0,
        tau_s: float = 8.0,
        refractory: int = 2,
        lateral_inhibition: float = 0.0,
        init: Init = "uniform",
        init_scale: float = 1.0,
        seed: int = 0,
        generator: torch.Generator | None = None,
        backend: kernels.Backend = "auto",
    ) -> None:
        super().__init__(
            in_features,
            out_features,
            init=init,
            init_scale=init_scale,
            threshold=threshold,
            tau_m=tau_m,
            tau_s=tau_s,
            refractory=refractory,
            lateral_inhibition=lateral_inhibition,
            backend=backend,
        )
        self.reset_parameters(as_generator(generator, seed))


class RecurrentSpikingLayer(DenseNeuronLayer):
    """Fully connected layer whose neurons also hear each other, one step later.

    `recurrent_weight[i, p]` leads from p to i; where `recurrent_mask` is False there is no connection, and the weight
    stays 0.

    Args:
        in_features: neurons or channels below, M.
        out_features: neurons, N.
        threshold: membrane potential above which a neuron fires.
        connectivity: `"dense"`, `RandomConnectivity` or `ReservoirConnectivity`, or anything with their `draw`.
        tau_m: membrane time constant in steps.
        tau_s: synaptic time constant in steps.
        refractory: steps after a spike in which the membrane stays at 0.
        lateral_inhibition: strength of a fixed inhibition between all neurons, on top of the recurrent weights.
        init: `"uniform"`, `"normal"` or `"fan_in"`, see `initial_weights.draw_`; of both weights.
        init_scale: its scale.
        train_recurrent: False for a fixed reservoir.
        seed: of connections and initial weights, if no generator is given.
        generator: draws them; share one between layers, or give each its own seed.
        backend: `"auto"`, `"reference"` or `"compiled"`, see `kernels`.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind or outside its range.

    >>> from lightning_neuro.st_rsbp.connectivity import RandomConnectivity
    >>> layer = RecurrentSpikingLayer(3, 20, threshold=5.0, connectivity=RandomConnectivity(0.5))
    >>> bool((layer.recurrent_weight[~layer.recurrent_mask] == 0).all())
    True
    """

    recurrent_mask: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        threshold: float,
        connectivity: RandomConnectivity | ReservoirConnectivity | Connectivity | str = "dense",
        tau_m: float = 64.0,
        tau_s: float = 8.0,
        refractory: int = 2,
        lateral_inhibition: float = 0.0,
        init: Init = "uniform",
        init_scale: float = 1.0,
        train_recurrent: bool = True,
        seed: int = 0,
        generator: torch.Generator | None = None,
        backend: kernels.Backend = "auto",
    ) -> None:
        super().__init__(
            in_features,
            out_features,
            init=init,
            init_scale=init_scale,
            threshold=threshold,
            tau_m=tau_m,
            tau_s=tau_s,
            refractory=refractory,
            lateral_inhibition=lateral_inhibition,
            backend=backend,
        )
        self.connectivity = _connectivity(connectivity)
        shape = self.out_features, self.out_features
        self.recurrent_weight = nn.Parameter(torch.empty(shape), requires_grad=train_recurrent)
        self.register_buffer("recurrent_mask", torch.empty(shape, dtype=torch.bool))
        self.reset_parameters(as_generator(generator, seed))

    @property
    def recurrent(self) -> Tensor:
        """Recurrent weights `(N, N)`, without history."""
        return self.recurrent_weight.detach()

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw connections and initial weights anew."""
        super().reset_parameters(generator)
        topology = self.connectivity.draw(self.out_features, generator)
        draw_(self.recurrent_weight, self.init, self.init_scale, self.threshold, generator)
        weight = self.recurrent_weight.detach()
        if topology.dale and topology.inhibitory is not None:
            weight.copy_(torch.where(topology.inhibitory, -self.init_scale, self.init_scale).expand_as(weight))
        self.recurrent_mask.copy_(topology.mask)
        weight.mul_(self.recurrent_mask)

    def check_weights(self) -> None:
        """Raise if weights are of a type that the layer cannot work with, or lead where there is no connection."""
        super().check_weights()
        revived = int((self.recurrent * ~self.recurrent_mask).count_nonzero())
        if revived:
            raise ValueError(
                f"RecurrentSpikingLayer: {revived} recurrent weights lead where recurrent_mask has no connection. "
                "Something has written to them, such as an optimizer with noise or a rewiring rule: multiply "
                "recurrent_weight by recurrent_mask, or change the mask."
            )


def _connectivity(given: Connectivity | str) -> Connectivity:
    if isinstance(given, str):
        checks.choice("RecurrentSpikingLayer", "connectivity", given, ("dense",))
        return DenseConnectivity()
    if not callable(getattr(given, "draw", None)):
        raise TypeError(
            'RecurrentSpikingLayer: connectivity must be "dense", a RandomConnectivity or a ReservoirConnectivity, '
            f"got {given!r}."
        )
    return given
