"""Every public constructor, every measure and every tensor routine, with one or two arguments that are odd.

Allowed are a result, finite where the arguments were, and an error of the kinds that are promised. What a user does not
learn from must not come out: a KeyError, an error from the depth of torch or numpy, a NaN, a hang. Errors of the wrong
*type* may be Python's own TypeError; a ValueError must say in words what it is about.
"""

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.public_calls import ELSEWHERE, NOT_CALLED, PublicCall, public_calls

from lightning_neuro._lightning import MisconfigurationException

CALLS = public_calls()
NUMBERS = (0, -1, 1, 2, 7, 0.0, 0.5, -0.5, 1.5, 1e-12, float("nan"), float("inf"), -float("inf"), True, False)
THINGS: tuple[Any, ...] = (None, "", "nonsense", [], (), {}, "auto", object(), [0.5], [1, 2], [float("nan")], b"x")
ARRAYS = (
    np.zeros((0, 2)),
    np.zeros((3,)),
    np.ones((4, 2)),
    np.full((4, 2), np.nan),
    np.ones((2, 3, 2), complex),
    np.array([["a", "b"]]),
    torch.ones(3, 3),
    torch.zeros(0),
    torch.ones(4, 1, dtype=torch.int64),
)
PROMISED = (ValueError, TypeError, NotImplementedError, MisconfigurationException, ModuleNotFoundError)


def is_finite(value: Any) -> bool:
    """Return whether every number in a result is one; minus infinity is a defined value of exponents."""
    if isinstance(value, torch.Tensor):
        return not (value.is_floating_point() and bool(value.isnan().any()))
    if isinstance(value, np.ndarray):
        return not (value.dtype.kind == "f" and bool(np.isnan(value).any()))
    if isinstance(value, float):
        return value == value
    if isinstance(value, list | tuple):
        return all(is_finite(each) for each in value)
    value = getattr(value, "value", None)
    return value is None or is_finite(value)


def outcome(call: PublicCall, odd: dict[str, Any]) -> tuple[Any, str | None]:
    """Return a result, or the words of an error that was promised; other errors come through."""
    try:
        return call.target(**(call.arguments() | odd)), None
    except PROMISED as error:
        return None, str(error)
    except RuntimeError as error:
        # Torch's words for what numpy calls a ValueError, where a flag is asked for.
        if "Boolean value of Tensor" in str(error):
            return None, str(error)
        raise


def odd_values() -> st.SearchStrategy[Any]:

    return st.one_of(st.sampled_from(NUMBERS), st.sampled_from(THINGS), st.sampled_from(ARRAYS))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_odd_arguments_give_a_result_or_an_error_that_was_promised(name, data):
    call = CALLS[name]
    if not call.options():
        call.target()
        return
    chosen = data.draw(st.lists(st.sampled_from(call.options()), min_size=1, max_size=2, unique=True))
    odd = {option: data.draw(odd_values(), label=option) for option in chosen}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, told = outcome(call, odd)
    assert told is None or len(told) > 8
    assert is_finite(found)


def test_what_is_right_is_right():
    for call in CALLS.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert is_finite(call.target(**call.arguments())), call.name


def test_what_is_left_out_is_there():
    public = {name for call in CALLS.values() for name in [call.name]}
    assert not public & (NOT_CALLED | ELSEWHERE)
    assert all(inspect.isroutine(call.target) or inspect.isclass(call.target) for call in CALLS.values())
