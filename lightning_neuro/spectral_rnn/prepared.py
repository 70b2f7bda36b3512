"""The data of spectral learning after a first pass: surveyed, cut where wanted, with a score that was looked at."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from lightning_neuro.spectral_rnn.accumulate import MomentAccumulator
from lightning_neuro.spectral_rnn.alarms import DroppedSequencesWarning, OutlierWarning
from lightning_neuro.spectral_rnn.moment_kinds import Moment
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import ClippedPasses, Passes, batches, pieces
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.score_diagnostics import diagnose_score
from lightning_neuro.spectral_rnn.score_fit import fit_score
from lightning_neuro.spectral_rnn.series import LARGEST, Array, Series
from lightning_neuro.spectral_rnn.survey import Survey, survey


@dataclass(frozen=True)
class Prepared:
    """The data after the first pass: surveyed, with a score.

    Attributes:
        passes: the data.
        seen: what the first pass saw; outputs as the moments see them.
        score: fitted.
        score_z: z-scores of its identities.
        interior: it is that of whole series.
        clipped: the data with outputs cut, which the moments see; without cutting, the data.
        residual_limit: where refinement cuts residuals, `(Dy,)`; None for nowhere.
    """

    passes: Passes
    seen: Survey
    score: ScoreModel
    score_z: dict[str, float]
    interior: bool
    clipped: Passes
    residual_limit: Array | None = None

    def means(self, moments: Mapping[str, Moment]) -> dict[str, Array]:
        """Return moments of the centred outputs, in one pass."""
        work = partial(_accumulated, self.score, dict(moments), self.seen.output_mean, self.interior)
        return self.clipped.run(work).finalize().means


def prepare(passes: Passes, options: Options, *, interior: bool) -> Prepared:
    """Survey the data, fit the score and look whether it fits.

    Raises:
        ValueError: the data do not suffice.

    Warns:
        DroppedSequencesWarning: series with infinite or exploded numbers were left out.
        OutlierWarning: one number carries most of the variance of its column.
        ScoreMismatchWarning: the score does not fit.
    """
    seen = passes.run(survey)
    seen.require_inputs()
    clipped, limit = passes, None
    if options.y_clip is not None:
        low, high = seen.clipping(options.y_clip)
        clipped, limit = ClippedPasses(passes, low, high), high - low
        seen = clipped.run(survey)
    statistics = seen.require_inputs()
    tell_of_data(seen)
    score = fit_score("spectral learning", options.score, statistics, passes)
    return Prepared(passes, seen, score, diagnose_score(score, seen.sample).z, interior, clipped, limit)


def _accumulated(
    score: ScoreModel, moments: dict[str, Moment], offset: Array, interior: bool, source: Iterable[Series]
) -> MomentAccumulator:
    sums = MomentAccumulator(score, moments, offset=offset, interior=interior)
    for batch in batches(source):
        for piece in pieces(batch):
            sums.add(piece)
    return sums


def tell_of_data(seen: Survey) -> None:
    """Warn of series that were left out, and of single numbers that outweigh the others."""
    if seen.n_dropped:
        warnings.warn(
            f"spectral learning: {seen.n_dropped} of {seen.n_series} series hold numbers that are infinite or beyond "
            f"{LARGEST:g} and were left out.",
            DroppedSequencesWarning,
            stacklevel=4,
        )
    found = seen.outlier()
    if found is not None:
        warnings.warn(
            f"spectral learning: a single step carries most of the variance of {found}; what is learned is about that "
            "step. Look at it: a NaN in its place leaves it out; y_clip=0.999 cuts outputs, not inputs.",
            OutlierWarning,
            stacklevel=4,
        )
