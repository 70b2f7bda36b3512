"""One pass with a model: how well it predicts, and the moments of what it leaves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np

from lightning_neuro.spectral_rnn.accumulate import MomentAccumulator
from lightning_neuro.spectral_rnn.moment_kinds import Moment
from lightning_neuro.spectral_rnn.passes import Passes, batches, pieces
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.series import Array, Series

EXPLOSION_ERROR = 10.0


class Predictor(Protocol):
    """A model that predicts many series."""

    def predict_all(self, series: list[Array]) -> list[Array]:
        """Return the outputs of each series; NaN where a state has exploded."""
        ...


@dataclass(frozen=True)
class Residuals:
    """What a model leaves unexplained.

    Attributes:
        error: variance of the residual over that of the outputs; an exploded step counts as 10, and a model that
            explodes everywhere as infinite.
        exploded: share of steps in series whose prediction exploded.
        mean: mean residual `(Dy,)`, what the offset lacks.
        moments: means of the residual's moments, by name.
    """

    error: float
    exploded: float
    mean: Array
    moments: dict[str, Array] = field(default_factory=dict)


@dataclass
class ResidualSums:
    """Moments of residuals, and how many steps were predicted and exploded."""

    moments: MomentAccumulator
    steps: int = 0
    exploded: int = 0

    def merge(self, other: "ResidualSums") -> None:
        """Add the sums of another part of the data."""
        self.moments.merge(other.moments)
        self.steps += other.steps
        self.exploded += other.exploded

    def finalize(self, output_covariance: Array) -> Residuals:
        """Return the means."""
        nothing = np.zeros(len(output_covariance))
        if self.exploded == self.steps:
            return Residuals(float("inf"), 1.0, nothing)
        found = self.moments.finalize()
        share = self.exploded / self.steps
        sound = np.trace(found.output_covariance) / (np.trace(output_covariance) or 1.0)
        error = (1 - share) * float(sound) + share * EXPLOSION_ERROR
        return Residuals(error, share, found.output_mean, found.means)


def residuals(
    passes: Passes,
    model: Predictor,
    score: ScoreModel,
    moments: Mapping[str, Moment],
    output_covariance: Array,
    *,
    interior: bool = False,
    limit: Array | None = None,
) -> Residuals:
    """Predict all series and take moments of `y - yhat`.

    A series whose prediction explodes is left out of the moments, and counted.

    Args:
        passes: the data.
        model: predicts them.
        score: fitted score of the inputs.
        moments: what to take, by name.
        output_covariance: of y, to compare with.
        interior: use the score of the whole series.
        limit: cut residuals beyond this, `(Dy,)`.
    """
    work = partial(_sum, model, score, dict(moments), interior, limit)
    return passes.run(work).finalize(output_covariance)


def _sum(
    model: Predictor,
    score: ScoreModel,
    moments: dict[str, Moment],
    interior: bool,
    limit: Array | None,
    source: Iterable[Series],
) -> ResidualSums:
    sums = ResidualSums(MomentAccumulator(score, moments, interior=interior))
    for batch in batches(source):
        left = []
        for series, predicted in zip(batch, model.predict_all([one.x for one in batch]), strict=True):
            sums.steps += len(series)
            if np.isfinite(predicted).all():
                missed = series.y - predicted
                left.append(Series(series.x, missed if limit is None else missed.clip(-limit, limit), series.weights))
            else:
                sums.exploded += len(series)
        for piece in pieces(left):
            sums.moments.add(piece)
    return sums
