"""Homeostasis: each unit returns to a set point by scaling what comes in, or by its threshold.

| kind | what is held | what moves |
|---|---|---|
| "rate" | running mean of the output's size, to `target` | incoming weights: `W_i *= 1 + eta (target - rate_i)` |
| "variance" | running variance of the output, to `target` | incoming weights: `W_i *= 1 + eta (target - variance_i)` |
| "flow" | the spectral radius, to `target` | incoming weights: `W_i *= 1 + eta (target^2 x_i(t)^2 - r_i^2)` |
| "threshold" | mean of the output, to `target` | shift: `b_i += eta (target - x_i)` |

"flow" follows Schubert and Gros 2021, where r is the recurrent part of the net input and the factor multiplies that
part alone; written from memory, not compared with the paper. It needs inputs that units do not share: 100 units with
inputs of their own go from radius 0.4 and from 1.6 to 0.95 for a target of 0.9; with one input for all they miss it by
up to a half. "threshold" is the intrinsic plasticity of SORN. "rate"
takes the size of an output, so that tanh units have one. "variance" as written here is ours.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks
from lightning_neuro.reservoir.rules.hebbian import slide
from lightning_neuro.reservoir.rules.rule import Activity, Memory, Plastic, StepRule

Array = npt.NDArray[np.float64]

Kind = Literal["rate", "variance", "flow", "threshold"]
KINDS: tuple[Kind, ...] = ("rate", "variance", "flow", "threshold")


def flow_error(before: Array, recurrent: Array, target: float) -> Array:
    """Return `target^2 x_i(t)^2 - r_i(t + 1)^2`, averaged over series: 0 on average where states neither grow nor fade.

    Args:
        before: x(t), `(B, N)`.
        recurrent: r, what units receive from the reservoir in the next step, gain included, `(B, N)`.
        target: spectral radius aimed at.

    >>> flow_error(np.array([[1.0, 2.0]]), np.array([[1.0, 1.0]]), 0.5)
    array([-0.75,  0.  ])
    """
    return np.mean((target * before) ** 2 - recurrent**2, axis=0)


@dataclass(frozen=True)
class Homeostasis(StepRule):
    """Hold one of the quantities above.

    Args:
        kind: "rate", "variance", "flow" or "threshold".
        target: the set point: a rate, a variance, a spectral radius, a mean output.
        learning_rate: eta.
        window: steps over which rate and variance average.

    Raises:
        ValueError: an unknown kind or a number out of range.

    >>> from lightning_neuro import SelfOrganizingReservoir
    >>> node = SelfOrganizingReservoir(20, [Homeostasis("threshold", 0.3, learning_rate=0.05)], seed=0)
    >>> _ = node.adapt(np.random.default_rng(0).uniform(-1, 1, (500, 1)))
    >>> round(float(node.run(np.zeros((100, 1)))[50:].mean()), 1)
    0.3
    """

    kind: Kind = "rate"
    target: float = 0.1
    learning_rate: float = 1e-3
    window: float = 100.0

    def __post_init__(self) -> None:
        checks.choice("Homeostasis", "kind", self.kind, KINDS)
        positive = None if self.kind == "threshold" else 0.0
        checks.number("Homeostasis", "target", self.target, above=positive)
        checks.number("Homeostasis", "learning_rate", self.learning_rate, above=0)
        checks.number("Homeostasis", "window", self.window, at_least=1)

    def start(self, units: int) -> Memory:
        """Return the running averages, `(N,)`."""
        start = self.target if self.kind in ("rate", "variance") else 0.0  # no error before anything was seen
        return {"held": np.full(units, start), "mean": np.zeros(units)}

    def step_(self, plastic: Plastic, activity: Activity, memory: Memory) -> None:
        """Scale incoming weights or move the shift, in place."""
        if self.kind == "threshold":
            plastic.shift += self.learning_rate * (self.target - activity.after.mean(axis=0))
            return
        if self.kind == "flow":
            error = flow_error(activity.before, plastic.gain * activity.recurrent, self.target)
        else:
            error = self.target - self._average(activity.after, memory)
        plastic.synapses.weights *= plastic.synapses.at_rows(1 + self.learning_rate * error)

    def _average(self, output: Array, memory: Memory) -> Array:
        if self.kind == "rate":
            memory["held"] = slide(memory["held"], abs(output), self.window)
        else:
            memory["mean"] = slide(memory["mean"], output, self.window)
            memory["held"] = slide(memory["held"], (output - memory["mean"]) ** 2, self.window)
        return memory["held"]
