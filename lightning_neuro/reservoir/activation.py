"""Slopes of the activations that rules know, from a unit's output `y = f(z)` alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Activation(NamedTuple):
    """`slope` is `f'(z)`, `bend` is `f''(z) / f'(z)`, both of the output; outputs lie in `low` to `high`."""

    name: str
    slope: Callable[[Array], Array]
    bend: Callable[[Array], Array]
    low: float
    high: float


_KNOWN = (
    Activation("tanh", lambda y: 1 - y * y, lambda y: -2 * y, -1.0, 1.0),
    Activation("sigmoid", lambda y: y * (1 - y), lambda y: 1 - 2 * y, 0.0, 1.0),
    Activation("identity", np.ones_like, np.zeros_like, -np.inf, np.inf),
    Activation("softplus", lambda y: -np.expm1(-y), lambda y: np.exp(-y), 0.0, np.inf),
    Activation("relu", lambda y: (y > 0).astype(y.dtype), np.zeros_like, 0.0, np.inf),
)
_ALIASES = {"expit": "sigmoid"}


def known_activation(owner: str, function: Callable[..., Any] | str) -> Activation:
    """Return the slopes of an activation, known by its name.

    Args:
        owner: who asks; opens the message.
        function: a function such as reservoirpy's or numpy's, or a name.

    Raises:
        ValueError: it has another name.

    >>> known_activation("IntrinsicPlasticity", np.tanh).slope(np.array([0.0, 0.6]))
    array([1.  , 0.64])
    >>> known_activation("IntrinsicPlasticity", "softmax")
    Traceback (most recent call last):
    ValueError: IntrinsicPlasticity: activation must be one of tanh, sigmoid, identity, softplus, relu, got 'softmax'.
    """
    name = function if isinstance(function, str) else getattr(function, "__name__", repr(function))
    for activation in _KNOWN:
        if activation.name == _ALIASES.get(name, name):
            return activation
    names = ", ".join(activation.name for activation in _KNOWN)
    raise ValueError(f"{owner}: activation must be one of {names}, got {name!r}.")
