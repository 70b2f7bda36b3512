"""What learning hands back: the network, and what a person needs to judge it."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.series import Array

M = TypeVar("M")


@dataclass(frozen=True)
class Diagnostics:
    """How far a spectral estimate can be trusted.

    Attributes:
        singular_values: of the moment that shows the neurons (linear: of the Hankel matrix); those beyond the number of
            neurons are noise.
        conditions: condition numbers by name: "moment" (singular values), "input_weights", "output_cosine" (largest
            cosine of two rows of A2), "decomposition_residual".
        n_steps: steps learned from.
        n_series: series read.
        n_dropped: series left out for infinite numbers.
        exploded: share of steps in series whose prediction explodes.
        score_z: z-scores of the identities that a fitting score keeps.
        errors: normalised squared error on the training data, at the start and after each step of refinement.
        recurrent_refused: the neurons hardly stand out of the noise, so that U was left at 0 by the moments.
    """

    singular_values: Array
    conditions: dict[str, float]
    n_steps: int
    n_series: int
    n_dropped: int
    exploded: float
    score_z: dict[str, float]
    errors: list[float] = field(default_factory=list)
    recurrent_refused: bool = False


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
