"""How to learn, checked once."""

from dataclasses import dataclass

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.score import ScoreModel

ACTIVATIONS = ("quadratic", "linear", "cubic")
U_METHODS = ("mixed", "s4")


@dataclass(frozen=True)
class Options:
    """How to learn.

    Args:
        units: number of neurons (of both directions together, for a bidirectional network), or "auto".
        activation: "quadratic", "linear" or "cubic".
        score: "auto", "iid", "ar1" or a score model.
        u_method: "mixed" (ours) or "s4" (following the approach of the paper).
        refine: most steps of refinement; 0 for moments alone.
        recurrent_limit: largest row of U in refinement, in units of each neuron's drive.
        n_restarts: random starts of the decomposition.
        y_clip: None, or a quantile such as 0.999: moments see outputs cut at it and at its counterpart, and refinement
            sees residuals cut at the distance of the two.
        order: of the moment that shows the neurons: None for that of the activation; "auto" with a quadratic one goes
            on to the third where the second vanishes, and learns a cubic network.
        lags: Markov parameters of a linear network less one; None for what the number of units needs.
        seed: of the decomposition.
    """

    units: int | str
    activation: str = "quadratic"
    score: str | ScoreModel = "auto"
    u_method: str = "mixed"
    refine: int = 6
    recurrent_limit: float = 0.3
    n_restarts: int = 5
    y_clip: float | None = None
    order: str | None = None
    lags: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        owner = "spectral learning"
        if self.units != "auto":
            checks.integer(owner, "units", self.units, at_least=1)
        checks.choice(owner, "activation", self.activation, ACTIVATIONS)
        checks.choice(owner, "u_method", self.u_method, U_METHODS)
        checks.integer(owner, "refine", self.refine, at_least=0)
        checks.number(owner, "recurrent_limit", self.recurrent_limit, above=0)
        checks.integer(owner, "n_restarts", self.n_restarts, at_least=0)
        if self.y_clip is not None:
            checks.number(owner, "y_clip", self.y_clip, above=0.5, below=1)
        if self.order is not None:
            checks.choice(owner, "order", self.order, ("auto",))
        if self.order == "auto" and self.activation != "quadratic":
            raise ValueError(
                f"{owner}: order='auto' goes from activation='quadratic' to the third moment, got {self.activation!r}. "
                "Leave order out."
            )
        if self.lags is not None:
            checks.integer(owner, "lags", self.lags, at_least=1)
