"""Moments of streams: blocks of steps in, sums that merge, means out; memory does not grow with the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.moment_kinds import Moment, OutputMoment
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.series import (
    Array,
    Series,
    SeriesLike,
    all_finite,
    as_series,
    blocks,
    drop_exploded,
    rows_at,
)

OUTPUTS = "outputs"


@dataclass(frozen=True)
class Moments:
    """Means over the steps of a stream.

    Attributes:
        means: by name, as asked for.
        counts: the weight each mean rests on.
        output_mean: mean of y, `(Dy,)`.
        output_covariance: covariance of y, `(Dy, Dy)`.
        n_dropped: series left out because they hold a number that is infinite or has exploded.
    """

    means: dict[str, Array]
    counts: dict[str, float]
    output_mean: Array
    output_covariance: Array
    n_dropped: int


class MomentAccumulator:
    """Sums moments over series, chunks of series, workers and ranks.

    Steps whose neighbours are missing, and steps whose output is NaN, are left out; a series that holds an infinite
    number is dropped and counted. Equal data give equal sums up to rounding, however they are cut.

    Args:
        score: fitted score of the inputs.
        moments: what to sum, by name.
        offset: a number per output to subtract first, near its mean: constants in y then cost no accuracy.
        interior: use the score of the whole series, for outputs that depend on what follows.
        block: steps at a time.

    Attributes:
        totals: the sums by name, and `name + ".count"`. To merge ranks, add these arrays up.

    >>> from lightning_neuro.spectral_rnn.gaussian_score import IIDGaussianScore
    >>> from lightning_neuro.spectral_rnn.moment_kinds import SecondMoment
    >>> accumulator = MomentAccumulator(IIDGaussianScore(covariance=[[1.0]]), {"second": SecondMoment()})
    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> accumulator.accumulate(x[:2], x[:2])
    >>> accumulator.accumulate(x[2:], x[2:], continues=True)
    >>> accumulator.finalize().means["second"].item(), accumulator.totals["second.count"].item()
    (10.0, 3.0)
    """

    def __init__(
        self,
        score: ScoreModel,
        moments: Mapping[str, Moment],
        *,
        offset: Array | None = None,
        interior: bool = False,
        block: int = 4096,
    ) -> None:
        if not isinstance(score, ScoreModel):
            raise TypeError(
                f"MomentAccumulator: score must have fitted, fit, reach and local, got {type(score).__name__}."
            )
        self.score = score
        self.moments: dict[str, Moment] = {OUTPUTS: OutputMoment(), **moments}
        self.offset = offset
        self.interior = checks.flag("MomentAccumulator", "interior", interior)
        self.block = checks.integer("MomentAccumulator", "block", block, at_least=1)
        before, self._after = score.reach(interior=interior)
        self._before = before + max(moment.context for moment in self.moments.values())
        self.totals: dict[str, Array] = {}
        self.n_dropped = self.n_steps = self.n_missing = 0
        self._tail: Series | None = None
        self._exploded = False

    def accumulate(self, x: SeriesLike, y: SeriesLike, weights: Any = None, *, continues: bool = False) -> None:
        """Add series, or with `continues` the chunk that follows directly on the one added last.

        Args:
            x: inputs `(T, Dx)`, `(B, T, Dx)` or a list.
            y: outputs, of the same form with Dy columns.
            weights: `(T,)`, `(B, T)` or a list; None for 1.
            continues: x carries on where the last call ended; it must be one series.

        Raises:
            TypeError: an entry is not made of real numbers.
            ValueError: shapes do not fit together, or there is more than one series to carry on.
        """
        series = as_series("MomentAccumulator", x, y, weights=weights)
        if continues and len(series) > 1:
            raise ValueError(f"MomentAccumulator: with continues, x must be one series, got {len(series)}.")
        for one in series:
            self.add(one, continues=continues)

    def add(self, series: Series, *, continues: bool = False) -> None:
        """Add one series that has been checked already, or with `continues` the chunk that follows."""
        if not continues:
            self._end_series()
        if self._exploded:
            return
        self._exploded = drop_exploded([series])[1] > 0
        if self._exploded:
            self.n_dropped += 1
            return
        self._count_missing(series)
        if self._tail is not None:
            series = _joined(self._tail, series)
        for part in blocks(series, self.block, self._before, self._after):
            self._add_block(part)
        self._tail = _copied(series.part(max(len(series) - self._before - self._after, 0), len(series)))

    def merge(self, other: "MomentAccumulator") -> None:
        """Add the sums of another accumulator of the same moments; the series under way end.

        Raises:
            ValueError: the other sums other moments.
        """
        if self.moments.keys() != other.moments.keys():
            raise ValueError(
                f"MomentAccumulator: merge expected moments {sorted(self.moments)}, got {sorted(other.moments)}."
            )
        for name, total in other.totals.items():
            self._total(name, total)
        self.n_dropped += other.n_dropped
        self.n_steps, self.n_missing = self.n_steps + other.n_steps, self.n_missing + other.n_missing
        self._end_series()

    def finalize(self) -> Moments:
        """Return the means.

        Raises:
            ValueError: no step was usable.
        """
        counts = {name: float(self.totals.get(f"{name}.count", 0)) for name in self.moments}
        shortest = self._before + self._after + 1
        for name, count in counts.items():
            if not count > 0:
                raise ValueError(
                    f"MomentAccumulator: the moment {name!r} needs stretches of at least {shortest} "
                    f"finite steps with outputs and weights above 0, got none in {self.n_steps} steps, "
                    f"{self.n_missing} of them with a NaN in x or y. Give longer series, or data with fewer gaps."
                )
        means = {name: self.totals[name] / count for name, count in counts.items()}
        outputs = means.pop(OUTPUTS)
        mean = outputs[:, 0]
        covariance = outputs[:, 1:] - np.outer(mean, mean)
        shifted = mean if self.offset is None else mean + self.offset
        return Moments(means, counts, shifted, (covariance + covariance.T) / 2, self.n_dropped)

    def _count_missing(self, series: Series) -> None:
        self.n_steps += len(series)
        if not (all_finite(series.x) and all_finite(series.y)):
            known = np.isfinite(series.x).all(axis=1) & np.isfinite(series.y).all(axis=1)
            self.n_missing += len(series) - int(known.sum())

    def _end_series(self) -> None:
        self._tail, self._exploded = None, False

    def _add_block(self, part: Series) -> None:
        components, steps = self.score.local(part.x, interior=self.interior)
        if len(steps) == 0:
            return
        y = rows_at(part.y, steps) if self.offset is None else rows_at(part.y, steps) - self.offset
        weights = None if part.weights is None else rows_at(part.weights, steps)
        # Steps that lie here only as context belong to the block before.
        ignored = steps < self._before
        if not all_finite(y):
            missing: npt.NDArray[np.bool_] = np.isnan(y.sum(axis=1))
            y, ignored = np.where(missing[:, None], 0.0, y), ignored | missing
        if ignored.any():
            weights = np.where(ignored, 0.0, 1.0 if weights is None else weights)
        for name, moment in self.moments.items():
            total, count = moment(y, components, steps, weights)
            self._total(name, total)
            self._total(f"{name}.count", np.array(count))

    def _total(self, name: str, total: Array) -> None:
        self.totals[name] = self.totals[name] + total if name in self.totals else total.copy()


def _joined(first: Series, second: Series) -> Series:
    weights = None
    if first.weights is not None or second.weights is not None:
        weights = np.concatenate([_weights_of(first), _weights_of(second)])
    return Series(np.concatenate([first.x, second.x]), np.concatenate([first.y, second.y]), weights)


def _weights_of(series: Series) -> Array:
    return np.ones(len(series)) if series.weights is None else series.weights


def _copied(series: Series) -> Series:
    """Return a copy, so that the tail does not keep a whole chunk alive."""
    return Series(series.x.copy(), series.y.copy(), None if series.weights is None else series.weights.copy())
