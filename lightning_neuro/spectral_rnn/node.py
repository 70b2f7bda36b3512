"""`SpectralRNN`: a recurrent network learned without gradients, as a reservoirpy node."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from reservoirpy.nodes import Ridge

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.fitted_node import FittedNode
from lightning_neuro.spectral_rnn.initial_state import fit_initial_state
from lightning_neuro.spectral_rnn.learned import Learned
from lightning_neuro.spectral_rnn.learning import learn
from lightning_neuro.spectral_rnn.model import PolynomialModel
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import Passes
from lightning_neuro.spectral_rnn.polynomial_node import PolynomialRNN, State, hidden_run
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.series import Array, Series, SeriesLike
from lightning_neuro.spectral_rnn.streaming import StreamLearner

if TYPE_CHECKING:
    from lightning_neuro.spectral_rnn import torch as torch_part


class SpectralRNN(FittedNode):
    """`h_t = f(A1 x_t + U h_{t-1})`, `E[y_t] = A2^T h_t + c`, learned from moments of outputs and input scores.

    Three passes over the data and, with `refine`, some more; no gradient, no learning rate. `fit`, `run` and `>>` are
    those of reservoirpy; a fitted node used upstream of others goes in as `to_node()`.

    Args:
        units: number of neurons H, at most Dx; "auto" by the largest gap of the singular values.
        activation: "quadratic" (`z^2`), "linear" or "cubic" (`z^3`).
        score: "auto" (by the data, between the next two), "iid", "ar1", or a score model, fitted or not.
        u_method: "mixed" (ours, the more accurate) or "s4" (by the fourth-order score, following the paper).
        refine: most steps of residual-corrected refinement, which is ours; 0 for moments alone.
        fit_initial_state: whether the state before the first step is fitted as well, by the first ten outputs.
        y_clip: None, or a quantile such as 0.999, against outliers in y: moments see outputs cut at it and at its
            counterpart; refinement sees residuals cut at the distance of the two, so that large outputs which the
            network explains stay whole.
        order: None for the moment of the activation; "auto" goes on to the third one, and a cubic network, where the
            second vanishes as for tanh.
        max_abs_state: in `run`: None: a state beyond 1e6 is an error; a number: states are cut at it.
        n_restarts: random starts of the decomposition.
        seed: of these.
        name: of the node.

    Attributes:
        A1_: input weights `(H, Dx)`, rows of length 1.
        U_: recurrent weights `(H, H)`.
        A2_: output weights `(H, Dy)`.
        intercept_: c `(Dy,)`.
        h0_: state before the first step `(H,)`.
        score_: the fitted score.
        singular_values_: of the moment that shows the neurons.
        diagnostics_: how far to trust it; `print(diagnostics_.table())`.
        converged_: refinement settled.
        by_moments_: the network before refinement.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range.

    Source: follows the approach of Sedghi and Anandkumar, arXiv 1603.00954; differs as the documentation says.

    >>> rng = np.random.default_rng(0)
    >>> truth = PolynomialRNN([[0.6, 0.8, 0.0]], [[0.1]])
    >>> x = rng.standard_normal((5000, 3))
    >>> node = SpectralRNN(1, seed=0).fit(x, truth.run(x) @ [[1.0, -2.0]])
    >>> abs(node.A1_).round(2).tolist(), node.U_.round(2).tolist(), node.A2_.round(2).tolist()
    ([[0.6, 0.8, 0.0]], [[0.1]], [[1.0, -2.0]])
    """

    U_: Array
    h0_: Array

    def __init__(
        self,
        units: int | str,
        *,
        activation: str = "quadratic",
        score: str | ScoreModel = "auto",
        u_method: str = "mixed",
        refine: int = 6,
        fit_initial_state: bool = False,
        y_clip: float | None = None,
        order: str | None = None,
        max_abs_state: float | None = None,
        n_restarts: int = 5,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        options = Options(
            units,
            activation=activation,
            score=score,
            u_method=u_method,
            refine=refine,
            n_restarts=n_restarts,
            y_clip=y_clip,
            order=order,
            seed=seed,
        )
        self._prepare_node(options, max_abs_state, name)
        self.fit_initial_state = checks.flag("SpectralRNN", "fit_initial_state", fit_initial_state)
        self._stream: StreamLearner | None = None

    def accumulate(self, x: SeriesLike, y: SeriesLike, *, continues: bool = False) -> Self:
        """Add series of a stream that is not kept; `finalize` learns from all of them, without refinement.

        Args:
            x: inputs, as for `fit`.
            y: outputs, as for `fit`.
            continues: x carries on where the last call ended.
        """
        if self._stream is None:
            self._stream = StreamLearner(self.options)
        self._stream.accumulate(x, y, continues=continues)
        return self

    def merge(self, other: "SpectralRNN") -> Self:
        """Add what another node has accumulated; both must have been given the same fitted score."""
        if other._stream is not None:
            if self._stream is None:
                self._stream = StreamLearner(self.options)
            self._stream.merge(other._stream)
        return self

    def finalize(self) -> Self:
        """Learn from what was accumulated.

        Raises:
            RuntimeError: nothing was.
        """
        if self._stream is None:
            raise RuntimeError("SpectralRNN: finalize expected accumulate(x, y) before it, got no data.")
        learned = self._stream.finalize()
        if not self.initialized:
            weights = learned.model
            self.initialize(weights.input_weights, weights.output_weights)
        self._take(learned, self._stream.sample)
        return self

    def to_node(self, name: str | None = None) -> PolynomialRNN:
        """Return the recurrence as a plain node that emits the hidden state, to be used upstream of others."""
        self._require_fitted()
        model = self.model_
        return PolynomialRNN(self.A1_, self.U_, model.coeffs, model.bias, self.max_abs_state, name, self.h0_)

    def readout(self, name: str | None = None) -> Ridge:
        """Return the readout as a fitted `Ridge`, so that `to_node() >> readout()` predicts as this node does."""
        self._require_fitted()
        return Ridge(Wout=self.A2_.copy(), bias=self.intercept_.copy(), name=name)

    def to_torch(self) -> "torch_part.PolynomialRNN":
        """Return the network as a `torch.nn.Module`; it starts from zero unless its call is given `h0_`."""
        self._require_fitted()
        from lightning_neuro.spectral_rnn.torch import PolynomialRNN as Module

        return Module.from_model(self.model_)

    def reset(self) -> State:
        """Go back to the state before the first step, and return the present one."""
        before = self.state
        if self.fitted:
            self.state = self._state(self.h0_)
        return before

    def _learn(self, passes: Passes) -> Learned[PolynomialModel]:
        return learn(passes, self.options)

    def _take(self, learned: Learned[Any], series: list[Series]) -> None:
        super()._take(learned, series)
        self.U_ = learned.model.recurrent_weights
        self.h0_ = fit_initial_state(learned.model, series) if self.fit_initial_state else np.zeros(len(self.U_))
        self.state = self._state(self.h0_)

    def _state(self, hidden: Array) -> State:
        return {"out": np.zeros(self.output_dim), "hidden": hidden}

    def _step(self, state: State, x: Array) -> State:
        new, _ = self._run(state, np.asarray(x, np.float64)[None])
        return new

    def _run(self, state: State, x: Array) -> tuple[State, Array]:
        self._require_fitted()
        hidden = hidden_run("SpectralRNN", self.model_, state["hidden"], np.asarray(x, np.float64), self.max_abs_state)
        outputs = hidden @ self.A2_ + self.intercept_
        return ({"out": outputs[-1], "hidden": hidden[-1]} if len(hidden) else state), outputs
