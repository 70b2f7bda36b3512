"""What all layers of spiking neurons share."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.exactness import exact
from lightning_neuro.st_rsbp.input_checks import as_spikes
from lightning_neuro.st_rsbp.kernels import Backend
from lightning_neuro.st_rsbp.rule import Kind
from lightning_neuro.st_rsbp.simulate import Neuron
from lightning_neuro.st_rsbp.synapses import Synapses


class NeuronLayer(nn.Module, ABC):
    """Neurons with the same constants, and the connections into them.

    Args:
        threshold: membrane potential above which a neuron fires.
        tau_m: membrane time constant in steps.
        tau_s: synaptic time constant in steps.
        refractory: steps after a spike in which the membrane stays at 0.
        tolerance: how far below the threshold a neuron fires already.
        lateral_inhibition: strength of the fixed inhibition between all neurons of the layer.
        backend: `"auto"`, `"reference"` or `"compiled"`, see `kernels`.
    """

    weight: Tensor

    def __init__(
        self,
        *,
        threshold: float,
        tau_m: float,
        tau_s: float,
        refractory: int,
        tolerance: float = 1e-6,
        lateral_inhibition: float = 0.0,
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        self.threshold, self.tau_m, self.tau_s, self.refractory = threshold, tau_m, tau_s, refractory
        self.tolerance, self.backend = tolerance, backend
        owner = type(self).__name__
        self.lateral_inhibition = checks.number(owner, "lateral_inhibition", lateral_inhibition, at_least=0)
        checks.choice(owner, "backend", backend, ("auto", "reference", "compiled"))
        _ = self.neuron  # refuses constants out of range

    @property
    def neuron(self) -> Neuron:
        """The constants as one value."""
        return Neuron(self.threshold, self.tau_m, self.tau_s, self.refractory, self.tolerance)

    @property
    def recurrent(self) -> Tensor | None:
        """Trained recurrent weights `(N, N)`, or None."""
        return None

    @abstractmethod
    def output_shape(self, features: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the layer's neurons for inputs of one step and sample.

        Raises:
            ValueError: the layer cannot take such inputs.
        """

    @abstractmethod
    def synapses(self, features: tuple[int, ...]) -> Synapses:
        """Return the connections from inputs of this shape."""

    @abstractmethod
    def simulate(self, inputs: Activity, *, with_trace: bool) -> Activity:
        """Return what the neurons fire, and keep its trace if that will be needed."""

    @abstractmethod
    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw new initial weights."""

    def fixed_gain(self, kind: Kind) -> float | None:
        """Return a gain that stands in for 1 / (threshold D), or None."""
        return None

    def check_weights(self) -> None:
        """Raise if weights are of a type, or have values, that the layer cannot work with."""
        if self.weight.dtype not in (torch.float32, torch.float64):
            raise TypeError(
                f"{type(self).__name__}: weights must be float32 or float64, got {self.weight.dtype}: membranes in "
                "half precision miss spikes. Use precision 32, or mixed precision, which leaves weights as they are."
            )
        for name, weight in self.named_parameters(recurse=False):
            # A sum is one pass; it may also overflow, so what it says is looked at more closely.
            if not weight.detach().sum().isfinite() and not weight.isfinite().all():
                raise ValueError(
                    f"{type(self).__name__}: {name} holds NaN or infinite values. Go back to weights from before, and "
                    "train with a smaller learning rate or clipped gradients."
                )

    def forward(self, spikes: Tensor) -> Tensor:
        """Return the layer's spikes bool `(T, B, *neurons)` for input spikes `(T, B, *features)`.

        Raises:
            TypeError, ValueError: inputs or weights that the layer cannot take.
        """
        spikes = as_spikes(type(self).__name__, spikes)
        self.output_shape(spikes.shape[2:])
        self.check_weights()
        return self._spikes(spikes)

    @exact
    def _spikes(self, spikes: Tensor) -> Tensor:
        return self.simulate(Activity(spikes, self.weight.dtype, self.backend), with_trace=False).spikes
