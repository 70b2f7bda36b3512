"""Predictive-information ascent: weights climb the information between successive states of the linearised reservoir.

    x(t+1) = A x(t) + e,  e ~ N(0, Q),  S = A S A^T + Q
    I(x(t); x(t+1)) = 1/2 (ln|S| - ln|Q|)        (nats)
    dI/dA = 2 L A S,  L = A^T L A + 1/2 S^-1

A is the Jacobian at mean slopes, `(1 - leak) 1 + leak diag(a f') W`; Q is what inputs and a little noise contribute. In
one dimension `I = -1/2 ln(1 - A^2)`, which drives |A| to its bound.

The objective is that of Ay, Der, Prokopenko and Zahedi; this exact form and its gradient are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_discrete_lyapunov

from lightning_neuro.common import checks
from lightning_neuro.reservoir.activation import known_activation
from lightning_neuro.reservoir.rules.rule import Circuit, EpochRule, Memory, Plastic
from lightning_neuro.reservoir.rules.simulate import steps
from lightning_neuro.reservoir.spectrum import spectral_radius

Array = npt.NDArray[np.float64]

_SCALINGS = 100  # with a leak, scaling W does not scale A; each of these brings it closer


def linear_predictive_information(transition: Array, noise: Array) -> tuple[float, Array]:
    """Return I in nats and its gradient by the transition matrix.

    Args:
        transition: A, `(N, N)`, spectral radius below 1.
        noise: Q, `(N, N)`, positive definite.

    >>> information, gradient = linear_predictive_information(np.array([[0.8]]), np.eye(1))
    >>> round(information, 6), gradient.round(6)  # -1/2 ln(1 - 0.64), 0.8 / (1 - 0.64)
    (0.510826, array([[2.222222]]))
    """
    covariance = solve_discrete_lyapunov(transition, noise)
    adjoint = solve_discrete_lyapunov(transition.T, np.linalg.inv(covariance) / 2)
    value = (np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(noise)[1]) / 2
    return float(value), 2 * adjoint @ transition @ covariance


@dataclass(frozen=True)
class PredictiveInformationAscent(EpochRule):
    """Linearise about the series, then climb.

    Args:
        learning_rate: of existing recurrent weights; no step is longer than it.
        steps: ascents in an epoch, all on one linearisation.
        noise_std: standard deviation of noise in every unit, beside what inputs contribute.
        max_spectral_radius: of A; weights are scaled back to it.

    Raises:
        ValueError: a number out of range; when adapting: an activation without known slopes, or a leak inside.
    """

    learning_rate: float = 0.01
    steps: int = 10
    noise_std: float = 0.1
    max_spectral_radius: float = 0.99
    name: ClassVar[str] = "predictive_information"

    def __post_init__(self) -> None:
        owner = type(self).__name__
        checks.number(owner, "learning_rate", self.learning_rate, above=0)
        checks.integer(owner, "steps", self.steps, at_least=1)
        checks.number(owner, "noise_std", self.noise_std, above=0)
        checks.number(owner, "max_spectral_radius", self.max_spectral_radius, above=0, below=1)

    def check(self, function: Callable[..., Any]) -> None:
        """Raise ValueError where slopes of this activation are not known."""
        known_activation("PredictiveInformationAscent", function)

    def epoch_(self, plastic: Plastic, circuit: Circuit, memory: Memory) -> dict[str, float]:
        """Climb, in place; report the information reached, of this epoch's linearisation."""
        if circuit.leak_inside and np.any(np.asarray(circuit.leak) != 1):
            raise ValueError(
                "PredictiveInformationAscent: expected the leak after the activation, got one inside. "
                "Give the reservoir equation='internal'."
            )
        scale = np.broadcast_to(circuit.leak, plastic.gain.shape) * plastic.gain * _mean_slope(plastic, circuit)
        noise = _noise(scale, circuit, self.noise_std)
        self._bound_(plastic, scale, circuit.leak)
        for _ in range(self.steps):
            _, gradient = linear_predictive_information(_transition(plastic, scale, circuit.leak), noise)
            slope = (scale[:, None] * gradient)[plastic.synapses.rows, plastic.synapses.columns]
            plastic.synapses.weights += self.learning_rate * slope / max(1.0, float(np.linalg.norm(slope)))
            self._bound_(plastic, scale, circuit.leak)
        return {self.name: linear_predictive_information(_transition(plastic, scale, circuit.leak), noise)[0]}

    def _bound_(self, plastic: Plastic, scale: Array, leak: Any) -> None:
        for _ in range(_SCALINGS):
            radius = spectral_radius(_transition(plastic, scale, leak))
            if radius <= self.max_spectral_radius * (1 + 1e-12):
                return
            plastic.synapses.weights *= self.max_spectral_radius / radius
        raise ValueError(
            f"PredictiveInformationAscent: max_spectral_radius {self.max_spectral_radius} is out of reach of a "
            f"reservoir that leaks at {leak}. Give a value above 1 - leak."
        )


def _transition(plastic: Plastic, scale: Array, leak: Any) -> Array:
    return np.diag(np.broadcast_to(1 - np.asarray(leak), scale.shape)) + scale[:, None] * plastic.synapses.dense()


def _mean_slope(plastic: Plastic, circuit: Circuit) -> Array:
    activation = known_activation("PredictiveInformationAscent", circuit.function)
    total, count = np.zeros_like(plastic.gain), 0
    for place, activity in enumerate(steps(plastic, circuit)):
        if place >= circuit.washout:
            total += activation.slope(activity.fired).sum(axis=0)
            count += len(activity.fired)
    return total / count


def _noise(scale: Array, circuit: Circuit, noise_std: float) -> Array:
    inputs = np.concatenate([series[circuit.washout :] for series in circuit.inputs])
    spread = np.atleast_2d(np.cov(inputs, rowvar=False, ddof=0))
    arriving = scale[:, None] * (circuit.input_weights @ np.eye(inputs.shape[1]))
    return arriving @ spread @ arriving.T + noise_std**2 * np.eye(len(scale))
