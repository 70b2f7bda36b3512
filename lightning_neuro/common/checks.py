"""Argument checks that name who, what was expected, what came."""

import math
import numbers
from collections.abc import Collection
from typing import Any, TypeVar

C = TypeVar("C", bound=str)


def number(
    owner: str,
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> float:
    """Return `value` as a finite float within the given limits.

    Args:
        owner: who asks; opens the message.
        name: the argument's name.
        value: what the user gave; bools and strings are refused.
        above: exclusive lower limit.
        at_least: inclusive lower limit.
        below: exclusive upper limit.
        at_most: inclusive upper limit.

    Raises:
        TypeError: `value` is not a real number.
        ValueError: `value` is not finite or lies outside the limits.

    >>> number("GradientActivation", "beta", 20, above=0)
    20.0
    >>> number("GradientActivation", "beta", -1.0, above=0)
    Traceback (most recent call last):
    ValueError: GradientActivation: beta must be greater than 0, got -1.0.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{owner}: {name} must be a number, got {value!r} ({type(value).__name__}).")
    result = float(value)
    limits = [
        (above, "greater than", lambda limit: result > limit),
        (at_least, "at least", lambda limit: result >= limit),
        (below, "less than", lambda limit: result < limit),
        (at_most, "at most", lambda limit: result <= limit),
    ]
    asked = [(limit, words, holds) for limit, words, holds in limits if limit is not None]
    if not math.isfinite(result) or not all(holds(limit) for limit, _, holds in asked):
        expected = " and ".join(f"{words} {limit:g}" for limit, words, _ in asked) or "finite"
        raise ValueError(f"{owner}: {name} must be {expected}, got {value!r}.")
    return result


def integer(owner: str, name: str, value: Any, *, at_least: int | None = None, at_most: int | None = None) -> int:
    """Return `value` as an int within the given inclusive limits.

    Raises:
        TypeError: `value` is not an integer (bools are refused).
        ValueError: `value` lies outside the limits.

    >>> integer("GradientActivation", "warmup_steps", 0, at_least=0)
    0
    >>> integer("GradientActivation", "warmup_steps", -3, at_least=0)
    Traceback (most recent call last):
    ValueError: GradientActivation: warmup_steps must be at least 0, got -3.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{owner}: {name} must be an integer, got {value!r} ({type(value).__name__}).")
    number(owner, name, value, at_least=at_least, at_most=at_most)
    return int(value)


def choice(owner: str, name: str, value: Any, choices: Collection[C]) -> C:
    """Return `value` if it is one of `choices`.

    Raises:
        ValueError: it is not.

    >>> choice("GradientActivation", "placement", "update", ["gradient", "update"])
    'update'
    >>> choice("GradientActivation", "placement", "both", ["gradient", "update"])
    Traceback (most recent call last):
    ValueError: GradientActivation: placement must be one of 'gradient', 'update', got 'both'.
    """
    for known in choices:
        if isinstance(value, str) and value == known:
            return known
    raise ValueError(f"{owner}: {name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def flag(owner: str, name: str, value: Any) -> bool:
    """Return `value` if it is True or False.

    Raises:
        TypeError: it is neither.

    >>> flag("GradientRewiring", "trim", "no")
    Traceback (most recent call last):
    TypeError: GradientRewiring: trim must be True or False, got 'no'.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{owner}: {name} must be True or False, got {value!r}.")
    return value
