"""Intrinsic plasticity: each unit learns the gain and shift with which its outputs follow a target distribution.

    y = f(z),  z = a r + b
    shift: db = learning_rate * (f''(z) / f'(z) + f'(z) s(y))
    gain:  da = learning_rate / a + db * r

One rule descends the divergence of the outputs' distribution from any target; s is the target's score.

| activation, target | the published rule it equals |
|---|---|
| tanh, Gaussian | Schrauwen, Wardermann, Verstraeten, Steil and Stroobandt 2008 |
| sigmoid, exponential | Triesch 2005 |
| sigmoid, Weibull | the family of Li 2011; from memory, not compared with the paper |
| tanh, Laplace | the family of Boedecker, Obst, Mayer and Asada 2009; from memory, not compared with the paper |
| any, uniform | Bell and Sejnowski's infomax of one unit |

A gain multiplies the recurrent weights too: the spectral radius changes, and memory may become better or worse.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from lightning_neuro.common import checks
from lightning_neuro.reservoir.activation import Activation, known_activation
from lightning_neuro.reservoir.rules.rule import Activity, Memory, Plastic, StepRule
from lightning_neuro.reservoir.rules.targets import (
    Density,
    Exponential,
    Gaussian,
    Laplace,
    Target,
    Uniform,
    Weibull,
)

Array = npt.NDArray[np.float64]

_BY_NAME: dict[str, type[Any]] = {
    "gaussian": Gaussian,
    "exponential": Exponential,
    "laplace": Laplace,
    "weibull": Weibull,
    "uniform": Uniform,
}


def gain_and_shift_gradients(
    net: Array, output: Array, gain: Array, activation: Activation, target: Target
) -> tuple[Array, Array]:
    """Return the changes of gain and shift for a learning rate of 1.

    Args:
        net: r, `(B, N)`.
        output: `y = f(a r + b)`, `(B, N)`.
        gain: a, `(N,)`.
        activation: f.
        target: what outputs should follow.

    Returns:
        `(N,)` each, averaged over B.

    >>> tanh = known_activation("doctest", "tanh")
    >>> output = np.array([[0.5]])
    >>> gain_and_shift_gradients(np.array([[2.0]]), output, np.ones(1), tanh, Gaussian(0.0, 1.0))
    (array([-1.75]), array([-1.375]))
    """
    shifts = activation.bend(output) + activation.slope(output) * target.score(output)
    if len(net) == 1:
        return 1 / gain + shifts[0] * net[0], shifts[0]
    return 1 / gain + np.mean(shifts * net, axis=0), shifts.mean(axis=0)


@dataclass(frozen=True)
class IntrinsicPlasticity(StepRule):
    """Gain and shift of each unit follow the rule above.

    Args:
        target: a target of `rules.targets`, a distribution of `torch.distributions`, or the name "gaussian",
            "exponential", "laplace", "weibull" or "uniform" for one with its default parameters.
        learning_rate: of gain and shift.
        min_gain: gains stay at or above it; a gain that crosses 0 would turn a unit over.
        max_gain: and at or below it.

    Raises:
        ValueError: a number out of range, an unknown name; when a reservoir is built: an activation without
            known slopes, or a target on y > 0 for units whose outputs can be negative.

    >>> IntrinsicPlasticity("exponential").target
    Exponential(mean=0.2)
    """

    target: Any = "gaussian"
    learning_rate: float = 5e-4
    min_gain: float = 1e-3
    max_gain: float = 1e3

    def __post_init__(self) -> None:
        checks.number("IntrinsicPlasticity", "learning_rate", self.learning_rate, above=0)
        checks.number("IntrinsicPlasticity", "min_gain", self.min_gain, above=0)
        checks.number("IntrinsicPlasticity", "max_gain", self.max_gain, at_least=self.min_gain)
        object.__setattr__(self, "target", _target(self.target))

    def check(self, function: Callable[..., Any]) -> None:
        """Raise ValueError where outputs cannot follow the target."""
        activation = known_activation("IntrinsicPlasticity", function)
        if self.target.positive and activation.low < 0:
            raise ValueError(
                f"IntrinsicPlasticity: {self.target} needs outputs above 0, got the activation {activation.name}. "
                "Give the reservoir activation='sigmoid'."
            )

    def step_(self, plastic: Plastic, activity: Activity, memory: Memory) -> None:
        """Move gain and shift, in place."""
        activation = cast(Activation, activity.activation)  # `check` has seen to it
        by_gain, by_shift = gain_and_shift_gradients(
            activity.net, activity.fired, plastic.gain, activation, self.target
        )
        plastic.gain += self.learning_rate * by_gain
        plastic.shift += self.learning_rate * by_shift
        np.clip(plastic.gain, self.min_gain, self.max_gain, out=plastic.gain)


def _target(given: Any) -> Target:
    if isinstance(given, torch.distributions.Distribution):
        return Density(given)
    if isinstance(given, str):
        return _BY_NAME[checks.choice("IntrinsicPlasticity", "target", given, _BY_NAME)]()
    if not (hasattr(given, "score") and hasattr(given, "positive")):
        raise TypeError(
            "IntrinsicPlasticity: target must be a target, a torch distribution or a name, "
            f"got {given!r} ({type(given).__name__})."
        )
    return given
