"""The first pass over the data: what the score is fitted by, and the mean and covariance of the outputs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from lightning_neuro.spectral_rnn.alarms import OUTLIER_SHARE
from lightning_neuro.spectral_rnn.gaussian_statistics import GaussianStatistics
from lightning_neuro.spectral_rnn.passes import gathered, pieces
from lightning_neuro.spectral_rnn.series import Array, Series, all_finite, drop_exploded

SAMPLE = 20_000
FEW = 50
"""Steps below which one of them may well carry most of the variance."""


@dataclass
class Survey:
    """Sums of a first pass.

    Attributes:
        inputs: sums over neighbouring inputs.
        input_range: least and largest number of each column, `(2, Dx)`.
        output_range: the same of outputs, `(2, Dy)`.
        n_series: how many series there were, the dropped ones among them.
        n_dropped: how many held a number that is infinite or has exploded.
        n_steps: steps with inputs and outputs.
        sample: inputs of about the first 20000 steps, to look at the score with; a row of NaN between two series.
        output_sample: outputs with all columns known of about the first 20000 of them.
        output_total: sum of y relative to the first one seen, `(Dy,)`.
        output_products: sum of its outer products.
    """

    inputs: GaussianStatistics | None = None
    input_range: Array = field(default_factory=lambda: np.zeros((2, 0)))
    output_range: Array = field(default_factory=lambda: np.zeros((2, 0)))
    n_series: int = 0
    n_dropped: int = 0
    n_steps: int = 0
    sample: list[Array] = field(default_factory=list)
    output_sample: list[Array] = field(default_factory=list)
    origin: Array = field(default_factory=lambda: np.zeros(0))
    output_total: Array = field(default_factory=lambda: np.zeros(0))
    output_products: Array = field(default_factory=lambda: np.zeros((0, 0)))

    def add(self, source: Iterable[Series]) -> None:
        """Add series."""
        for batch in gathered(self._sound(source)):
            for piece in pieces(batch):
                if self.inputs is None:
                    self.inputs = GaussianStatistics.empty(piece.x.shape[1])
                self.inputs.accumulate(piece.x)
                self.input_range = _widened(self.input_range, piece.x)
                _fill(self.sample, [piece.x])
                self._add_outputs(piece)

    def merge(self, other: "Survey") -> None:
        """Add the sums of another part of the data."""
        self.n_series += other.n_series
        self.n_dropped += other.n_dropped
        if other.inputs is not None and self.inputs is not None:
            self.inputs.merge(other.inputs)
        self.inputs = self.inputs or other.inputs
        _fill(self.sample, other.sample)
        _fill(self.output_sample, other.output_sample)
        self.input_range = _widened(self.input_range, other.input_range)
        self.output_range = _widened(self.output_range, other.output_range)
        if other.n_steps:
            self._add_sums(other.n_steps, other.origin, other.output_total, other.output_products)

    @property
    def output_mean(self) -> Array:
        """Mean of the outputs, `(Dy,)`."""
        return self.origin + self.output_total / self.n_steps

    @property
    def output_covariance(self) -> Array:
        """Covariance of the outputs, `(Dy, Dy)`."""
        mean = self.output_total / self.n_steps
        return self.output_products / self.n_steps - np.outer(mean, mean)

    @property
    def input_second_moment(self) -> Array:
        """Mean of `x x^T`, `(Dx, Dx)`."""
        statistics = self.require_inputs()
        mean = statistics.means()[1]
        return statistics.covariances()[2] + np.outer(mean, mean)

    def require_inputs(self) -> GaussianStatistics:
        """Return the sums over inputs.

        Raises:
            ValueError: there are no usable data.
        """
        if self.inputs is None or not self.n_steps or not self.inputs.pairs:
            raise ValueError(
                "spectral learning: expected series with adjacent finite steps and outputs, got "
                f"{self.n_series} series, {self.n_dropped} of them dropped as exploded, with {self.n_steps} "
                "usable steps in all."
            )
        return self.inputs

    def outlier(self) -> str | None:
        """Return which column has a step that carries most of its variance and how much, or None."""
        statistics = self.require_inputs()
        columns = (
            ("x", self.input_range, statistics.means()[1], statistics.covariances()[2], statistics.pairs),
            ("y", self.output_range, self.output_mean, self.output_covariance, self.n_steps),
        )
        for name, ends, mean, covariance, count in columns:
            spread = np.maximum(np.diag(covariance), np.finfo(float).tiny) * count
            share = np.max((ends - mean) ** 2, axis=0) / spread
            if count >= FEW and share.max() > OUTLIER_SHARE:
                return f"column {int(share.argmax())} of {name}, {min(share.max(), 1):.0%}"
        return None

    def clipping(self, quantile: float) -> tuple[Array, Array]:
        """Return the least and the largest output `(Dy,)` within a quantile and its counterpart, by the sample."""
        low, high = np.quantile(np.concatenate(self.output_sample), [1 - quantile, quantile], axis=0)
        return low, high

    def _sound(self, source: Iterable[Series]) -> Iterator[Series]:
        for series in source:
            self.n_series += 1
            if drop_exploded([series])[0]:
                yield series
            else:
                self.n_dropped += 1

    def _add_outputs(self, stretch: Series) -> None:
        y = stretch.y
        if stretch.weights is not None:
            y = y[stretch.weights > 0]
        if not all_finite(y):
            y = y[np.isfinite(y).all(axis=1)]
        if len(y):
            self.output_range = _widened(self.output_range, y)
            _fill(self.output_sample, [y])
            centred = y - y[0]
            self._add_sums(len(y), y[0], np.ones(len(y)) @ centred, centred.T @ centred)

    def _add_sums(self, count: int, origin: Array, total: Array, products: Array) -> None:
        if not self.n_steps:
            self.n_steps, self.origin, self.output_total, self.output_products = count, origin, total, products
            return
        shift = origin - self.origin
        crossed = np.outer(total, shift)
        self.output_products = self.output_products + products + crossed + crossed.T + count * np.outer(shift, shift)
        self.output_total = self.output_total + total + count * shift
        self.n_steps += count


def _fill(sample: list[Array], found: list[Array]) -> None:
    for values in found:
        wanted = SAMPLE - sum(map(len, sample))
        if wanted > 0:
            sample.append(values[:wanted].copy())


def _widened(ends: Array, values: Array) -> Array:
    """Return least and largest number of each column, those of `ends` among them; NaN is passed over."""
    if not values.size:
        return ends
    found = np.stack([np.fmin.reduce(values), np.fmax.reduce(values)])
    return found if not ends.size else np.stack([np.minimum(ends[0], found[0]), np.maximum(ends[1], found[1])])


def survey(source: Iterable[Series]) -> Survey:
    """Return the sums of a first pass.

    >>> y = np.array([[1.0], [3.0]])
    >>> seen = survey([Series(y, y), Series(y + np.inf, y)])
    >>> seen.n_steps, seen.n_dropped, seen.output_mean.tolist(), seen.output_covariance.tolist()
    (2, 1, [2.0], [[1.0]])
    """
    found = Survey()
    found.add(source)
    return found
