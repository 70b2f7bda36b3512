"""`SpectralBiRNN`: a network that reads in both directions, as a reservoirpy node."""

from typing import TYPE_CHECKING, Any

import numpy as np

from lightning_neuro.spectral_rnn.bidirectional import BidirectionalModel
from lightning_neuro.spectral_rnn.fitted_node import FittedNode
from lightning_neuro.spectral_rnn.learned import Learned
from lightning_neuro.spectral_rnn.learning import learn_bidirectional
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import Passes
from lightning_neuro.spectral_rnn.polynomial_node import State, hidden_run
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.series import Array, Series

if TYPE_CHECKING:
    from lightning_neuro.spectral_rnn import torch as torch_part


class SpectralBiRNN(FittedNode):
    """`h_t = f(A1 x_t + U h_{t-1})`, `k_t = f(B1 x_t + V k_{t+1})`, `E[y_t] = A2^T [h_t; k_t] + c`, with `f(z) = z^2`.

    Outputs depend on what follows, so a whole series has to be there: `run` works, `step` cannot, and neither can
    models with feedback or delays, which run step by step.

    Args:
        units: number of neurons of each direction; Dx must be at least twice that.
        score: as for `SpectralRNN`.
        refine: as for `SpectralRNN`.
        y_clip: as for `SpectralRNN`.
        max_abs_state: as for `SpectralRNN`.
        n_restarts: as for `SpectralRNN`.
        seed: of these.
        name: of the node.

    Attributes:
        A1_: input weights of the forward neurons `(H, Dx)`.
        U_: their recurrent weights `(H, H)`.
        B1_: input weights of the backward neurons `(H, Dx)`.
        V_: their recurrent weights `(H, H)`.
        A2_: output weights `(2 H, Dy)`, those of the forward neurons first.
        intercept_: c `(Dy,)`.

    Further attributes are those of `SpectralRNN`, without `h0_`.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: an argument is out of range.

    >>> rng = np.random.default_rng(0)
    >>> one, other = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 0.6, 0.8]])
    >>> recurrence, readout = np.array([[0.15]]), np.array([[1.0, 0.0]])
    >>> from lightning_neuro.spectral_rnn.model import PolynomialModel
    >>> truth = BidirectionalModel(
    ...     PolynomialModel(one, recurrence, readout), PolynomialModel(other, recurrence, readout[:, ::-1])
    ... )
    >>> x = rng.standard_normal((20_000, 3))
    >>> node = SpectralBiRNN(1, seed=0).fit(x, truth.predict(x))
    >>> abs(node.A1_).round(2).tolist(), abs(node.B1_).round(2).tolist(), node.V_.round(2).tolist()
    ([[1.0, 0.0, 0.0]], [[0.0, 0.6, 0.8]], [[0.15]])
    """

    U_: Array
    B1_: Array
    V_: Array

    def __init__(
        self,
        units: int,
        *,
        score: str | ScoreModel = "auto",
        refine: int = 6,
        y_clip: float | None = None,
        max_abs_state: float | None = None,
        n_restarts: int = 5,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        if units == "auto":
            raise ValueError("SpectralBiRNN: units must be a number, got 'auto'. Each direction has as many.")
        once = Options(units, score=score, refine=refine, y_clip=y_clip, n_restarts=n_restarts, seed=seed)
        self._prepare_node(once, max_abs_state, name)
        self._both = Options(2 * units, score=score, refine=refine, y_clip=y_clip, n_restarts=n_restarts, seed=seed)

    def to_torch(self) -> "torch_part.BidirectionalPolynomialRNN":
        """Return the network as a `torch.nn.Module`."""
        self._require_fitted()
        from lightning_neuro.spectral_rnn.torch import BidirectionalPolynomialRNN

        return BidirectionalPolynomialRNN.from_model(self.model_)

    def _learn(self, passes: Passes) -> Learned[BidirectionalModel]:
        return learn_bidirectional(passes, self._both)

    def _take(self, learned: Learned[Any], series: list[Series]) -> None:
        super()._take(learned, series)
        forward, backward = learned.model.forward, learned.model.backward
        self.A1_, self.U_ = forward.input_weights, forward.recurrent_weights
        self.B1_, self.V_ = backward.input_weights, backward.recurrent_weights
        self.state = {"out": np.zeros(self.output_dim)}

    def _step(self, state: State, x: Array) -> State:
        raise NotImplementedError(
            "SpectralBiRNN: a step cannot be told before what follows it is known. Call run(x) on whole series, in "
            "models without feedback and delays."
        )

    def _run(self, state: State, x: Array) -> tuple[State, Array]:
        self._require_fitted()
        x, model = np.asarray(x, np.float64), self.model_
        start = np.zeros(model.forward.units)
        onward = hidden_run("SpectralBiRNN", model.forward, start, x, self.max_abs_state)
        back = hidden_run("SpectralBiRNN", model.backward, start, x[::-1], self.max_abs_state)[::-1]
        outputs = np.hstack([onward, back]) @ self.A2_ + self.intercept_
        return ({"out": outputs[-1]} if len(outputs) else state), outputs
