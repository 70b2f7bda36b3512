"""Learning from a stream that passes once: sums now, the network later.

Learning by passes reads the data three times, since the score comes before the moments, and the directions of the
neurons before their recurrent weights. A stream does without: its score is fixed at the first chunk, and the mixed
moment is summed in full, `(Dy, Dx, Dx, Dx)`. There is no refinement, which would read the data again.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.accumulate import MomentAccumulator, Moments
from lightning_neuro.spectral_rnn.learned import Learned
from lightning_neuro.spectral_rnn.learning import learn_quadratic
from lightning_neuro.spectral_rnn.linear_learning import default_lags, learn_linear
from lightning_neuro.spectral_rnn.model import PolynomialModel
from lightning_neuro.spectral_rnn.moment_kinds import FirstMoments, MixedContraction, MixedMoment, Moment, SecondMoment
from lightning_neuro.spectral_rnn.moments import contract_mixed
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import SerialPasses
from lightning_neuro.spectral_rnn.prepared import Prepared, tell_of_data
from lightning_neuro.spectral_rnn.routes import READINGS
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.score_diagnostics import diagnose_score
from lightning_neuro.spectral_rnn.score_fit import fit_score
from lightning_neuro.spectral_rnn.series import Array, Series, SeriesLike, as_series
from lightning_neuro.spectral_rnn.survey import SAMPLE, Survey

MIXED = "mixed"


class StreamLearner:
    """Learns a forward network, quadratic or linear, from chunks that are not kept.

    Args:
        options: how; `refine` and `u_method` do not apply. A score that is not fitted is fitted to the first chunk.

    >>> x = np.random.default_rng(0).standard_normal((40_000, 3))
    >>> stream = StreamLearner(Options(1, activation="linear"))
    >>> for chunk in np.split(x, 4):
    ...     stream.accumulate(chunk, 2 * chunk[:, :1])
    >>> learned = stream.finalize().model
    >>> abs(learned.output_weights.T @ learned.input_weights).round(1).tolist()
    [[2.0, 0.0, 0.0]]
    """

    def __init__(self, options: Options) -> None:
        checks.choice("StreamLearner", "activation", options.activation, ("quadratic", "linear"))
        if options.y_clip is not None or options.order is not None:
            raise ValueError(
                "StreamLearner: y_clip and order need the data again, got one of them for a stream. Cut outputs before "
                "accumulate, or use fit."
            )
        self.options = replace(options, refine=0, u_method="mixed")
        self.score: ScoreModel | None = None
        self._sums: MomentAccumulator | None = None
        self._seen = Survey()
        self.sample: list[Series] = []

    def accumulate(self, x: SeriesLike, y: SeriesLike, weights: Any = None, *, continues: bool = False) -> None:
        """Add series, or with `continues` the chunk that follows directly on the one added last.

        Args:
            x: inputs `(T, Dx)`, `(B, T, Dx)` or a list.
            y: outputs, of the same form with Dy columns.
            weights: `(T,)`, `(B, T)` or a list; None for 1.
            continues: x carries on where the last call ended; it must be one series.

        Raises:
            ValueError: shapes do not fit together, the first chunk is too short to fit a score to, or the mixed moment
                would be too large to hold.
        """
        series = as_series("StreamLearner", x, y, weights=weights)
        self._check_widths(series)
        seen = Survey()
        seen.add(series)
        sums = self._opened(series, seen) if self._sums is None else self._sums
        sums.accumulate(x, y, weights, continues=continues)
        # Nothing is counted before a chunk was taken.
        self._sums = sums
        self._seen.merge(seen)
        for one in series:
            if sum(map(len, self.sample)) < SAMPLE:
                self.sample.append(Series(one.x.copy(), one.y.copy(), one.weights))

    def merge(self, other: "StreamLearner") -> None:
        """Add the sums of another part of the data, learned with the same score.

        Raises:
            ValueError: the scores differ; each part fitted its own.
        """
        if other._sums is None:
            return
        if self._sums is None:
            self.score, self._sums, self._seen, self.sample = other.score, other._sums, other._seen, other.sample
            return
        if not _same(self.score, other.score):
            raise ValueError(
                "StreamLearner: merge expected parts with one score, got two that were fitted to different chunks. Fit "
                "a score first and give it to all parts, for instance score=GaussianAR1Score().fit(x)."
            )
        self._sums.merge(other._sums)
        self._seen.merge(other._seen)
        self.sample += other.sample

    def finalize(self) -> Learned[PolynomialModel]:
        """Return the network by moments; offset and error are measured on about the first 20000 steps.

        Raises:
            ValueError: nothing usable was added.

        Warns:
            DroppedSequencesWarning, OutlierWarning: as for `fit`.
        """
        self._seen.require_inputs()
        tell_of_data(self._seen)
        assert self._sums is not None  # The line above has raised otherwise.
        assert self.score is not None
        z = diagnose_score(self.score, self._seen.sample).z
        sample = SerialPasses(self.sample)
        data = _Streamed(sample, self._seen, self.score, z, False, sample, moments=self._sums.finalize())
        return (
            learn_linear(data, self.options)
            if self.options.activation == "linear"
            else learn_quadratic(data, self.options)
        )

    def _check_widths(self, series: list[Series]) -> None:
        if self.sample and series:
            before, now = ((one.x.shape[1], one.y.shape[1]) for one in (self.sample[0], series[0]))
            if before != now:
                raise ValueError(
                    f"StreamLearner: expected {before[0]} inputs and {before[1]} outputs as in the first chunk, got "
                    f"{now[0]} and {now[1]}."
                )

    def _opened(self, series: list[Series], seen: Survey) -> MomentAccumulator:
        statistics = seen.require_inputs()
        self.score = fit_score("StreamLearner", self.options.score, statistics, SerialPasses(series))
        moments: dict[str, Moment]
        if self.options.activation == "linear":
            lags = default_lags(seen, self.options) if self.options.lags is None else self.options.lags
            moments = {READINGS: FirstMoments(lags)}
        else:
            moments = {READINGS: SecondMoment(), MIXED: MixedMoment()}
        return MomentAccumulator(self.score, moments, offset=seen.output_mean)


@dataclass(frozen=True)
class _Streamed(Prepared):
    """Moments that were summed before anybody knew which would be asked for."""

    moments: Moments = field(kw_only=True)

    def means(self, moments: "dict[str, Moment]") -> dict[str, Array]:  # type: ignore[override]
        """Return moments out of the sums."""
        return {name: self._mean(moment) for name, moment in moments.items()}

    def _mean(self, moment: Moment) -> Array:
        if isinstance(moment, MixedContraction):
            full = self.moments.means[MIXED]
            return contract_mixed(full, moment.output_weights, moment.duals_end, moment.duals_lag)
        return self.moments.means[READINGS]


def _same(first: ScoreModel | None, second: ScoreModel | None) -> bool:
    if first is second:
        return True
    if type(first) is not type(second):
        return False
    mine, theirs = vars(first), vars(second)
    return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)
