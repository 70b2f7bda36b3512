"""Keep the size of the weights: each unit's incoming ones, or the spectral radius of all."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks
from lightning_neuro.reservoir.rules.rule import Activity, Memory, Plastic, StepRule
from lightning_neuro.reservoir.rules.synapses import Synapses
from lightning_neuro.reservoir.spectrum import spectral_radius

Array = npt.NDArray[np.float64]

Norm = Literal["l1", "l2", "spectral"]
NORMS: tuple[Norm, ...] = ("l1", "l2", "spectral")


def normalized(synapses: Synapses, norm: Norm = "l1", value: float = 1.0) -> Array:
    """Return the weights, scaled.

    Args:
        synapses: the weights, S of them.
        norm: "l1" and "l2" scale each unit's incoming weights so that the sum of their sizes, or the root of the sum
            of their squares, is `value`; "spectral" scales all so that the spectral radius is.
        value: what the norm becomes.

    Returns:
        `(S,)`. Units whose weights are all 0, and a matrix of spectral radius 0 (nilpotent), stay as they are.

    >>> normalized(Synapses([[1.0, -3.0], [0.0, 0.0]]), "l1", 2.0)
    array([ 0.5, -1.5])
    """
    weights = synapses.weights
    if norm == "spectral":
        radius = spectral_radius(synapses.dense())
        return weights * (value / radius) if radius > 0 else weights.copy()
    sizes = synapses.row_sums(abs(weights) if norm == "l1" else weights * weights)
    sizes = sizes if norm == "l1" else np.sqrt(sizes)
    factors = np.divide(value, sizes, out=np.ones_like(sizes), where=sizes > 0)
    return weights * synapses.at_rows(factors)


@dataclass(frozen=True)
class Normalize(StepRule):
    """Scale the weights after other rules have moved them.

    Args:
        norm: "l1", "l2" (each unit's incoming weights) or "spectral" (all at once).
        value: what the norm becomes.
        every: steps between two scalings. The spectral radius costs far more than a step: give it some hundred steps.

    Raises:
        ValueError: an unknown norm or a number out of range.

    >>> from lightning_neuro import SelfOrganizingReservoir
    >>> node = SelfOrganizingReservoir(20, [Normalize("l2", 0.7)], seed=0)
    >>> _ = node.adapt(np.ones((5, 1)))
    >>> sizes = np.linalg.norm(node.W.toarray(), axis=1)
    >>> sizes[sizes > 0].round(12).min()
    np.float64(0.7)
    """

    norm: Norm = "l2"
    value: float = 1.0
    every: int = 1

    def __post_init__(self) -> None:
        checks.choice("Normalize", "norm", self.norm, NORMS)
        checks.number("Normalize", "value", self.value, above=0)
        checks.integer("Normalize", "every", self.every, at_least=1)

    def start(self, units: int) -> Memory:
        """Return the count of steps."""
        return {"steps": 0}

    def step_(self, plastic: Plastic, activity: Activity, memory: Memory) -> None:
        """Scale weights, in place."""
        memory["steps"] += 1
        if memory["steps"] % self.every == 0:
            plastic.synapses.weights[:] = normalized(plastic.synapses, self.norm, self.value)
