"""snnTorch neurons with a refractory time, which snnTorch's own do not have."""

from typing import Any

import torch
from snntorch import RSynaptic, Synaptic
from torch import Tensor

from lightning_neuro.common import checks


class RestingNeuron(torch.nn.Module):
    """What a neuron does while it rests; to be mixed into a neuron of snnTorch that is reset to zero; abstract.

    snnTorch applies a reset in the step after the spike, where it drops all that arrives at the membrane. Kept up for
    `refractory` steps, that is the refractory time of ST-RSBP.
    """

    refractory: int
    rest: Tensor
    mem: Tensor
    threshold: Tensor

    def mem_reset(self, mem: Tensor) -> Tensor:
        """Return 1 where the membrane is held at 0 in this step, given the membrane `(B, ...)` of the last one."""
        if self.rest.shape != mem.shape:
            self.rest = torch.zeros_like(mem)
        waiting = (self.rest - 1).clamp_min(0)
        self.rest = torch.where(mem > self.threshold, float(self.refractory), waiting).detach()
        return (self.rest > 0).to(mem.dtype)

    def _start_resting(self, refractory: int, *, at_least: int) -> None:
        self.refractory = checks.integer(type(self).__name__, "refractory", refractory, at_least=at_least)
        self.register_buffer("rest", torch.zeros(0), persistent=False)

    def extra_repr(self) -> str:
        """Return the refractory time for printing."""
        return f"refractory={self.refractory}"


class RefractorySynaptic(RestingNeuron, Synaptic):
    """`snntorch.Synaptic` with reset to zero, whose membrane stays at 0 for some steps after a spike.

    Call it as snnTorch's, with one more state: `spk, syn, rest, mem = neuron(x, syn, rest, mem)`; `rest` counts the
    steps that are left. Reset it with `reset_mem` or `lightning_neuro.spiking.reset_`.

    Args:
        alpha: factor of the synaptic current per step.
        beta: factor of the membrane per step.
        refractory: steps after a spike in which the membrane stays at 0; 1 is snnTorch's own neuron.
        options: of `snntorch.Synaptic`.

    Raises:
        TypeError, ValueError: `refractory` is no integer of at least 1.

    >>> neuron = RefractorySynaptic(alpha=0.0, beta=0.0, refractory=2, init_hidden=True)
    >>> [neuron(torch.full((1, 1), 1.5)).item() for _ in range(7)]
    [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    """

    def __init__(self, alpha: Any, beta: Any, *, refractory: int, **options: Any) -> None:
        Synaptic.__init__(self, alpha, beta, reset_mechanism="zero", **options)
        self._start_resting(refractory, at_least=1)

    def forward(
        self, input_: Tensor, syn: Tensor | None = None, rest: Tensor | None = None, mem: Tensor | None = None
    ) -> Any:
        """Return `spk`, or `(spk, syn, rest, mem)`, as `snntorch.Synaptic` does."""
        self.rest = self.rest if rest is None else rest
        result = Synaptic.forward(self, input_, syn, mem)
        return (*result[:2], self.rest, result[2]) if isinstance(result, tuple) else result

    def reset_mem(self) -> tuple[Tensor, ...]:
        """Set the state to 0 and return it."""
        self.rest = torch.zeros_like(self.rest)
        syn, mem = Synaptic.reset_mem(self)
        return syn, self.rest, mem


class RefractoryRSynaptic(RestingNeuron, RSynaptic):
    """`snntorch.RSynaptic` with reset to zero, whose membrane stays at 0 for some steps after a spike.

    Call it as snnTorch's, with one more state: `spk, syn, rest, mem = neuron(x, spk, syn, rest, mem)`.

    Args:
        alpha: factor of the synaptic current per step.
        beta: factor of the membrane per step.
        refractory: steps after a spike in which the membrane stays at 0; 1 is snnTorch's own neuron. With 0 the reset
            acts in the step of the spike, which `reset_delay=False` of snnTorch 1.0 does for `Synaptic` alone.
        options: of `snntorch.RSynaptic`.

    Raises:
        TypeError, ValueError: `refractory` is no integer of at least 0.

    >>> neuron = RefractoryRSynaptic(0.0, 0.0, refractory=0, linear_features=1, init_hidden=True)
    >>> with torch.no_grad():
    ...     _ = neuron.recurrent.weight.fill_(-1.0), neuron.recurrent.bias.zero_()
    ...     [neuron(torch.full((1, 1), 1.5)).item() for _ in range(5)]
    [1.0, 0.0, 1.0, 0.0, 1.0]
    """

    def __init__(self, alpha: Any, beta: Any, *, refractory: int, **options: Any) -> None:
        RSynaptic.__init__(self, alpha, beta, reset_mechanism="zero", **options)
        self._start_resting(refractory, at_least=0)

    def forward(
        self,
        input_: Tensor,
        spk: Tensor | None = None,
        syn: Tensor | None = None,
        rest: Tensor | None = None,
        mem: Tensor | None = None,
    ) -> Any:
        """Return `spk`, or `(spk, syn, rest, mem)`, as `snntorch.RSynaptic` does."""
        self.rest = self.rest if rest is None else rest
        result = RSynaptic.forward(self, input_, spk, syn, mem)
        if not self.refractory:
            self.mem = self.mem * (self.mem <= self.threshold)
        return (self.spk, self.syn, self.rest, self.mem) if isinstance(result, tuple) else result

    def reset_mem(self) -> tuple[Tensor, ...]:
        """Set the state to 0 and return it."""
        self.rest = torch.zeros_like(self.rest)
        spk, syn, mem = RSynaptic.reset_mem(self)
        return spk, syn, self.rest, mem
