"""Hebbian rules for recurrent weights: what fires together is wired, or parted.

| rule | change of `W_ij` for a learning rate of 1 |
|---|---|
| Hebb | `y_i x_j` |
| anti-Hebb | `-y_i x_j` |
| Oja | `y_i (x_j - y_i W_ij)` |
| anti-Oja | `-y_i (x_j - y_i W_ij)` |
| BCM | `y_i (y_i - theta_i) x_j`, and `theta_i` slides: `theta_i += (y_i^2 - theta_i) / window` |
| covariance | `(y_i - mean_i) (x_j - mean_j)`, and means slide |

x is the state at t, y the state at t + 1: what the reservoir outputs, not its net input. Only existing synapses change.
With several series the right sides are averaged. A threshold that does not slide is not BCM.

Oja 1982; Bienenstock, Cooper and Munro 1982; Sejnowski 1977.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks
from lightning_neuro.reservoir.rules.rule import Activity, Memory, Plastic, StepRule
from lightning_neuro.reservoir.rules.synapses import Synapses

Array = npt.NDArray[np.float64]


def hebb(synapses: Synapses, pre: Array, post: Array) -> Array:
    """Return `post_i pre_j` at each synapse.

    Args:
        synapses: the weights, S of them.
        pre: x, `(B, N)`.
        post: y, `(B, M)`.

    Returns:
        `(S,)`, averaged over B.

    >>> hebb(Synapses([[1.0, 0.0], [0.5, 2.0]]), np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    array([3., 4., 8.])
    """
    return synapses.products(post, pre)


def oja(synapses: Synapses, pre: Array, post: Array) -> Array:
    """Return `post_i (pre_j - post_i W_ij)` at each synapse, averaged over series: Hebb with a decay that bounds rows.

    >>> oja(Synapses([[1.0, 0.0], [0.5, 2.0]]), np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    array([ -6.,  -4., -24.])
    """
    return synapses.products(post, pre) - synapses.at_rows(np.mean(post * post, axis=0)) * synapses.weights


def bcm(synapses: Synapses, pre: Array, post: Array, threshold: Array) -> Array:
    """Return `post_i (post_i - threshold_i) pre_j` at each synapse, averaged over series.

    >>> bcm(Synapses([[1.0, 0.5]]), np.array([[1.0, 2.0]]), np.array([[3.0]]), np.array([1.0]))
    array([ 6., 12.])
    """
    return synapses.products(post * (post - threshold), pre)


def covariance(synapses: Synapses, pre: Array, post: Array, pre_mean: Array, post_mean: Array) -> Array:
    """Return `(post_i - post_mean_i) (pre_j - pre_mean_j)` at each synapse, averaged over series.

    >>> means = np.array([1.0, 1.0]), np.array([1.0])
    >>> covariance(Synapses([[1.0, 0.5]]), np.array([[1.0, 3.0]]), np.array([[3.0]]), *means)
    array([0., 4.])
    """
    return synapses.products(post - post_mean, pre - pre_mean)


def slide(average: Array, values: Array, window: float) -> Array:
    """Return a running average of what the series say now: `average + (mean of values - average) / window`.

    >>> slide(np.array([1.0]), np.array([[3.0], [5.0]]), 10.0)
    array([1.3])
    """
    return average + (values.mean(axis=0) - average) / window


@dataclass(frozen=True)
class Hebb(StepRule):
    """`W_ij += learning_rate y_i x_j`. Weights grow without bound unless `Normalize` follows in the list.

    Args:
        learning_rate: of the weights.

    Raises:
        ValueError: `learning_rate` is not above 0.

    >>> from lightning_neuro import SelfOrganizingReservoir
    >>> linear = {"W": np.array([[0.5]]), "Win": np.ones((1, 1)), "activation": "identity"}
    >>> node = SelfOrganizingReservoir(rules=[Hebb(0.1)], **linear)
    >>> _ = node.adapt(np.ones((2, 1)))  # x, y = 0, 1; then 1, 1.5
    >>> round(node.W.item(), 4)
    0.65
    """

    learning_rate: float = 1e-3
    sign: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        checks.number(type(self).__name__, "learning_rate", self.learning_rate, above=0)

    def step_(self, plastic: Plastic, activity: Activity, memory: Memory) -> None:
        """Move weights, in place."""
        change = hebb(plastic.synapses, activity.before, activity.after)
        plastic.synapses.weights += self.sign * self.learning_rate * change


@dataclass(frozen=True)
class AntiHebb(Hebb):
    """`W_ij -= learning_rate y_i x_j`: units that fire one after the other come to inhibit each other.

    Args:
        learning_rate: of the weights.

    >>> from lightning_neuro import SelfOrganizingReservoir
    >>> linear = {"W": np.array([[0.5]]), "Win": np.ones((1, 1)), "activation": "identity"}
    >>> node = SelfOrganizingReservoir(rules=[AntiHebb(0.1)], **linear)
    >>> _ = node.adapt(np.ones((2, 1)))
    >>> round(node.W.item(), 4)
    0.35
    """

    sign: ClassVar[float] = -1.0


@dataclass(frozen=True)
class Oja(StepRule):
    """`W_ij += learning_rate y_i (x_j - y_i W_ij)`: a linear unit finds the first principal component of its inputs.

    Args:
        learning_rate: of the weights.

    Raises:
        ValueError: `learning_rate` is not above 0.

    >>> from lightning_neuro import SelfOrganizingReservoir
    >>> linear = {"W": np.array([[0.5]]), "Win": np.ones((1, 1)), "activation": "identity"}
    >>> node = SelfOrganizingReservoir(rules=[Oja(0.1)], **linear)
    >>> _ = node.adapt(np.ones((2, 1)))
    >>> round(node.W.item(), 4)
    0.5004
    """

    learning_rate: float = 1e-3
    sign: ClassVar[float] = 1.0

    def __post_init__(self) -> None:
        checks.number(type(self).__name__, "learning_rate", self.learning_rate, above=0)

    def step_(self, plastic: Plastic, activity: Activity, memory: Memory) -> None:
        """Move weights, in place."""
        change = oja(plastic.synapses, activity.before, activity.after)
        plastic.synapses.weights += self.sign * self.learning_rate * change


@dataclass(frozen=True)
class AntiOja(Oja):
    """`W_ij -= learning_rate y_i (x_j - y_i W_ij)`. Its decay has become growth: let `Normalize` follow in the list.

    Args:
        learning_rate: of the weights.

    >>> from lightning_neuro import SelfOrganizingReservoir
    >>> linear = {"W": np.array([[0.5]]), "Win": np.ones((1, 1)), "activation": "identity"}
    >>> node = SelfOrganizingReservoir(rules=[AntiOja(0.1)], **linear)
    >>> _ = node.adapt(np.ones((2, 1)))
    >>> round(node.W.item(), 4)
    0.5271
    """

    sign: ClassVar[float] = -1.0


@dataclass(frozen=True)
class BCM(StepRule):
    """`W_ij += learning_rate y_i (y_i - theta_i) x_j` with a threshold that slides after the unit's mean square.

    Args:
        learning_rate: of the weights.
        window: steps over which the threshold averages; it has to follow faster than weights change.
        initial_threshold: of every unit, at the first step.

    Raises:
        ValueError: a number out of range.

    >>> from lightning_neuro import SelfOrganizingReservoir
    >>> node = SelfOrganizingReservoir(20, [BCM(window=50.0)], seed=0)
    >>> _ = node.adapt(np.random.default_rng(0).uniform(-1, 1, (300, 1)))
    >>> node.memories[0]["threshold"].shape  # they have slid with each unit's mean square
    (20,)
    """

    learning_rate: float = 1e-3
    window: float = 100.0
    initial_threshold: float = 0.0

    def __post_init__(self) -> None:
        checks.number("BCM", "learning_rate", self.learning_rate, above=0)
        checks.number("BCM", "window", self.window, at_least=1)
        checks.number("BCM", "initial_threshold", self.initial_threshold)

    def start(self, units: int) -> Memory:
        """Return the thresholds, `(N,)`."""
        return {"threshold": np.full(units, float(self.initial_threshold))}

    def step_(self, plastic: Plastic, activity: Activity, memory: Memory) -> None:
        """Move weights by the threshold as it was, then the threshold, in place."""
        post, threshold = activity.after, memory["threshold"]
        plastic.synapses.weights += self.learning_rate * bcm(plastic.synapses, activity.before, post, threshold)
        memory["threshold"] = slide(threshold, post * post, self.window)


@dataclass(frozen=True)
class Covariance(StepRule):
    """`W_ij += learning_rate (y_i - mean_i) (x_j - mean_j)` with running means.

    Args:
        learning_rate: of the weights.
        window: steps over which means average.

    Raises:
        ValueError: a number out of range.

    >>> Covariance(window=50.0).start(2)["mean"]
    array([0., 0.])
    """

    learning_rate: float = 1e-3
    window: float = 100.0

    def __post_init__(self) -> None:
        checks.number("Covariance", "learning_rate", self.learning_rate, above=0)
        checks.number("Covariance", "window", self.window, at_least=1)

    def start(self, units: int) -> Memory:
        """Return the running means, `(N,)`."""
        return {"mean": np.zeros(units)}

    def step_(self, plastic: Plastic, activity: Activity, memory: Memory) -> None:
        """Move weights by the means as they were, then the means, in place."""
        mean = memory["mean"]
        change = covariance(plastic.synapses, activity.before, activity.after, mean, mean)
        plastic.synapses.weights += self.learning_rate * change
        memory["mean"] = slide(mean, activity.after, self.window)
