"""What learning hands back: the network, and what a person needs to judge it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.alarms import BROKEN, LARGEST_Z, PARALLEL
from lightning_neuro.spectral_rnn.diagnostics_view import (
    Reading,
    draw_errors,
    draw_score_z,
    draw_singular_values,
    spectrum,
    table,
)
from lightning_neuro.spectral_rnn.rank import components_stand_out
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.series import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

M = TypeVar("M")
PICTURES = ("singular_values", "errors", "score_z")
CONDITIONS = {
    "moment": "condition of the moment",
    "input_weights": "condition of A1",
    "output_cosine": "largest cosine of rows of A2",
    "decomposition_residual": "residual of the decomposition",
    "spectral_radius": "spectral radius of U",
}


@dataclass(frozen=True)
class Diagnostics:
    """How far a spectral estimate can be trusted.

    Attributes:
        singular_values: of the moment that shows the neurons (linear: of the Hankel matrix); those beyond the number of
            neurons are noise.
        conditions: condition numbers by name: "moment" (singular values), "input_weights", "output_cosine" (largest
            cosine of two rows of A2), "decomposition_residual"; of a linear network "moment" and "spectral_radius"
            (of U, before it was scaled to be stable).
        units: number of neurons, of both directions together.
        n_steps: steps learned from.
        n_series: series read.
        n_dropped: series left out for infinite or exploded numbers.
        exploded: share of steps in series whose prediction explodes.
        score_z: z-scores of the identities that a fitting score keeps.
        errors: normalised squared error on the training data, at the start and after each step of refinement.
        recurrent_refused: the neurons hardly stand out of the noise, so that U was left at 0 by the moments.

    >>> import numpy as np
    >>> seen = Diagnostics(np.array([3.0, 0.1]), {"moment": 1.0}, 1, 90, 1, 0, 0.0, {"first": 9.0}, [0.2, 0.1])
    >>> print(seen.table())
    singular values          3 | 0.1
    condition of the moment  1
    steps learned from       90
    series dropped           0 of 1
    share that explodes      0
    score: first             +9.0     ! the mean is off
    error after 0 steps      0.2
    error after 1 steps      0.1
    """

    singular_values: Array
    conditions: dict[str, float]
    units: int
    n_steps: int
    n_series: int
    n_dropped: int
    exploded: float
    score_z: dict[str, float]
    errors: list[float] = field(default_factory=list)
    recurrent_refused: bool = False

    def table(self) -> str:
        """Return a table to print: what was measured, and what is wrong with it."""
        return table([*self._weights(), *self._data(), *self._score(), *self._errors()])

    def plot(self, ax: "Axes | None" = None, picture: str = "singular_values") -> "Axes":
        """Draw one picture, on `ax` or in a figure of its own.

        Args:
            ax: matplotlib axes, or None.
            picture: "singular_values", "errors" (over steps of refinement) or "score_z".

        Raises:
            ModuleNotFoundError: matplotlib is not installed.
            ValueError: there is no such picture.
        """
        checks.choice("Diagnostics.plot", "picture", picture, PICTURES)
        if picture == "errors":
            return draw_errors(ax, self.errors)
        if picture == "score_z":
            return draw_score_z(ax, self.score_z)
        return draw_singular_values(ax, self.singular_values, self.units)

    def _weights(self) -> list[Reading]:
        apart = components_stand_out(self.singular_values, self.units)
        remark = "" if apart else "the last neuron hardly stands out of the noise"
        if self.recurrent_refused:
            remark += "; U by moments was refused"
        return [
            Reading("singular values", spectrum(self.singular_values, self.units), remark),
            *(
                Reading(CONDITIONS[name], f"{value:.3g}", _doubt(name, value))
                for name, value in self.conditions.items()
            ),
        ]

    def _data(self) -> list[Reading]:
        return [
            Reading("steps learned from", str(self.n_steps)),
            Reading("series dropped", f"{self.n_dropped} of {self.n_series}", "exploded" if self.n_dropped else ""),
            Reading(
                "share that explodes",
                f"{self.exploded:.3g}",
                "what the network predicts of these series" if self.exploded else "",
            ),
        ]

    def _score(self) -> list[Reading]:
        return [
            Reading(f"score: {name}", f"{z:+.1f}", BROKEN[name] if abs(z) > LARGEST_Z else "")
            for name, z in self.score_z.items()
        ]

    def _errors(self) -> list[Reading]:
        ends = sorted({0, len(self.errors) - 1}) if self.errors else []
        return [
            Reading(
                f"error after {step} steps",
                f"{self.errors[step]:.3g}",
                "no better than the mean of the outputs" if self.errors[step] >= 1 else "",
            )
            for step in ends
        ]


def _doubt(name: str, value: float) -> str:
    """Return what is wrong with a condition number, or nothing."""
    if name == "output_cosine" and value > PARALLEL:
        return "two neurons have parallel output weights and mix"
    if name == "spectral_radius" and value >= 1:
        return "U was scaled to be stable"
    return ""


@dataclass(frozen=True)
class Learned(Generic[M]):
    """A network learned by spectral methods.

    Attributes:
        model: the network, in canonical form.
        by_moments: the network before refinement.
        score: the fitted score of the inputs.
        diagnostics: how far to trust it.
        converged: refinement settled; True without refinement.
    """

    model: M
    by_moments: M
    score: ScoreModel
    diagnostics: Diagnostics
    converged: bool
