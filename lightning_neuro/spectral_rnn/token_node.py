"""`SpectralTokenRNN`: a network on tokens, learned from what follows which pair of them, as a reservoirpy node."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from reservoirpy.node import ParallelNode

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.alarms import PoorFitWarning
from lightning_neuro.spectral_rnn.diagnostics_view import Reading, draw_singular_values, spectrum, table
from lightning_neuro.spectral_rnn.model import PolynomialModel
from lightning_neuro.spectral_rnn.polynomial_node import PolynomialRNN, State, checked_limit, hidden_run
from lightning_neuro.spectral_rnn.rank import components_stand_out
from lightning_neuro.spectral_rnn.series import Array, Series, SeriesLike, Steps, as_series
from lightning_neuro.spectral_rnn.tokens import PairTable, recover_from_pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHECKED_STEPS = 5000
LARGEST_RESIDUAL = 0.5
"""Relative residual of the decomposition above which the table tells."""


@dataclass(frozen=True)
class TokenDiagnostics:
    """How far a network learned from pairs of tokens can be trusted.

    Attributes:
        residual: what the decomposition leaves of the interaction of the pairs, relative.
        unseen: pairs of tokens that were never seen, and were filled in.
        n_steps: steps learned from.
        singular_values: of the interaction's unfolding along its outputs; those beyond the number of neurons are noise.
        units: number of neurons.

    >>> print(TokenDiagnostics(0.01, 2, 90, np.array([3.0, 0.1]), 1).table())
    singular values                3 | 0.1
    residual of the decomposition  0.01
    pairs never seen               2        ! they were filled in
    steps learned from             90
    """

    residual: float
    unseen: int
    n_steps: int
    singular_values: Array
    units: int

    def table(self) -> str:
        """Return a table to print: what was measured, and what is wrong with it."""
        apart = components_stand_out(self.singular_values, self.units)
        weak = "" if apart else "the last neuron hardly stands out of the noise"
        return table(
            [
                Reading("singular values", spectrum(self.singular_values, self.units), weak),
                Reading(
                    "residual of the decomposition",
                    f"{self.residual:.3g}",
                    "most of the interaction is unexplained" if self.residual > LARGEST_RESIDUAL else "",
                ),
                Reading("pairs never seen", str(self.unseen), "they were filled in" if self.unseen else ""),
                Reading("steps learned from", str(self.n_steps)),
            ]
        )

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the singular values, on `ax` or in a figure of its own.

        Raises:
            ModuleNotFoundError: matplotlib is not installed.
        """
        return draw_singular_values(ax, self.singular_values, self.units)


class SpectralTokenRNN(ParallelNode):
    """`h_t = (A1 x_t + U h_{t-1})^2`, `E[y_t] = A2^T h_t`, with one-hot x of a first-order Markov chain.

    One-hot inputs have no score. What is decomposed instead is the table of mean outputs by a token and the one before,
    less its rows' and columns' means; this is ours, and needs one pass.

    Args:
        units: number of neurons H: at most Dy, and at least two fewer than there are tokens.
        n_tokens: size of the vocabulary K, for series of token numbers `(T, 1)`; None for one-hot series `(T, K)`.
        max_abs_state: as for `SpectralRNN`.
        n_restarts: random starts of the decomposition; one of them in two may end in a local optimum.
        seed: of these.
        name: of the node.

    Attributes:
        A1_: input weights `(H, K)`.
        U_: recurrent weights `(H, H)`.
        A2_: output weights `(H, Dy)`.
        diagnostics_: a `TokenDiagnostics`.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range.

    >>> rng = np.random.default_rng(0)
    >>> truth = PolynomialRNN(rng.standard_normal((1, 4)), [[0.1]])
    >>> tokens = rng.integers(4, size=20_000)
    >>> y = truth.run(np.eye(4)[tokens]) @ [[1.0, -1.0]]
    >>> node = SpectralTokenRNN(1, n_tokens=4, seed=0).fit(tokens[:, None], y)
    >>> bool(np.corrcoef(node.run(tokens[:, None])[:, 0], y[:, 0])[0, 1] > 0.999)
    True
    """

    input_dim: int
    output_dim: int
    A1_: Array
    U_: Array
    A2_: Array
    model_: PolynomialModel
    diagnostics_: TokenDiagnostics

    def __init__(
        self,
        units: int,
        *,
        n_tokens: int | None = None,
        max_abs_state: float | None = None,
        n_restarts: int = 10,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        owner = "SpectralTokenRNN"
        self.units = checks.integer(owner, "units", units, at_least=1)
        self.n_tokens = None if n_tokens is None else checks.integer(owner, "n_tokens", n_tokens, at_least=2)
        self.max_abs_state = checked_limit(owner, max_abs_state)
        self.n_restarts = checks.integer(owner, "n_restarts", n_restarts, at_least=0)
        self.seed, self.name = seed, name
        self.state: State = {}
        self.table_: PairTable | None = None
        self.fitted = False

    def initialize(self, x: Any, y: Any = None) -> None:
        """Set the widths; weights come with `fit`.

        Raises:
            RuntimeError: there are no outputs to learn from.
        """
        if y is None:
            raise RuntimeError(
                "SpectralTokenRNN: expected fit(x, y) before run, got a call without outputs. Upstream of "
                "other nodes in a Model, fit it first and put to_node() in its place."
            )
        self._set_input_dim(x)
        self._set_output_dim(y)
        self.state = {"out": np.zeros(self.output_dim)}
        self.initialized = True

    def fit(self, x: SeriesLike, y: SeriesLike | None = None, warmup: int = 0, workers: int = 1) -> Self:
        """Learn from series; earlier data are forgotten.

        Args:
            x: token numbers `(T, 1)` or one-hot rows `(T, K)`, or several series.
            y: outputs, of the same form with Dy columns; a NaN is a missing target.
            warmup: leading steps of each series whose outputs are not learned from.
            workers: there for reservoirpy; one pass of counting is not divided.

        Raises:
            ValueError: y is missing, a row is no token, or the data do not suffice; see the message.

        Warns:
            PoorFitWarning: on the first 5,000 steps the network is no better than the mean.
        """
        if y is None:
            raise ValueError("SpectralTokenRNN: fit needs outputs y, got None.")
        checks.integer("SpectralTokenRNN", "warmup", warmup, at_least=0)
        self.table_ = None
        series = as_series("SpectralTokenRNN", x, y, warmup=warmup)
        self._count(series)
        self.finalize()
        self._tell_a_poor_fit(series)
        return self

    def accumulate(self, x: SeriesLike, y: SeriesLike, *, warmup: int = 0) -> Self:
        """Add series to the table of pairs."""
        self._count(as_series("SpectralTokenRNN", x, y, warmup=warmup))
        return self

    def _count(self, several: list[Series]) -> None:
        for series in several:
            if not self.initialized:
                self.initialize(series.x, series.y)
            if series.y.shape[1] != self.output_dim:
                raise ValueError(
                    f"SpectralTokenRNN: y must have {self.output_dim} columns as before, got {series.y.shape[1]}. "
                    "Make a new node for other outputs."
                )
            tokens = self._tokens(series.x)
            if self.table_ is None:
                self.table_ = PairTable.empty(self._vocabulary(), series.y.shape[1])
            y_kept = series.y if series.weights is None else np.where(series.weights[:, None] > 0, series.y, np.nan)
            self.table_.add(tokens, y_kept)

    def merge(self, other: "SpectralTokenRNN") -> Self:
        """Add what another node has accumulated."""
        if other.table_ is not None:
            if self.table_ is None:
                self.table_ = PairTable.empty(*other.table_.totals.shape[1:])
                self.input_dim, self.output_dim = other.input_dim, other.output_dim
                self.state, self.initialized = {"out": np.zeros(other.output_dim)}, True
            if self.table_.totals.shape != other.table_.totals.shape:
                raise ValueError(
                    "SpectralTokenRNN: nodes to merge must have the same tokens and outputs, got tables of "
                    f"{self.table_.totals.shape} and {other.table_.totals.shape}."
                )
            self.table_.merge(other.table_)
        return self

    def finalize(self) -> Self:
        """Learn from what was accumulated.

        Raises:
            RuntimeError: nothing was.
            ValueError: the data do not suffice; see the message.
        """
        if self.table_ is None:
            raise RuntimeError("SpectralTokenRNN: finalize expected accumulate(x, y) before it, got no data.")
        found = recover_from_pairs(self.table_, self.units, n_restarts=self.n_restarts, seed=self.seed)
        self.model_ = found.model
        self.A1_, self.U_ = found.model.input_weights, found.model.recurrent_weights
        self.A2_ = found.model.output_weights
        self.diagnostics_ = TokenDiagnostics(
            found.residual,
            found.unseen,
            int(self.table_.counts.sum()),
            np.asarray(np.linalg.svd(found.interaction.reshape(-1, self.A2_.shape[1]), compute_uv=False), np.float64),
            self.units,
        )
        self.state = {"out": np.zeros(self.output_dim), "hidden": np.zeros(self.units)}
        self.fitted = True
        return self

    def worker(self, x: Array, y: Array | None) -> PairTable:
        """Return the sums over one series; reservoirpy's name for it."""
        (series,) = as_series("SpectralTokenRNN", x, y)
        pairs = PairTable.empty(self._vocabulary(), series.y.shape[1])
        pairs.add(self._tokens(series.x), series.y)
        return pairs

    def master(self, generator: Iterable[PairTable]) -> None:
        """Learn from what the workers return."""
        self.table_ = None
        for pairs in generator:
            if self.table_ is None:
                self.table_ = pairs
            else:
                self.table_.merge(pairs)
        self.finalize()

    def to_node(self, name: str | None = None) -> PolynomialRNN:
        """Return the recurrence on one-hot inputs as a plain node that emits the hidden state."""
        self._require_fitted()
        return PolynomialRNN(self.A1_, self.U_, self.model_.coeffs, None, self.max_abs_state, name)

    def _step(self, state: State, x: Array) -> State:
        new, _ = self._run(state, np.asarray(x, np.float64)[None])
        return new

    def _run(self, state: State, x: Array) -> tuple[State, Array]:
        self._require_fitted()
        one_hot = np.eye(self._vocabulary())[self._tokens(np.asarray(x, np.float64))]
        hidden = hidden_run("SpectralTokenRNN", self.model_, state["hidden"], one_hot, self.max_abs_state)
        outputs = hidden @ self.A2_ + self.model_.offset
        return ({"out": outputs[-1], "hidden": hidden[-1]} if len(hidden) else state), outputs

    def _tell_a_poor_fit(self, series: list[Series]) -> None:
        """Warn where the network explains less than the mean does: of an offset in y, say, the table shows nothing."""
        left, wrong, outputs = CHECKED_STEPS, 0.0, []
        for one in series:
            x, y = one.x[:left], one.y[:left]
            kept = np.isfinite(y).all(axis=1) & (True if one.weights is None else one.weights[:left] > 0)
            one_hot = np.eye(self._vocabulary())[self._tokens(x)]
            try:
                hidden = hidden_run("SpectralTokenRNN", self.model_, np.zeros(self.units), one_hot, self.max_abs_state)
            except FloatingPointError:
                wrong = np.inf
            else:
                wrong += float(((hidden @ self.A2_ + self.model_.offset - y)[kept] ** 2).sum())
            outputs.append(y[kept])
            left -= len(y)
            if left <= 0:
                break
        known = np.concatenate(outputs)
        spread = float(((known - known.mean(axis=0)) ** 2).sum())
        if not wrong < spread:
            warnings.warn(
                f"SpectralTokenRNN: on its own data the network is wrong by {wrong / spread:.3g} of the outputs' "
                "variance, no better than their mean. It has no intercept: subtract what y does not get from the "
                "tokens. Or the outputs hardly depend on pairs of tokens; use fewer units or more data.",
                PoorFitWarning,
                stacklevel=3,
            )

    def _vocabulary(self) -> int:
        return self.n_tokens if self.n_tokens is not None else int(self.input_dim)

    def _tokens(self, x: Array) -> Steps:
        if self.n_tokens is None:
            if not (((x == 0) | (x == 1)).all() and (x.sum(axis=1) == 1).all()):
                raise ValueError(
                    "SpectralTokenRNN: rows of x must be one-hot, got others. For token numbers give n_tokens and x "
                    "of shape (T, 1)."
                )
            return x.argmax(axis=1)
        if x.shape[1] != 1 or not (np.isfinite(x).all() and (x == np.floor(x)).all()):
            raise ValueError(
                f"SpectralTokenRNN: with n_tokens, x must be whole numbers of shape (T, 1), got shape {x.shape}. "
                "For one-hot rows leave n_tokens out."
            )
        tokens = x[:, 0].astype(np.int64)
        if len(tokens) and not 0 <= tokens.min() <= tokens.max() < self.n_tokens:
            raise ValueError(
                f"SpectralTokenRNN: tokens must be 0 to {self.n_tokens - 1}, got {tokens.min()} to {tokens.max()}."
            )
        return tokens

    def _require_fitted(self) -> None:
        if not self.fitted:
            raise RuntimeError("SpectralTokenRNN: expected fit(x, y) before run, got a call without it.")
