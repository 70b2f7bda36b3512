"""Nets of one recurrent layer, as each library writes them, and one optimisation step of each.

All have M inputs, N recurrent neurons and K outputs, the time constants of a membrane (64 steps) and, where the library
has one, of a synapse (8 steps). Weights are scaled until layers fire at the same rate in every library.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from snntorch import Leaky, RLeaky, RSynaptic, Synaptic
from snntorch.surrogate import fast_sigmoid
from torch import Tensor, nn
from torch.optim import Adam

from lightning_neuro.st_rsbp import CountLoss, GradientRule, RecurrentSpikingLayer, SpikingLayer, SpikingNetwork
from lightning_neuro.st_rsbp.rule import Kind

TAU_M, TAU_S = 64.0, 8.0
INPUT_RATE, HIDDEN_RATE = 0.05, 0.045
# So low that rates stay where they are while steps are timed.
LEARNING_RATE = 1e-6


@dataclass(frozen=True)
class Size:
    """B, T, M, N and K."""

    batch: int
    steps: int
    inputs: int
    neurons: int
    classes: int

    def __str__(self) -> str:
        """Return the numbers, for a title."""
        return f"{self.batch}, {self.steps}, {self.inputs}, {self.neurons}, {self.classes}"


class Contender(ABC):
    """A net with its optimizer and a batch of random spikes.

    Args:
        net: whose readout's weights are under `readout`.
        size: of the batch.
        device: where it works.
    """

    def __init__(self, net: nn.Module, size: Size, device: str) -> None:
        generator = torch.Generator().manual_seed(0)
        shape = size.steps, size.batch, size.inputs
        self.inputs = (torch.rand(shape, generator=generator) < INPUT_RATE).to(device)
        self.labels = torch.randint(size.classes, (size.batch,), generator=generator).to(device)
        self.net = net.to(device)
        for weights, layer in zip(self._weights(), (0, 1), strict=True):
            self._settle_(weights, layer)
        self.optimizer = Adam(self.net.parameters(), lr=LEARNING_RATE)

    def step(self) -> None:
        """Forward, backward and a step of Adam."""
        self.optimizer.zero_grad()
        self.gradients()
        self.optimizer.step()

    @abstractmethod
    def gradients(self) -> None:
        """Forward and backward."""

    @abstractmethod
    def rates(self, inputs: Tensor) -> tuple[float, float]:
        """Return the spikes per neuron and step of the hidden layer and of the output."""

    def _weights(self) -> tuple[list[Tensor], list[Tensor]]:
        named = list(self.net.named_parameters())
        return [p.data for n, p in named if "readout" not in n], [p.data for n, p in named if "readout" in n]

    def _settle_(self, weights: list[Tensor], layer: int) -> None:
        """Scale a layer's weights until it fires at `HIDDEN_RATE`, by bisection on a few samples."""
        own, inputs = [weight.clone() for weight in weights], self.inputs[:, :4]
        low, high = math.log(1e-3), math.log(1e3)
        for _ in range(11):
            middle = (low + high) / 2
            for weight, first in zip(weights, own, strict=True):
                weight.copy_(first * math.exp(middle))
            low, high = (low, middle) if self.rates(inputs)[layer] > HIDDEN_RATE else (middle, high)


class SpikeTrainLevel(Contender):
    """ST-RSBP."""

    def __init__(self, kind: Kind, size: Size, device: str) -> None:
        net = nn.Sequential()
        hidden = RecurrentSpikingLayer(size.inputs, size.neurons, threshold=10.0, tau_m=TAU_M, tau_s=TAU_S, seed=0)
        net.add_module("hidden", hidden)
        net.add_module("readout", SpikingLayer(size.neurons, size.classes, threshold=8.0, tau_m=TAU_M, tau_s=TAU_S))
        self.spiking = SpikingNetwork(*net)
        # No margin: every output neuron is off its count, so that no work is saved by an error of zero.
        self.loss = CountLoss(desired_count=0.15 * size.steps, undesired_count=0.02 * size.steps, margin=0)
        self.rule = GradientRule(kind=kind)
        super().__init__(net, size, device)

    def gradients(self) -> None:
        """Forward and backward at spike-train level."""
        self.spiking(self.inputs)
        self.spiking.backward(self.labels, loss=self.loss, rule=self.rule)

    def rates(self, inputs: Tensor) -> tuple[float, float]:
        """See `Contender`."""
        self.spiking.eval()(inputs)
        self.spiking.train()
        hidden, output = self.spiking.rates().values()
        return hidden.item(), output.item()


class ThroughTime(Contender):
    """Backpropagation through time by autograd, with cross-entropy of the output counts.

    Args:
        net: returns spikes of the hidden layer `(T, B, N)` and of the output `(T, B, K)`.
        size: of the batch.
        device: where it works.
    """

    def __init__(self, net: nn.Module, size: Size, device: str) -> None:
        super().__init__(net, size, device)
        self.inputs = self.inputs.float()

    def gradients(self) -> None:
        """Forward and backward through time."""
        _, output = self.net(self.inputs)
        nn.functional.cross_entropy(output.sum(0), self.labels).backward()

    @torch.no_grad()
    def rates(self, inputs: Tensor) -> tuple[float, float]:
        """See `Contender`."""
        hidden, output = self.net(inputs.float())
        return hidden.mean().item(), output.mean().item()


class SnnTorchNet(nn.Module):
    """snnTorch, with the resets by subtraction of its defaults: resets to zero evaluate each neuron twice.

    Args:
        synaptic: with a first-order synapse (`RSynaptic`, `Synaptic`) or without (`RLeaky`, `Leaky`).
        size: of the net.
    """

    def __init__(self, synaptic: bool, size: Size) -> None:
        super().__init__()
        options: dict[str, Any] = {"beta": 1 - 1 / TAU_M, "spike_grad": fast_sigmoid()}
        if synaptic:
            options["alpha"] = 1 - 1 / TAU_S
        recurrent, plain = (RSynaptic, Synaptic) if synaptic else (RLeaky, Leaky)
        self.states = 2 if synaptic else 1
        self.weight = nn.Linear(size.inputs, size.neurons, bias=False)
        self.neurons = recurrent(linear_features=size.neurons, **options)
        self.readout = nn.Linear(size.neurons, size.classes, bias=False)
        self.output = plain(**options)

    def forward(self, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the spikes of both layers; currents of all steps are one product."""
        hidden = self._layer(self.neurons, self.weight(spikes), kept=0)
        return hidden, self._layer(self.output, self.readout(hidden), kept=1)

    def _layer(self, neurons: nn.Module, currents: Tensor, kept: int) -> Tensor:
        """Return spikes; a recurrent layer also takes those of the last step, `kept` from 0."""
        state, spikes = (torch.zeros_like(currents[0]),) * (self.states + 1 - kept), []
        for current in currents:
            returned = neurons(current, *state)
            spikes.append(returned[0])
            state = returned[kept:]
        return torch.stack(spikes)


class SpikingJellyNet(nn.Module):
    """spikingjelly: neurons with the synapse as a decaying current, and a product for what they tell each other."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        from spikingjelly.activation_based import functional, neuron

        options = {"c_decay": 1 - 1 / TAU_S, "v_decay": 1 - 1 / TAU_M}
        self.silence: Callable[[nn.Module], None] = functional.reset_net
        self.weight = nn.Linear(size.inputs, size.neurons, bias=False)
        self.recurrent = nn.Linear(size.neurons, size.neurons, bias=False)
        self.neurons = neuron.CUBALIFNode(**options)
        self.readout = nn.Linear(size.neurons, size.classes, bias=False)
        self.output = neuron.CUBALIFNode(**options)
        self.output.step_mode = "m"

    def forward(self, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the spikes of both layers."""
        self.silence(self)
        currents, hidden = self.weight(spikes), []
        fired = torch.zeros_like(currents[0])
        for current in currents:
            fired = self.neurons(current + self.recurrent(fired))
            hidden.append(fired)
        together = torch.stack(hidden)
        return together, self.output(self.readout(together))


class NorseNet(nn.Module):
    """norse: its own recurrent layer, whose time constants are in seconds and steps a millisecond."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        from norse.torch import LIF, LIFParameters, LIFRecurrent

        constants = LIFParameters(tau_syn_inv=torch.tensor(1e3 / TAU_S), tau_mem_inv=torch.tensor(1e3 / TAU_M))
        self.neurons = LIFRecurrent(size.inputs, size.neurons, p=constants)
        self.readout = nn.Linear(size.neurons, size.classes, bias=False)
        self.output = LIF(p=constants)

    def forward(self, spikes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the spikes of both layers."""
        hidden = self.neurons(spikes)[0]
        return hidden, self.output(self.readout(hidden))[0]


Maker = Callable[[Size, str], Contender]
BPTT, ADJOINT, PUBLISHED = "snnTorch RSynaptic", "ST-RSBP adjoint", "ST-RSBP published"
CONTENDERS: dict[str, Maker] = {
    BPTT: lambda size, device: ThroughTime(SnnTorchNet(True, size), size, device),
    ADJOINT: lambda size, device: SpikeTrainLevel("adjoint", size, device),
    PUBLISHED: lambda size, device: SpikeTrainLevel("published", size, device),
    "snnTorch RLeaky": lambda size, device: ThroughTime(SnnTorchNet(False, size), size, device),
    "spikingjelly CUBALIFNode": lambda size, device: ThroughTime(SpikingJellyNet(size), size, device),
    "norse LIFRecurrent": lambda size, device: ThroughTime(NorseNet(size), size, device),
}


def contender(name: str, size: Size, device: str = "cpu") -> Contender:
    """Return a contender with its usual first weights."""
    with torch.random.fork_rng():  # libraries draw first weights from torch's own generator
        torch.manual_seed(0)
        return CONTENDERS[name](size, device)


def active(made: Contender) -> int:
    """Return how many neurons of the recurrent layer of ST-RSBP fire at all in a sample, on average."""
    hidden = made.net.get_submodule("hidden")(made.inputs)
    return max(1, round(hidden.any(0).sum(1).double().mean().item()))


def missing() -> dict[str, str]:
    """Return why contenders cannot take part, by name."""
    reasons = {}
    for name in CONTENDERS:
        try:
            contender(name, Size(1, 3, 2, 2, 2))
        except ImportError as error:
            reasons[name] = f"{type(error).__name__}: {error}"
    return reasons
