"""A polynomial recurrence as a plain reservoirpy node: hidden states out, nothing to train, so it composes upstream."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from reservoirpy.node import Node

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.model import EXPLODED, QUADRATIC, PolynomialModel, polynomial
from lightning_neuro.spectral_rnn.parallel_run import run_segments
from lightning_neuro.spectral_rnn.series import Array, all_finite

State = dict[str, Array]


class PolynomialRNN(Node):
    """`h_t = f(A1 x_t + U h_{t-1} + b)` with a polynomial f; the output is h.

    A `Node` and no `TrainableNode`: `Model.fit` of reservoirpy would train it anew, and would not run it for its
    children.

    Args:
        A1: input weights `(H, Dx)`.
        U: recurrent weights `(H, H)`.
        coeffs: coefficients of f, lowest power first.
        bias: b `(H,)`; zero if None.
        max_abs_state: None: a state beyond 1e6 is an error; a number: states are cut at it.
        name: of the node.
        h0: state before the first step `(H,)`; None: zero.

    Raises:
        ValueError: shapes do not fit together.

    >>> node = PolynomialRNN([[1.0, 2.0]], [[0.5]])
    >>> node.run(np.array([[1.0, 0.0], [0.0, 0.5]])).tolist()
    [[1.0], [2.25]]
    """

    def __init__(
        self,
        A1: npt.ArrayLike,  # noqa: N803  the letters of the field
        U: npt.ArrayLike,  # noqa: N803
        coeffs: Sequence[float] = QUADRATIC,
        bias: npt.ArrayLike | None = None,
        max_abs_state: float | None = None,
        name: str | None = None,
        h0: npt.ArrayLike | None = None,
    ) -> None:
        self.coeffs = tuple(float(c) for c in coeffs)
        self.max_abs_state = checked_limit("PolynomialRNN", max_abs_state)
        self.name = name
        self.A1_, self.U_ = np.asarray(A1, np.float64), np.asarray(U, np.float64)
        no_outputs = np.zeros((self.U_.shape[0] if self.U_.ndim else 0, 1))
        # The model's own check of shapes; a node that emits states has no readout.
        self._model = PolynomialModel(
            self.A1_, self.U_, no_outputs, self.coeffs, bias=np.zeros(0) if bias is None else np.asarray(bias)
        )
        self.bias_ = self._model.bias
        self.h0_ = np.zeros(len(self.U_)) if h0 is None else np.asarray(h0, np.float64)
        if self.h0_.shape != (len(self.U_),):
            raise ValueError(f"PolynomialRNN: h0 must be ({len(self.U_)},), got shape {self.h0_.shape}.")
        self.state: State = {}
        self.initialize(np.zeros(self.A1_.shape[1]))

    def initialize(self, x: Any, y: Any = None) -> None:
        """Set the widths; the weights are there from the beginning."""
        self._set_input_dim(x)
        self._set_output_dim(np.zeros(len(self.U_)))
        self.state = {"out": self.h0_.copy()}
        self.initialized = True

    def reset(self) -> State:
        """Go back to the state before the first step, and return the present one."""
        before, self.state = self.state, {"out": self.h0_.copy()}
        return before

    def _step(self, state: State, x: Array) -> State:
        hidden = hidden_step(type(self).__name__, self._model, state["out"], x, self.max_abs_state)
        return {"out": hidden}

    def _run(self, state: State, x: Array) -> tuple[State, Array]:
        hidden = hidden_run(type(self).__name__, self._model, state["out"], x, self.max_abs_state)
        return ({"out": hidden[-1]} if len(hidden) else state), hidden


def checked_limit(owner: str, limit: float | None) -> float | None:
    """Return the largest state to let through, or None for an error beyond 1e6."""
    return None if limit is None else checks.number(owner, "max_abs_state", limit, above=0)


def hidden_step(owner: str, model: PolynomialModel, hidden: Array, x: Array, limit: float | None) -> Array:
    """Return the state after one step.

    Raises:
        ValueError: x holds a NaN or an infinite number.
        FloatingPointError: the state explodes and no limit cuts it.
    """
    return hidden_run(owner, model, hidden, np.asarray(x, np.float64)[None], limit)[0]


def hidden_run(owner: str, model: PolynomialModel, hidden: Array, x: Array, limit: float | None) -> Array:
    """Return the states `(T, H)` after each step of `x` `(T, Dx)`, started from `hidden` `(H,)`.

    Raises:
        ValueError: x holds a NaN or an infinite number.
        FloatingPointError: a state explodes and no limit cuts it.
    """
    require_finite(owner, x)
    bound = EXPLODED if limit is None else limit

    def step(drive: Array, state: Array) -> Array:
        new = polynomial(drive + state @ model.recurrent_weights.T, model.coeffs)
        if limit is not None:
            return np.clip(new, -bound, bound)
        new[~(np.abs(new).max(axis=1) <= bound)] = np.nan
        return new

    with np.errstate(over="ignore", invalid="ignore"):
        (states,) = run_segments(step, [x @ model.input_weights.T + model.bias], hidden)
    refuse_explosion(owner, states)
    return states


def require_finite(owner: str, x: Array) -> None:
    """Refuse inputs with a NaN or an infinite number, which every later state would inherit.

    Raises:
        ValueError: there is one.
    """
    if not all_finite(x):
        step = int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])
        raise ValueError(
            f"{owner}: x must hold finite numbers, got {x[step]} at step {step}. Cut the series there, or fill the gap."
        )


def refuse_explosion(owner: str, states: Array) -> None:
    """Refuse states that have left the range in which their squares mean something.

    Raises:
        FloatingPointError: there is one.
    """
    if not all_finite(states):
        step = int(np.flatnonzero(np.isnan(states).any(axis=1))[0])
        raise FloatingPointError(
            f"{owner}: the state exploded at step {step}, as polynomial recurrences may on rare large inputs. "
            "Give max_abs_state to cut states, or clip x."
        )
