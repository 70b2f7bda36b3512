"""Spike-timing-dependent plasticity in steps of time: before pays, after costs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks
from lightning_neuro.reservoir.rules.rule import Activity, Memory, Plastic, StepRule
from lightning_neuro.reservoir.rules.synapses import Synapses

Array = npt.NDArray[np.float64]


def stdp(synapses: Synapses, before: Array, after: Array) -> Array:
    """Return `x_i(t+1) x_j(t) - x_i(t) x_j(t+1)` at each synapse from j to i.

    Args:
        synapses: the weights, S of them, among N units.
        before: x(t), `(B, N)`.
        after: x(t + 1), `(B, N)`.

    Returns:
        `(S,)`, averaged over B.

    >>> both_ways = Synapses([[0.0, 1.0], [1.0, 0.0]])
    >>> stdp(both_ways, np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))  # unit 0 fires, then unit 1
    array([-1.,  1.])
    """
    return synapses.products(after, before) - synapses.products(before, after)


@dataclass(frozen=True)
class STDP(StepRule):
    """`W_ij += learning_rate (x_i(t+1) x_j(t) - x_i(t) x_j(t+1))`.

    Args:
        learning_rate: of the weights.
        bounds: weights stay between these two, as (0, 1) in the self-organising network of Lazar, Pipa and Triesch
            2009; None for weights of either sign.

    Raises:
        ValueError: `learning_rate` is not above 0, or the bounds are in the wrong order.

    >>> from lightning_neuro import SelfOrganizingReservoir
    >>> node = SelfOrganizingReservoir(W=np.eye(2, k=-1) / 2, Win=np.eye(2), rules=[STDP(0.1)], activation="identity")
    >>> _ = node.adapt(np.array([[1.0, 0.0], [0.0, 1.0]]))  # unit 0 fires, then unit 1, of 0.5 from there and 1
    >>> round(float(node.W[1, 0]), 4)
    0.65
    """

    learning_rate: float = 1e-3
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        checks.number("STDP", "learning_rate", self.learning_rate, above=0)
        if self.bounds is not None:
            low, high = self.bounds
            checks.number("STDP", "the upper bound", high, at_least=checks.number("STDP", "the lower bound", low))

    def step_(self, plastic: Plastic, activity: Activity, memory: Memory) -> None:
        """Move weights, in place."""
        weights = plastic.synapses.weights
        weights += self.learning_rate * stdp(plastic.synapses, activity.before, activity.after)
        if self.bounds is not None:
            np.clip(weights, *self.bounds, out=weights)
