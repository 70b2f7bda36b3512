"""Residual-corrected moments: a guarded fixed point in which only what the model does not explain makes noise. Ours."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

SETTLED = 1e-2
EXACT = 1e-6
MAX_HALVINGS = 5


class Evaluation(Protocol):
    """What one pass over the data says of a model."""

    @property
    def error(self) -> float:
        """Normalised squared error; the smaller, the better; NaN or infinite if it could not be had."""
        ...


M = TypeVar("M")
E = TypeVar("E", bound=Evaluation)


@dataclass(frozen=True)
class Refined(Generic[M, E]):
    """The best model seen, what was measured of it, and how it went.

    Attributes:
        model: the best iterate.
        evaluation: its evaluation.
        errors: of every accepted iterate, the start first.
        converged: the last step gained at most a hundredth of the outputs' variance, or no step could gain.
    """

    model: M
    evaluation: E
    errors: list[float] = field(default_factory=list)
    converged: bool = False


def refine(
    model: M,
    evaluate: Callable[[M], E],
    advance: Callable[[M, E, float], M],
    n_iterations: int,
) -> Refined[M, E]:
    """Iterate `model <- advance(model, evaluate(model), 1)` as long as the error falls.

    For the parameters theta of a network, `T = T(theta) + mean (y - yhat_theta) (x) S` has the right mean for every
    theta, and noise in proportion to the residual. A step that does not lower the error is halved, up to 5 times;
    one that fails altogether ends the iteration. Nothing is raised: the best iterate is returned.

    Args:
        model: where to start.
        evaluate: one pass over the data.
        advance: `(model, evaluation, size)` to the next model; size 1 is the full step.
        n_iterations: most steps; each costs a pass, and one more for each halving.

    Returns:
        A `Refined`.

    >>> class Error:
    ...     def __init__(self, x): self.error = x * x
    >>> refine(8.0, Error, lambda x, seen, size: x - size * 0.5 * x, 3).errors
    [64.0, 16.0, 4.0, 1.0]
    """
    evaluation = evaluate(model)
    errors, converged = [evaluation.error], evaluation.error < EXACT
    for _ in range(n_iterations):
        better, flat = _step(model, evaluation, evaluate, advance)
        if better is None:
            return Refined(model, evaluation, errors, converged or flat)
        change = evaluation.error - better[1].error
        converged = better[1].error < EXACT or change <= SETTLED
        model, evaluation = better
        errors.append(evaluation.error)
    return Refined(model, evaluation, errors, converged)


def _step(
    model: M, evaluation: E, evaluate: Callable[[M], E], advance: Callable[[M, E, float], M]
) -> tuple[tuple[M, E] | None, bool]:
    """Return a better model with its evaluation, or none and whether a step left the error about as it was."""
    size, flat = 1.0, False
    for _ in range(MAX_HALVINGS + 1):
        tried = _tried(model, evaluation, evaluate, advance, size)
        if tried is not None:
            if tried[1].error < evaluation.error:
                return tried, False
            # Level so far; a shorter step may still gain, as where the full one leads across the valley.
            flat = flat or tried[1].error - evaluation.error <= SETTLED * min(evaluation.error, 1.0)
        size /= 2
    return None, flat


def _tried(
    model: M, evaluation: E, evaluate: Callable[[M], E], advance: Callable[[M, E, float], M], size: float
) -> tuple[M, E] | None:
    """Return the next model and its evaluation, or nothing where its linear algebra breaks down."""
    try:
        candidate = advance(model, evaluation, size)
        return candidate, evaluate(candidate)
    except (ArithmeticError, ValueError, np.linalg.LinAlgError):
        return None
