"""Bidirectional polynomial networks: one that reads forward, one that reads backward, one readout of both."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lightning_neuro.spectral_rnn.alarms import MemorylessNeuronWarning
from lightning_neuro.spectral_rnn.model import EXPLODED, QUADRATIC, PolynomialModel
from lightning_neuro.spectral_rnn.series import Array, Steps

MEMORYLESS = 0.1


@dataclass(frozen=True)
class BidirectionalModel:
    """`h_t = f(A1 x_t + U h_{t-1})`, `k_t = f(B1 x_t + V k_{t+1})`, `E[y_t | x] = A2^T [h_t; k_t] + c`.

    Attributes:
        forward: A1, U and the rows of A2 that belong to h; without offset.
        backward: B1, V and the rows of A2 that belong to k; without offset.
        offset: c `(Dy,)`.

    >>> one = PolynomialModel([[1.0]], [[0.5]], [[1.0]], (0.0, 1.0))
    >>> BidirectionalModel(one, one).predict(np.array([[1.0], [0.0], [2.0]])).ravel().tolist()
    [2.5, 1.5, 4.25]
    """

    forward: PolynomialModel
    backward: PolynomialModel
    offset: Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if not self.offset.size:
            object.__setattr__(self, "offset", np.zeros(len(self.forward.offset)))

    @property
    def units(self) -> int:
        """Number of neurons of both directions."""
        return self.forward.units + self.backward.units

    @property
    def coeffs(self) -> tuple[float, ...]:
        """Coefficients of f, lowest power first."""
        return self.forward.coeffs

    @property
    def input_weights(self) -> Array:
        """Rows of A1, then of B1, `(2 H, Dx)`."""
        return np.concatenate([self.forward.input_weights, self.backward.input_weights])

    @property
    def output_weights(self) -> Array:
        """A2 `(2 H, Dy)`."""
        return np.concatenate([self.forward.output_weights, self.backward.output_weights])

    def predict(self, x: Array, max_abs_state: float = EXPLODED) -> Array:
        """Return the outputs `(T, Dy)` of one series; NaN where a state has exploded."""
        return self.predict_all([x], max_abs_state=max_abs_state)[0]

    def predict_all(
        self, series: Sequence[Array], h0: Array | None = None, max_abs_state: float = EXPLODED
    ) -> list[Array]:
        """Return the outputs `(T_i, Dy)` of each series; NaN where a state has exploded.

        Args:
            series: inputs `(T_i, Dx)`.
            h0: state before the first step and after the last one; zero if None.
            max_abs_state: a state beyond this has exploded.
        """
        onward = self.forward.predict_all(series, h0, max_abs_state)
        back = self.backward.predict_all([x[::-1] for x in series], h0, max_abs_state)
        return [first + second[::-1] + self.offset for first, second in zip(onward, back, strict=True)]


class Directions(NamedTuple):
    """Which candidates read forward, which backward, and which have no recurrent weight to tell by."""

    forward: Steps
    backward: Steps
    memoryless: Steps


def split_directions(past: Array, future: Array) -> Directions:
    """Divide the neurons of a bidirectional network into its two halves.

    In the mean, `G-` is U between forward neurons and 0 elsewhere, `G+` is V between backward ones: the half of the
    neurons with the largest `||G-[i]|| - ||G+[i]||` reads forward.

    Args:
        past: G- `(2 H, 2 H)`, contraction with the step before.
        future: G+ `(2 H, 2 H)`, contraction with the step after.

    Returns:
        `Directions(forward (H,), backward (H,), memoryless)`, indices.

    Raises:
        ValueError: the number of neurons is odd.

    Warns:
        MemorylessNeuronWarning: a neuron has less than a tenth of the largest row norm either way.

    >>> past, future = np.diag([0.0, 0.3]), np.diag([0.2, 0.0])
    >>> split_directions(past, future)[:2]
    (array([1]), array([0]))
    """
    if len(past) % 2:
        raise ValueError(f"split_directions: expected an even number of neurons, got {len(past)}.")
    onward, back = np.linalg.norm(past, axis=1), np.linalg.norm(future, axis=1)
    order = np.argsort(back - onward, kind="stable")
    strongest = np.maximum(onward, back)
    memoryless = np.flatnonzero(strongest < MEMORYLESS * strongest.max(initial=0.0))
    if len(memoryless):
        warnings.warn(
            f"split_directions: neurons {memoryless.tolist()} have no recurrent weight that stands out, so whether "
            "they read forward or backward is arbitrary. Use fewer units or more data.",
            MemorylessNeuronWarning,
            stacklevel=2,
        )
    half = len(past) // 2
    return Directions(np.sort(order[:half]), np.sort(order[half:]), memoryless)


def assemble(
    input_weights: Array,
    past: Array,
    future: Array,
    output_weights: Array,
    directions: Directions,
    coeffs: tuple[float, ...] = QUADRATIC,
) -> BidirectionalModel:
    """Return the network of the candidates, U and V cut out of the two contractions (divided by `4 c2^2`).

    >>> eye = np.eye(2)
    >>> found = assemble(eye, 0.3 * eye, 0.1 * eye, eye, Directions(np.array([1]), np.array([0]), np.array([])))
    >>> found.forward.recurrent_weights.tolist(), found.backward.recurrent_weights.tolist()
    ([[0.3]], [[0.1]])
    """
    halves = [
        PolynomialModel(input_weights[part], recurrent[np.ix_(part, part)], output_weights[part], coeffs)
        for part, recurrent in ((directions.forward, past), (directions.backward, future))
    ]
    return BidirectionalModel(halves[0], halves[1])
