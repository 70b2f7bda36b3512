"""How the spike-train potential depends on the number of spikes of the neuron that receives it.

Symbols: `e(n, o)`, the potential that n pre spikes leave behind o post spikes; `f(o) = e(n, o) / n`; T, steps;
k = T / tau_m; R, refractory steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from lightning_neuro.st_rsbp.potential import reset_coefficients
from lightning_neuro.st_rsbp.simulate import Neuron, trace

SAMPLES = 512
COUNTS = 28
DEGREE = 4
Curve: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Response:
    """The curve `f(o) = o / (o + k) (1 - R o / T) c(o)`, its slope and its elasticity.

    Args:
        steps: T.
        tau_m: membrane time constant in steps.
        refractory: R, in steps.
        correction: coefficients of the polynomial c in log(1 + o), lowest first; 1 for the closed form.

    The closed form is within 6 % of simulation from T = 5 tau_m on, and a third too high for single spikes at
    T = 1.5 tau_m; `simulated` fits the correction. A fitted curve is straight between no spike and one.

    >>> f = Response(steps=400, tau_m=64.0, refractory=2)
    >>> round(f.value(torch.tensor(10.0)).item(), 3), round(f.slope(torch.tensor(10.0)).item(), 4)
    (0.585, 0.0194)
    """

    steps: int
    tau_m: float
    refractory: int
    correction: tuple[float, ...] = (1.0,)

    def value(self, counts: Tensor) -> Tensor:
        """Return f at `counts`, any shape; counts beyond T / (R + 1), which no neuron fires, are taken for that."""
        counts = self._possible(counts)
        if not self._fitted:
            return self._closed(counts)
        from_one = counts.clamp_min(1)
        return counts.clamp_max(1) * self._closed(from_one) * self._correction(from_one)[0]

    def slope(self, counts: Tensor) -> Tensor:
        """Return df/do at `counts`."""
        counts = self._possible(counts)
        return self._straight_below_one(counts, self._slope, self.value)

    def _slope(self, counts: Tensor) -> Tensor:
        half, usable = self.steps / self.tau_m, 1 - self.refractory * counts / self.steps
        closed_slope = half / (counts + half).square() * usable
        closed_slope = closed_slope - self.refractory / self.steps * counts / (counts + half)
        factor, factor_slope = self._correction(counts)
        return closed_slope * factor + self._closed(counts) * factor_slope

    def elasticity(self, counts: Tensor) -> Tensor:
        """Return `o f'(o) / f(o)`, 1 at o = 0."""
        counts = self._possible(counts)
        return self._straight_below_one(counts, self._elasticity, torch.ones_like)

    @property
    def _fitted(self) -> bool:
        return len(self.correction) > 1

    def _straight_below_one(self, counts: Tensor, formula: Curve, below: Curve) -> Tensor:
        """Return `formula`, and below one spike, where nothing was simulated for the fit, what `below` says at one."""
        if not self._fitted:
            return formula(counts)
        from_one = counts.clamp_min(1)
        return torch.where(counts < 1, below(from_one), formula(from_one))

    def _elasticity(self, counts: Tensor) -> Tensor:
        half, lost = self.steps / self.tau_m, self.refractory * counts / self.steps
        factor, factor_slope = self._correction(counts)
        return half / (counts + half) - lost / (1 - lost) + counts * factor_slope / factor

    def _possible(self, counts: Tensor) -> Tensor:
        return counts.clamp_max(self.steps / (self.refractory + 1))

    def _closed(self, counts: Tensor) -> Tensor:
        return counts / (counts + self.steps / self.tau_m) * (1 - self.refractory * counts / self.steps)

    def _correction(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return c and dc/do by Horner's scheme."""
        level = torch.log1p(counts)
        value, slope = torch.zeros_like(level), torch.zeros_like(level)
        for coefficient in reversed(self.correction):
            slope = slope * level + value
            value = value * level + coefficient
        return value, slope / (1 + counts)


def simulated(steps: int, tau_m: float, tau_s: float, refractory: int, seed: int = 0) -> Response:
    """Return a response fitted to random trains: a smooth correction of the closed form.

    >>> f = simulated(100, 64.0, 8.0, 2)
    >>> closed = Response(100, 64.0, 2)
    >>> round((closed.value(torch.ones(1)) / f.value(torch.ones(1))).item(), 1)
    1.4
    """
    generator = torch.Generator().manual_seed(seed)
    counts = _counts(steps, refractory)
    neuron = Neuron(tau_m=tau_m, tau_s=tau_s, refractory=refractory)
    values = torch.stack([mean_potential(int(count), steps, neuron, SAMPLES, generator) for count in counts.tolist()])
    ratio = values / Response(steps, tau_m, refractory).value(counts)
    powers = torch.log1p(counts)[:, None] ** torch.arange(min(DEGREE, len(counts) - 1) + 1)
    fitted = torch.linalg.lstsq(powers, ratio[:, None]).solution[:, 0]
    # BLAS adds in an order that depends on where memory happens to lie: the last digits change from call to call.
    return Response(steps, tau_m, refractory, tuple(round(coefficient, 9) for coefficient in fitted.tolist()))


def mean_potential(count: int, steps: int, neuron: Neuron, samples: int, generator: torch.Generator) -> Tensor:
    """Return f(count), averaged over random post trains and exactly over uniformly placed pre spikes.

    `f = E[sum_t A[t] H[t]] / T`, with H the trace of a neuron that spikes at every step.

    >>> generator = torch.Generator().manual_seed(0)
    >>> round(mean_potential(10, 400, Neuron(tau_m=64.0, refractory=2), 500, generator).item(), 2)
    0.57
    """
    spikes = random_trains(count, steps, neuron.refractory, samples, generator)
    every_step = torch.ones(steps, 1, 1, dtype=torch.bool)
    cumulative = trace(every_step, neuron.tau_m, neuron.tau_s, dtype=torch.float64).flatten()
    coefficients = reset_coefficients(spikes.T[:, None], neuron.tau_m, neuron.refractory, dtype=torch.float64)
    return (cumulative @ coefficients[:, 0]).mean() / steps


def random_trains(count: int, steps: int, refractory: int, samples: int, generator: torch.Generator) -> Tensor:
    """Return spike trains (samples, T), uniform among those with `count` spikes more than R steps apart, none at t=0.

    >>> trains = random_trains(3, 20, 2, 5, torch.Generator().manual_seed(0))
    >>> trains.sum(1).tolist()
    [3, 3, 3, 3, 3]
    """
    slots = steps - 1 - (count - 1) * refractory
    if count < 1 or slots < count:
        raise ValueError(
            f"random_trains: {count} spikes do not fit into {steps} steps at a refractory time of {refractory}."
        )
    chosen = torch.rand(samples, slots, generator=generator).topk(count).indices.sort(1).values
    times = 1 + chosen + refractory * torch.arange(count)
    return torch.zeros(samples, steps, dtype=torch.bool).scatter_(1, times, True)


def _counts(steps: int, refractory: int) -> Tensor:
    most = max(1, (steps - 1 + refractory) // (refractory + 1))
    return torch.logspace(0, torch.tensor(float(most)).log10().item(), COUNTS, dtype=torch.float64).round().unique()
