"""What the trainable nodes of spectral learning share: how reservoirpy's `fit` becomes passes over series."""

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from reservoirpy.node import ParallelNode

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.learned import Diagnostics, Learned
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import ParallelPasses, Passes, SerialPasses
from lightning_neuro.spectral_rnn.polynomial_node import State, checked_limit
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.series import Array, Series, SeriesLike, as_series


class FittedNode(ParallelNode):
    """A node whose `fit` reads the series several times.

    reservoirpy's own `fit` deletes the rows of missing targets and thereby joins steps that are not adjacent, and cuts
    off the warmup with the lags in it. So `fit` is overridden: missing targets and the warmup lose their weight, and
    their inputs stay as neighbours of others; a row of inputs with a NaN is a gap that nothing reaches across.
    """

    options: Options
    max_abs_state: float | None
    A1_: Array
    A2_: Array
    intercept_: Array
    score_: ScoreModel
    singular_values_: Array
    diagnostics_: Diagnostics
    n_samples_: int
    n_dropped_: int
    converged_: bool
    fitted: bool = False

    def _prepare_node(self, options: Options, max_abs_state: float | None, name: str | None) -> None:
        self.options, self.name = options, name
        for field in ("units", "activation", "score", "u_method", "refine", "y_clip", "order", "seed"):
            setattr(self, field, getattr(options, field))
        self.max_abs_state = checked_limit(type(self).__name__, max_abs_state)
        self.state: State = {}

    def initialize(self, x: Any, y: Any = None) -> None:
        """Set the widths; weights come with `fit`.

        Raises:
            RuntimeError: there are no outputs to learn from.
        """
        if y is None:
            raise RuntimeError(
                f"{type(self).__name__}: expected fit(x, y) before run, got a call without outputs. Upstream of "
                "other nodes in a Model, fit it first and put to_node() in its place."
            )
        self._set_input_dim(x)
        self._set_output_dim(y)
        self.state = {"out": np.zeros(self.output_dim)}
        self.initialized = True

    def fit(self, x: SeriesLike, y: SeriesLike | None = None, warmup: int = 0, workers: int = 1) -> Self:
        """Learn from series.

        Args:
            x: inputs `(T, Dx)`, `(B, T, Dx)` or a list of `(T_i, Dx)`.
            y: outputs, of the same form with Dy columns; a NaN is a missing target.
            warmup: leading steps of each series whose outputs are not learned from.
            workers: threads, each with a share of the series; -1 for one per core.

        Raises:
            TypeError: x or y is not made of real numbers.
            ValueError: y is missing, shapes do not fit together, or the data do not suffice; see the message.
        """
        owner = type(self).__name__
        if y is None:
            raise ValueError(f"{owner}: fit needs outputs y, got None. In a Model, name the node and give y by name.")
        warmup = checks.integer(owner, "warmup", warmup, at_least=0)
        series = as_series(owner, x, y, warmup=warmup)
        self._check_widths(owner, series[0])
        if not self.initialized:
            self.initialize(series[0].x, series[0].y)
        workers = effective_n_jobs(workers)
        self._take(self._learn(SerialPasses(series) if workers == 1 else ParallelPasses(series, workers)), series)
        return self

    def worker(self, x: Array, y: Array | None) -> Series:
        """Return one checked series; reservoirpy's name for what is done per series."""
        (series,) = as_series(type(self).__name__, x, y)
        return series

    def master(self, generator: Iterable[Series]) -> None:
        """Learn from what the workers return."""
        series = list(generator)
        self._take(self._learn(SerialPasses(series)), series)

    def _learn(self, passes: Passes) -> Learned[Any]:
        raise NotImplementedError

    def _take(self, learned: Learned[Any], series: list[Series]) -> None:
        """Keep what was learned under sklearn's names, and begin with a state of zeros."""
        self.model_, self.score_, self.diagnostics_ = learned.model, learned.score, learned.diagnostics
        self.by_moments_ = learned.by_moments
        self.A1_, self.A2_ = learned.model.input_weights, learned.model.output_weights
        self.intercept_ = learned.model.offset
        self.singular_values_ = learned.diagnostics.singular_values
        self.n_samples_, self.n_dropped_ = learned.diagnostics.n_steps, learned.diagnostics.n_dropped
        self.converged_ = learned.converged
        self.fitted = True

    def _check_widths(self, owner: str, series: Series) -> None:
        for name, values, known in (("x", series.x, self.input_dim), ("y", series.y, self.output_dim)):
            if known is not None and values.shape[1] != known:
                raise ValueError(
                    f"{owner}: {name} must have {known} columns as at the first fit, got {values.shape[1]}. "
                    "Make a new node for other data."
                )

    def _require_fitted(self) -> None:
        if not self.fitted:
            raise RuntimeError(f"{type(self).__name__}: expected fit(x, y) before run, got a call without it.")
