"""Tasks that ask a reservoir for memory: counting letters, and NARMA with the constants that published runs use."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks

Array = npt.NDArray[np.float64]

LETTERS = "abcdef"
_NARMA = {10: (0.3, 0.05, 1.5, 0.1), 30: (0.2, 0.04, 1.5, 0.001)}  # a1, a2, b, c
_DRAWS = 100
_BOUND = 1e3  # a series beyond it has run away


@dataclass(frozen=True, eq=False)
class CountingTask:
    """Predict the next letter of a row of words "a b...b c" and "d e...e f" in random order.

    Attributes:
        inputs: `(T, 6)`, one letter a row.
        targets: `(T,)`, place of the next letter in "abcdef".
        is_last: `(T,)`, where the next letter is a word's last: to know it one has to count.
        is_known: `(T,)`, where the next letter is not a word's first, which is drawn.
    """

    inputs: Array
    targets: npt.NDArray[np.int64]
    is_last: npt.NDArray[np.bool_]
    is_known: npt.NDArray[np.bool_]


def counting_task(steps: int, repeats: int, *, seed: int | np.random.Generator | None = None) -> CountingTask:
    """Draw words, each "a" and `repeats` times "b" and "c", or the same of "d", "e" and "f", with equal chance.

    Args:
        steps: T; the row may end within a word.
        repeats: n, how far one has to count.
        seed: of the order of words.

    Raises:
        ValueError: fewer than one step or repeat.

    >>> task = counting_task(8, 2, seed=0)
    >>> "".join(LETTERS[place] for place in task.inputs.argmax(axis=1))
    'deefdeef'
    >>> task.is_last.astype(int)
    array([0, 0, 1, 0, 0, 0, 1, 0])
    """
    steps = checks.integer("counting_task", "steps", steps, at_least=1)
    repeats = checks.integer("counting_task", "repeats", repeats, at_least=1)
    length = repeats + 2
    words = np.ones((2, length), np.int64) + np.array([[0], [3]])
    words[:, 0] -= 1
    words[:, -1] += 1
    drawn = np.random.default_rng(seed).integers(2, size=steps // length + 2)
    letters = words[drawn].ravel()[: steps + 1]
    place = np.arange(1, steps + 1) % length  # of the next letter in its word
    return CountingTask(np.eye(len(LETTERS))[letters[:-1]], letters[1:], place == length - 1, place != 0)


def narma(steps: int, order: int = 10, *, seed: int | None = None) -> tuple[Array, Array]:
    """Return inputs and targets of NARMA-10 or NARMA-30.

        y(t+1) = a1 y(t) + a2 y(t) sum_{i<order} y(t-i) + b u(t-order+1) u(t) + c,  u uniform in [0, 0.5]

    NARMA-10 takes (a1, a2, b, c) = (0.3, 0.05, 1.5, 0.1), NARMA-30 (0.2, 0.04, 1.5, 0.001). NARMA-10 runs away for some
    inputs; these are drawn again. `reservoirpy.datasets.narma` documents this equation but sums from y(t-1)
    to y(t-order) and takes u(t-order).

    Args:
        steps: T.
        order: 10 or 30.
        seed: of the inputs.

    Returns:
        u and y, each `(T, 1)`; row t of y is y(t+1), which depends on u(t) and earlier inputs.

    Raises:
        ValueError: another order, or so many steps that every draw runs away.

    >>> u, y = narma(200, 10, seed=0)
    >>> u.shape, y.shape, bool(abs(y).max() < 1)
    ((200, 1), (200, 1), True)
    """
    steps = checks.integer("narma", "steps", steps, at_least=1)
    if order not in _NARMA:
        raise ValueError(f"narma: order must be one of {', '.join(map(str, _NARMA))}, got {order!r}.")
    rng = np.random.default_rng(seed)
    for _ in range(_DRAWS):
        u = rng.uniform(0, 0.5, steps + order)
        y = narma_response(u, order, *_NARMA[order])
        if abs(y).max() < 1:  # no bounded series comes near 1, and one that does leaves for good
            return u[order:, None], y[order:, None]
    raise ValueError(f"narma: no series of {steps} steps stayed bounded in {_DRAWS} draws. Ask for fewer steps.")


def narma_response(u: Array, order: int, a1: float, a2: float, b: float, c: float) -> Array:
    """Return y(t+1) of the equation above for inputs u `(T,)`, from y = 0 and u = 0 before the first.

    >>> narma_response(np.array([0.5, 0.5]), 1, 0.0, 0.0, 1.5, 0.1)
    array([0.475, 0.475])
    """
    past_u = np.concatenate([np.zeros(order - 1), u])
    y = np.zeros(len(u) + order)  # y[order - 1] is the first y(t)
    for t in range(len(u)):
        now = order - 1 + t
        y[now + 1] = a1 * y[now] + a2 * y[now] * y[t : now + 1].sum() + b * past_u[t] * u[t] + c
        if abs(y[now + 1]) > _BOUND:
            y[now + 1 :] = np.inf
            break
    return y[order:]
