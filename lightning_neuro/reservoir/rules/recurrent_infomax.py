"""Recurrent infomax: weights climb the information that a state holds about the next one.

    I(x(t); x(t+1)) = 1/2 ln|C(t)| + 1/2 ln|C(t+1)| - 1/2 ln|D|      (nats, states taken as Gaussian)
    objective       = I - mean_penalty * sum_i (mean_i - target_mean)^2

C are covariances of x(t) and x(t+1), D that of both together, `(2N, 2N)`. For stationary states this is
`ln|C| - 1/2 ln|D|`. The gradient goes back through a window of steps; covariances are running averages over windows,
so that fewer steps than units in a window do no harm.

After Tanaka, Kaneko and Aoyagi 2009, whose units are binary and stochastic; the formula is from memory. Differs: graded
units without noise of their own; observation noise of variance `noise_std^2` on both sides keeps the information
finite.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.reservoir.activation import known_activation
from lightning_neuro.reservoir.rules.rule import Circuit, EpochRule, Memory, Plastic
from lightning_neuro.reservoir.spectrum import spectral_radius

Array = npt.NDArray[np.float64]
Moments = tuple[Tensor, Tensor]

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "identity": lambda z: z,
    "softplus": torch.nn.functional.softplus,
    "relu": torch.relu,
}


def gaussian_information(joint: Tensor) -> Tensor:
    """Return the mutual information in nats of the two halves of a Gaussian vector.

    Args:
        joint: covariance `(2N, 2N)`, positive definite.

    >>> joint = torch.tensor([[1.0, 0.6], [0.6, 1.0]], dtype=torch.float64)
    >>> round(gaussian_information(joint).item(), 6)  # -1/2 ln(1 - 0.36)
    0.223144
    """
    units = len(joint) // 2
    first, second = torch.logdet(joint[:units, :units]), torch.logdet(joint[units:, units:])
    return (first + second - torch.logdet(joint)) / 2


def lagged_moments(states: Tensor) -> Moments:
    """Return mean `(2N,)` and second moments `(2N, 2N)` of pairs of successive states `(L, B, N)`.

    >>> mean, second = lagged_moments(torch.tensor([[[1.0]], [[3.0]]]))
    >>> mean.tolist(), second.tolist()
    ([1.0, 3.0], [[1.0, 3.0], [3.0, 9.0]])
    """
    pairs = torch.cat([states[:-1], states[1:]], dim=-1).flatten(0, 1)
    return pairs.mean(dim=0), pairs.T @ pairs / len(pairs)


@dataclass(frozen=True)
class RecurrentInfomax(EpochRule):
    """Ascend the objective above by gradients through windows of the series.

    Args:
        learning_rate: of existing recurrent weights; no step is longer than it.
        length: steps in a window; each window gives one ascent.
        target_mean: mean output that units are held to.
        mean_penalty: how strongly.
        noise_std: standard deviation of the observation noise.
        memory: share of the running moments that older windows keep, 0 to below 1.
        max_spectral_radius: weights are scaled back to it where gain times weights exceed it; None lets them grow.

    Raises:
        ValueError: a number out of range; when adapting: an activation without a derivative here, or no series as
            long as washout and a window.

    >>> RecurrentInfomax(length=1)
    Traceback (most recent call last):
    ValueError: RecurrentInfomax: length must be at least 2, got 1.
    """

    learning_rate: float = 0.1
    length: int = 100
    target_mean: float = 0.0
    mean_penalty: float = 1.0
    noise_std: float = 0.05
    memory: float = 0.9
    max_spectral_radius: float | None = None
    name: ClassVar[str] = "recurrent_infomax"

    def __post_init__(self) -> None:
        owner = type(self).__name__
        checks.number(owner, "learning_rate", self.learning_rate, above=0)
        checks.integer(owner, "length", self.length, at_least=2)
        checks.number(owner, "target_mean", self.target_mean)
        checks.number(owner, "mean_penalty", self.mean_penalty, at_least=0)
        checks.number(owner, "noise_std", self.noise_std, above=0)
        checks.number(owner, "memory", self.memory, at_least=0, below=1)
        if self.max_spectral_radius is not None:
            checks.number(owner, "max_spectral_radius", self.max_spectral_radius, above=0)

    def check(self, function: Callable[..., Any]) -> None:
        """Raise ValueError where there is no derivative of this activation."""
        known_activation("RecurrentInfomax", function)

    def epoch_(self, plastic: Plastic, circuit: Circuit, memory: Memory) -> dict[str, float]:
        """Climb once in each window of the series, in place; report the mean information over windows."""
        lengths = [len(series) for series in circuit.inputs]
        if max(lengths) < circuit.washout + self.length:
            raise ValueError(
                f"RecurrentInfomax: one series must have at least washout + length = {circuit.washout + self.length} "
                f"steps, got {max(lengths)}. Give a smaller length."
            )
        state = (torch.zeros(len(lengths), len(plastic.gain), dtype=torch.float64),) * 2
        values = []
        for start in range(0, max(lengths) - self.length + 1, self.length):
            count = sum(length >= start + self.length for length in lengths)
            weights = torch.tensor(plastic.synapses.weights, requires_grad=True)
            currents = torch.from_numpy(circuit.currents(start, start + self.length, count))
            states, state = _rollout(weights, plastic, circuit, currents, (state[0][:count], state[1][:count]))
            if start >= circuit.washout:
                values.append(self._climb_(weights, states, plastic, memory))
        return {self.name: float(np.mean(values))}

    def _climb_(self, weights: Tensor, states: Tensor, plastic: Plastic, memory: Memory) -> float:
        mean, second = lagged_moments(states)
        share = 0.0
        if "moments" in memory:
            share = self.memory
            old_mean, old_second = (torch.from_numpy(moment) for moment in memory["moments"])
            mean, second = torch.lerp(mean, old_mean, share), torch.lerp(second, old_second, share)
        noise = self.noise_std**2 * torch.eye(len(mean), dtype=mean.dtype)
        information = gaussian_information(second - torch.outer(mean, mean) + noise)
        scaled = information / (1 - share)  # older windows are constants, so that this one's gradient counts in full
        objective = scaled - self.mean_penalty * ((states.mean(dim=(0, 1)) - self.target_mean) ** 2).sum()
        (slope,) = torch.autograd.grad(objective, weights)
        memory["moments"] = (mean.detach().numpy(), second.detach().numpy())
        plastic.synapses.weights += self.learning_rate * (slope / slope.norm().clamp(min=1.0)).numpy()
        bound_(plastic, self.max_spectral_radius)
        return information.item()


def bound_(plastic: Plastic, radius: float | None) -> None:
    """Scale weights back, in place, where the spectral radius of gain times weights exceeds `radius`."""
    if radius is not None:
        found = spectral_radius(plastic.gain[:, None] * plastic.synapses.dense())
        if found > radius:
            plastic.synapses.weights *= radius / found


def _rollout(
    weights: Tensor, plastic: Plastic, circuit: Circuit, currents: Tensor, state: tuple[Tensor, Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return states `(L, B, N)` with their history of operations, and the last state and net input without."""
    synapses = plastic.synapses
    places = torch.from_numpy(synapses.rows), torch.from_numpy(synapses.columns.astype(np.int64))
    transposed = torch.zeros(synapses.shape, dtype=torch.float64).index_put(places, weights).T.contiguous()
    gain, shift = torch.from_numpy(plastic.gain), torch.from_numpy(plastic.shift)
    leak = torch.as_tensor(circuit.leak, dtype=torch.float64)
    function = _FUNCTIONS[known_activation("RecurrentInfomax", circuit.function).name]
    x, net = state
    states = []
    for current in currents:
        arriving = x @ transposed + current
        net = torch.lerp(net, arriving, leak) if circuit.leak_inside else arriving
        fired = function(gain * net + shift)
        x = fired if circuit.leak_inside else torch.lerp(x, fired, leak)
        states.append(x)
    return torch.stack(states), (x.detach(), net.detach())
