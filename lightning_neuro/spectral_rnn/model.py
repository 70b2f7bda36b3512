"""The polynomial input-output network: its weights and its run."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lightning_neuro.spectral_rnn.parallel_run import run_segments
from lightning_neuro.spectral_rnn.series import Array

QUADRATIC = (0.0, 0.0, 1.0)
LINEAR = (0.0, 1.0)
CUBIC = (0.0, 0.0, 0.0, 1.0)

EXPLODED = 1e6


@dataclass(frozen=True)
class PolynomialModel:
    """`h_t = f(A1 x_t + U h_{t-1} + b)` and `E[y_t | x] = A2^T h_t + c`, with a polynomial f.

    Symbols: A1 `input_weights (H, Dx)`, U `recurrent_weights (H, H)`, A2 `output_weights (H, Dy)`, b `bias (H,)`,
    c `offset (Dy,)`; `coeffs` are those of f, lowest power first. Rows index neurons.

    >>> model = PolynomialModel([[1.0, 2.0]], [[0.5]], [[3.0]])
    >>> model.predict(np.array([[1.0, 0.0], [0.0, 0.5]])).tolist()
    [[3.0], [6.75]]
    """

    input_weights: Array
    recurrent_weights: Array
    output_weights: Array
    coeffs: tuple[float, ...] = QUADRATIC
    offset: Array = field(default_factory=lambda: np.zeros(0))
    bias: Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        for name in ("input_weights", "recurrent_weights", "output_weights", "offset", "bias"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        ranks = (self.input_weights.ndim, self.recurrent_weights.ndim, self.output_weights.ndim)
        units, outputs = self.output_weights.shape if ranks == (2, 2, 2) else (-1, -1)
        if ranks != (2, 2, 2) or self.input_weights.shape[0] != units or self.recurrent_weights.shape != (units, units):
            raise ValueError(
                "PolynomialModel: expected input_weights (H, Dx), recurrent_weights (H, H), output_weights (H, Dy), "
                f"got {self.input_weights.shape}, {self.recurrent_weights.shape}, {self.output_weights.shape}."
            )
        if not self.offset.size:
            object.__setattr__(self, "offset", np.zeros(outputs))
        if not self.bias.size:
            object.__setattr__(self, "bias", np.zeros(units))

    @property
    def units(self) -> int:
        """Number of neurons H."""
        return len(self.recurrent_weights)

    def states(self, series: Sequence[Array], h0: Array | None = None, max_abs_state: float = EXPLODED) -> list[Array]:
        """Return the hidden states `(T_i, H)` of each series `(T_i, Dx)`; see `simulate`."""
        return simulate(
            self.input_weights, self.recurrent_weights, self.coeffs, series, h0, max_abs_state, bias=self.bias
        )

    def predict(self, x: Array, h0: Array | None = None, max_abs_state: float = EXPLODED) -> Array:
        """Return the outputs `(T, Dy)` of one series `(T, Dx)`; NaN from where the state explodes."""
        return self.predict_all([x], h0, max_abs_state)[0]

    def predict_all(
        self, series: Sequence[Array], h0: Array | None = None, max_abs_state: float = EXPLODED
    ) -> list[Array]:
        """Return the outputs `(T_i, Dy)` of each series `(T_i, Dx)`; NaN from where a state explodes."""
        return [states @ self.output_weights + self.offset for states in self.states(series, h0, max_abs_state)]


def polynomial(z: Array, coeffs: Sequence[float]) -> Array:
    """Return `sum_k coeffs[k] z^k`, elementwise.

    >>> polynomial(np.array([2.0]), (1.0, 0.0, 3.0)).tolist()
    [13.0]
    """
    result = np.full_like(z, coeffs[-1])
    for coefficient in coeffs[-2::-1]:
        result *= z
        result += coefficient
    return result


def simulate(
    input_weights: Array,
    recurrent_weights: Array,
    coeffs: Sequence[float],
    series: Sequence[Array],
    h0: Array | None = None,
    max_abs_state: float = EXPLODED,
    *,
    bias: Array | None = None,
) -> list[Array]:
    """Return the hidden states `h_t = f(A1 x_t + U h_{t-1} + b)` of each series.

    Series run side by side, long ones in segments, which gives the states of a step-by-step run within rounding.

    Args:
        input_weights: A1 `(H, Dx)`.
        recurrent_weights: U `(H, H)`.
        coeffs: coefficients of f, lowest power first.
        series: inputs `(T_i, Dx)`.
        h0: state before the first step of each series `(H,)`; zero if None.
        max_abs_state: a state beyond this has exploded: it and every later one of the series are NaN.
        bias: b `(H,)`.

    Returns:
        States `(T_i, H)` of each series.

    >>> simulate(np.ones((1, 1)), np.full((1, 1), 0.5), (0.0, 1.0), [np.ones((3, 1))])[0].ravel().tolist()
    [1.0, 1.5, 1.75]
    """
    shift = 0.0 if bias is None else bias
    start = np.zeros(len(recurrent_weights)) if h0 is None else np.asarray(h0, dtype=np.float64)

    def step(drive: Array, state: Array) -> Array:
        new = polynomial(drive + state @ recurrent_weights.T, coeffs)
        new[~(np.abs(new).max(axis=1) <= max_abs_state)] = np.nan
        return new

    with np.errstate(over="ignore", invalid="ignore"):
        return run_segments(step, [x @ input_weights.T + shift for x in series], start)


def parity(coeffs: Sequence[float]) -> str:
    """Return "even", "odd" or "mixed" for a polynomial; what can be known of signs depends on it.

    >>> parity((0, 0, 1)), parity((0, 1)), parity((0, 1, 1))
    ('even', 'odd', 'mixed')
    """
    if not any(coeffs[1::2]):
        return "even"
    return "mixed" if any(coeffs[0::2]) else "odd"


def is_monomial(coeffs: Sequence[float]) -> bool:
    """Return whether f is a single power, so that each neuron's scale is arbitrary.

    >>> is_monomial((0, 0, 2.0)), is_monomial((1.0, 0, 2.0))
    (True, False)
    """
    return not any(coeffs[:-1])


def degree(coeffs: Sequence[float]) -> int:
    """Return the degree of f.

    >>> degree((0.0, 0.0, 1.0))
    2
    """
    return len(coeffs) - 1
