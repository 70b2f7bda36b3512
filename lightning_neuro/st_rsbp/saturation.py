"""Rates at which a further spike lowers the potential instead of raising it."""

import math
from collections.abc import Iterable

from torch import Tensor

from lightning_neuro.st_rsbp.simulate import Neuron


def saturating_rate(neuron: Neuron, steps: int) -> float:
    """Return the spikes per step at which `f(o) = o / (o + k) (1 - R o / T)` is largest, k = T / tau_m.

    Beyond it f' is negative: more spikes mean a smaller spike-train potential, and gradients say little.

    Args:
        neuron: constants tau_m and R of the layer.
        steps: T.

    Returns:
        A rate from 0 to 1; 1 without a refractory time, since f then grows for ever.

    >>> round(400 * saturating_rate(Neuron(tau_m=64.0, refractory=2), 400), 1)
    29.7
    """
    if not neuron.refractory:
        return 1.0
    k = steps / neuron.tau_m
    return (math.sqrt(k * k + k * steps / neuron.refractory) - k) / steps


# The closed form puts the peak up to a third too low where T is below tau_m; a warning should be certain.
MARGIN = 1.5


class SaturationWatch:
    """Says once of each layer that it fires well beyond the rate at which gradients mean something.

    >>> watch = SaturationWatch()
    >>> len(watch.news([Neuron()], [0.5], steps=400)), len(watch.news([Neuron()], [0.5], steps=400))
    (1, 0)
    """

    def __init__(self) -> None:
        self.told: set[int] = set()

    def news(self, neurons: Iterable[Neuron], rates: Iterable[float | Tensor], steps: int) -> list[str]:
        """Return a message for each layer that is found saturated for the first time.

        Args:
            neurons: constants of the layers.
            rates: spikes per neuron and step of the layers.
            steps: T.
        """
        messages = []
        for place, (neuron, rate) in enumerate(zip(neurons, rates, strict=True)):
            peak = saturating_rate(neuron, steps)
            if place not in self.told and rate > MARGIN * peak:
                self.told.add(place)
                messages.append(
                    f"layer {place} fires in {100 * float(rate):.0f} % of the steps; from about {100 * peak:.0f} % on "
                    "one spike more lowers its potential instead of raising it, so gradients say little. Raise its "
                    "threshold, scale its initial weights down, or give sparser inputs."
                )
        return messages
