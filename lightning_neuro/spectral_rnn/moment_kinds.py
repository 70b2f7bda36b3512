"""The moments of `moments.py` in one form, so that one pass over the data can sum any of them.

Each is called with outputs, the score, the steps that these stand for and weights, and returns a sum and what to divide
it by. `context` is how many usable steps before t it looks at.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lightning_neuro.spectral_rnn import moments
from lightning_neuro.spectral_rnn.score import Components, ahead_of
from lightning_neuro.spectral_rnn.series import Array, Steps


class Moment(Protocol):
    """A sum over steps that is linear in the outputs."""

    @property
    def context(self) -> int:
        """How many usable steps before t it looks at."""
        ...

    def __call__(self, y: Array, components: Components, steps: Steps, weights: Array | None) -> tuple[Array, float]:
        """Return the sum and the weight that it holds."""
        ...


@dataclass(frozen=True)
class SecondMoment:
    """`y (x) S_2(t)`, `(Dy, Dx, Dx)`."""

    context: int = 0

    def __call__(self, y: Array, components: Components, steps: Steps, weights: Array | None) -> tuple[Array, float]:
        """Return the sum and the weight that it holds."""
        return moments.second_moment(y, components, weights)


@dataclass(frozen=True)
class FirstMoments:
    """`y_t (x) S_1(t - k)` for k = 0 to `lags`, `(Dy, lags + 1, Dx)`."""

    lags: int

    @property
    def context(self) -> int:
        """How many usable steps before t it looks at."""
        return max(self.lags - 1, 0)

    def __call__(self, y: Array, components: Components, steps: Steps, weights: Array | None) -> tuple[Array, float]:
        """Return the sum and the weight that it holds."""
        return moments.first_moments(y, components, steps, self.lags, weights)


@dataclass(frozen=True)
class ThirdMoment:
    """`y (x) S_3(t)` in a basis `(Dx, r)`, `(Dy, r, r, r)`."""

    basis: Array
    context: int = 0

    def __call__(self, y: Array, components: Components, steps: Steps, weights: Array | None) -> tuple[Array, float]:
        """Return the sum and the weight that it holds."""
        return moments.third_moment(y, components, self.basis, weights)


@dataclass(frozen=True)
class MixedMoment:
    """`y (x) S_{1,2}(t, t - 1)` in full, `(Dy, Dx, Dx, Dx)`, for streams that pass once.

    Args:
        largest: refuse more entries than this.
    """

    largest: int = 10_000_000
    context: int = 0

    def __call__(self, y: Array, components: Components, steps: Steps, weights: Array | None) -> tuple[Array, float]:
        """Return the sum and the weight that it holds.

        Raises:
            ValueError: it would have more than `largest` entries.
        """
        width = components[0].end.shape[1]
        entries = y.shape[1] * width**3
        if entries > self.largest:
            raise ValueError(
                f"MixedMoment: outputs times inputs cubed must be at most {self.largest}, got {y.shape[1]} x {width}^3 "
                f"= {entries}. Read the data twice and use MixedContraction, or project x on fewer columns."
            )
        return moments.mixed_moment(y, components, weights)


@dataclass(frozen=True)
class MixedContraction:
    """The mixed moment in the directions of the neurons, `(H, H)`.

    Args:
        output_weights: W `(H, Dy)`; neuron i sees `W_i . y`.
        duals_end: B1 `(Dx, H)`.
        duals_lag: B0 `(Dx, H)`.
        future: take t + 1 for the neighbour; the score must be an interior one.
    """

    output_weights: Array
    duals_end: Array
    duals_lag: Array
    future: bool = False
    context: int = 0

    def __call__(self, y: Array, components: Components, steps: Steps, weights: Array | None) -> tuple[Array, float]:
        """Return the sum and the weight that it holds."""
        side = ahead_of(components) if self.future else components
        return moments.mixed_contraction(y @ self.output_weights.T, side, self.duals_end, self.duals_lag, weights)


@dataclass(frozen=True)
class Order4Contraction:
    """The fourth score of the neighbour in the directions of the neurons, `(H, H, H)`.

    Args:
        output_weights: W `(H, Dy)`; neuron i sees `W_i . y`.
        duals_lag: B0 `(Dx, H)`.
    """

    output_weights: Array
    duals_lag: Array
    context: int = 0

    def __call__(self, y: Array, components: Components, steps: Steps, weights: Array | None) -> tuple[Array, float]:
        """Return the sum and the weight that it holds."""
        return moments.order4_contraction(y @ self.output_weights.T, components, self.duals_lag, weights)


@dataclass(frozen=True)
class OutputMoment:
    """Outputs and their products: `[1, y] (x) y` as `(Dy, Dy + 1)`, from which mean and covariance follow."""

    context: int = 0

    def __call__(self, y: Array, components: Components, steps: Steps, weights: Array | None) -> tuple[Array, float]:
        """Return the sum and the weight that it holds."""
        weighted = y if weights is None else y * weights[:, None]
        total = np.hstack([(np.ones(len(y)) @ weighted)[:, None], weighted.T @ y])
        return total, float(len(y) if weights is None else weights.sum())
