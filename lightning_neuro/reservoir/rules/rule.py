"""What every rule of self-organisation is given, and what it may change.

| here | meaning |
|---|---|
| `Plastic` | what may change: recurrent synapses, gain `a` and shift `b` of each unit |
| `Activity` | one step of a batch of series |
| `StepRule` | changes something after every step |
| `EpochRule` | changes something once for all series, such as an ascent through time |
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from lightning_neuro.reservoir.activation import Activation
from lightning_neuro.reservoir.rules.synapses import Synapses

Array = npt.NDArray[np.float64]
Memory = dict[str, Any]
"""What a rule keeps between steps: arrays and numbers by name. Changed in place."""


@dataclass
class Plastic:
    """What rules change, in place.

    Attributes:
        synapses: recurrent weights.
        gain: `(N,)`, a of `f(a r + b)`.
        shift: `(N,)`, b.
    """

    synapses: Synapses
    gain: Array
    shift: Array


class Activity(NamedTuple):
    """One step of B series, each array `(B, N)`.

    Attributes:
        before: states x(t).
        after: states x(t + 1).
        net: r, what the gain multiplies.
        fired: `y = f(a r + b)`, before any leak is applied to it.
        recurrent: `W x(t)`, the part of the net input that comes from the reservoir.
        activation: f with its slopes, or None where they are not known.
    """

    before: Array
    after: Array
    net: Array
    fired: Array
    recurrent: Array
    activation: Activation | None


@dataclass(frozen=True)
class Circuit:
    """What stays fixed in an epoch.

    Attributes:
        inputs: u of each series, arrays `(T_b, K)`, the longest first.
        input_weights: `(N, K)`, dense or sparse.
        bias: a number or `(N,)`.
        leak: leak rate, a number or `(N,)`.
        function: the activation.
        leak_inside: whether units leak before the activation, as reservoirpy's `IPReservoir` does, or after it.
        washout: leading steps of each series that nothing is learned from.
    """

    inputs: Sequence[Array]
    input_weights: Any
    bias: Any
    leak: Any
    function: Callable[[Array], Array]
    leak_inside: bool = False
    washout: int = 0

    def currents(self, start: int, stop: int, count: int) -> Array:
        """Return `W_in u + bias` of the first `count` series from `start` to `stop`: `(stop - start, count, N)`."""
        window = np.stack([series[start:stop] for series in self.inputs[:count]], axis=1)
        flat = (self.input_weights @ window.reshape(-1, window.shape[-1]).T).T + self.bias
        return np.ascontiguousarray(flat).reshape(*window.shape[:2], -1)


class Rule:
    """What both kinds of rules have."""

    def check(self, function: Callable[..., Any]) -> None:
        """Raise ValueError where the rule cannot work with this activation function."""

    def start(self, units: int) -> Memory:
        """Return what the rule remembers before it first acts."""
        return {}


class StepRule(Rule, ABC):
    """A rule that acts after every step of the batch. Increments of several series are averaged."""

    @abstractmethod
    def step_(self, plastic: Plastic, activity: Activity, memory: Memory) -> None:
        """Change `plastic` and `memory` in place."""


class EpochRule(Rule, ABC):
    """A rule that looks at whole series and acts once an epoch."""

    name: ClassVar[str]

    @abstractmethod
    def epoch_(self, plastic: Plastic, circuit: Circuit, memory: Memory) -> dict[str, float]:
        """Change `plastic` and `memory` in place and return numbers for the history."""
