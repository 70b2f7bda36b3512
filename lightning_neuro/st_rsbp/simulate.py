"""Leaky integrate-and-fire neurons with a first-order synapse, step by step in plain torch: the reference.

| here | paper | meaning |
|---|---|---|
| `threshold` | nu | membrane potential above which a neuron fires |
| `tau_m`, `tau_s` | tau_m, tau_s | time constants of membrane and synapse, in steps |
| `refractory` | | steps after a spike in which the membrane is held at 0 |
| trace | Q | membrane response of a neuron that never fires, to one presynaptic train of weight 1 |

Tensors are time-first, `(T, B, neurons)`: T steps, batch of B. `kernels` holds the fast forms.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.st_rsbp.exactness import exact

# Numbers that one operation makes at a time: enough to be worth a call, and few beside what must be kept.
CHUNK_ELEMENTS, CHUNK_ELEMENTS_ON_GPU = 1 << 22, 1 << 26


@dataclass(frozen=True)
class Neuron:
    """Constants of a layer of neurons; times are in steps.

    Args:
        threshold: a neuron fires when its membrane exceeds `threshold - tolerance`.
        tau_m: membrane time constant.
        tau_s: synapse time constant.
        refractory: steps after a spike in which the membrane stays at 0.
        tolerance: forgives rounding in sums that should meet the threshold; 0 for the published convolution layers.

    Raises:
        TypeError: a constant is not a number.
        ValueError: a constant is out of range.

    >>> Neuron(threshold=5.0).membrane_decay
    0.984375
    >>> Neuron(tau_m=0.5)
    Traceback (most recent call last):
    ValueError: Neuron: tau_m must be at least 1, got 0.5.
    """

    threshold: float = 10.0
    tau_m: float = 64.0
    tau_s: float = 8.0
    refractory: int = 2
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        checks.number("Neuron", "tolerance", self.tolerance, at_least=0)
        checks.number("Neuron", "threshold", self.threshold, above=self.tolerance)
        checks.number("Neuron", "tau_m", self.tau_m, at_least=1)
        checks.number("Neuron", "tau_s", self.tau_s, at_least=1)
        checks.integer("Neuron", "refractory", self.refractory, at_least=0)

    @property
    def membrane_decay(self) -> float:
        """Factor of the membrane potential per step, `1 - 1/tau_m`."""
        return 1 - 1 / self.tau_m

    @property
    def synapse_decay(self) -> float:
        """Factor of the synaptic current per step, `1 - 1/tau_s`."""
        return 1 - 1 / self.tau_s

    @property
    def fires_above(self) -> float:
        """Membrane potential that must be exceeded."""
        return self.threshold - self.tolerance


def chunk_elements(device: torch.device) -> int:
    """Return how many numbers one operation may make at a time on a device."""
    return CHUNK_ELEMENTS if device.type == "cpu" else CHUNK_ELEMENTS_ON_GPU


@exact
def spikes_from_current(current: Tensor, neuron: Neuron, recurrent: Tensor | None = None) -> Tensor:
    """Return the spikes of neurons that receive a given input.

    Per step `v <- v (1 - 1/tau_m)`, `p <- p (1 - 1/tau_s) + input`, `v <- v + p / tau_s`; `v <- 0` while refractory;
    a spike where `v > threshold - tolerance`, and then `v <- 0`. `p` is not reset. Step 0 never fires.

    Args:
        current: `(T, B, N)`; what arrives at step t stands at index t, see `weighted_input`. Index 0 is not read.
        neuron: constants.
        recurrent: `(N, N)` from column to row, with a delay of one step; None for no recurrence.

    Returns:
        bool `(T, B, N)`.

    >>> spikes_from_current(torch.full((40, 1, 1), 1.0), Neuron(threshold=3.0)).nonzero()[:, 0].tolist()
    [8, 14, 20, 26, 32, 38]
    """
    spikes = torch.zeros(current.shape, dtype=torch.bool, device=current.device)
    membrane, synapse, share = (torch.zeros_like(current[0]) for _ in range(3))
    for step in range(1, len(current)):
        arriving = current[step]
        if recurrent is not None:
            arriving = torch.addmm(arriving, spikes[step - 1].to(current.dtype), recurrent.T)
        membrane *= neuron.membrane_decay
        synapse.mul_(neuron.synapse_decay).add_(arriving)
        membrane += torch.mul(synapse, 1 / neuron.tau_s, out=share)
        if neuron.refractory:
            membrane.masked_fill_(spikes[max(step - neuron.refractory, 0) : step].any(0), 0)
        torch.gt(membrane, neuron.fires_above, out=spikes[step])
        membrane.masked_fill_(spikes[step], 0)
    return spikes


@exact
def weighted_input(inputs: Tensor, weight: Tensor) -> Tensor:
    """Return what input spikes deliver to each neuron, one step after they were fired.

    `current[t] = W x[t - 1]`, and 0 at t = 0. Spikes become numbers a few steps at a time, which bounds the memory.

    Args:
        inputs: bool `(T, B, M)`.
        weight: `(N, M)`.

    Returns:
        `(T, B, N)` in the type of `weight`.

    >>> spikes = torch.tensor([True, False, True]).reshape(3, 1, 1)
    >>> weighted_input(spikes, torch.tensor([[2.0]])).flatten().tolist()
    [0.0, 2.0, 0.0]
    """
    steps, batch, _ = inputs.shape
    current = torch.empty(steps, batch, len(weight), dtype=weight.dtype, device=weight.device)
    current[:1] = 0
    piece = max(1, chunk_elements(inputs.device) // max(1, inputs[:1].numel()))
    for start in range(0, steps - 1, piece):
        stop = min(start + piece, steps - 1)
        torch.matmul(inputs[start:stop].to(weight.dtype), weight.T, out=current[start + 1 : stop + 1])
    return current


@exact
def trace(spikes: Tensor, tau_m: float, tau_s: float, dtype: torch.dtype | None = None) -> Tensor:
    """Return the free trace Q: the membrane that a train alone, at weight 1, would cause if nothing fired.

    `p[t] = (1 - 1/tau_s) p[t-1] + x[t-1]`, `Q[t] = (1 - 1/tau_m) Q[t-1] + p[t] / tau_s`. One spike has area `tau_m`.

    Args:
        spikes: bool `(T, B, M)`.
        tau_m: membrane time constant, steps.
        tau_s: synapse time constant, steps.
        dtype: of the result; torch's default type if None.

    Returns:
        `(T, B, M)`, 0 at step 0.

    >>> one = torch.tensor([True] + 3 * [False]).reshape(4, 1, 1)
    >>> trace(one, tau_m=4.0, tau_s=2.0, dtype=torch.float64).flatten().tolist()
    [0.0, 0.5, 0.625, 0.59375]
    """
    dtype = dtype or torch.get_default_dtype()
    traces = torch.zeros(spikes.shape, dtype=dtype, device=spikes.device)
    synapse, share = torch.zeros_like(traces[0]), torch.zeros_like(traces[0])
    for step in range(1, len(spikes)):
        synapse.mul_(1 - 1 / tau_s).add_(spikes[step - 1])
        torch.mul(synapse, 1 / tau_s, out=share)
        torch.mul(traces[step - 1], 1 - 1 / tau_m, out=traces[step]).add_(share)
    return traces
