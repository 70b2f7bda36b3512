import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.common import checks


@given(value=st.floats(allow_nan=True, allow_infinity=True), low=st.floats(-10, 0), high=st.floats(0, 10))
def test_number_accepts_exactly_what_lies_within_the_limits(value, low, high):
    if math.isfinite(value) and low <= value < high:
        assert checks.number("Who", "what", value, at_least=low, below=high) == value
    else:
        with pytest.raises(ValueError, match=r"Who: what must be at least .* and less than"):
            checks.number("Who", "what", value, at_least=low, below=high)


def test_number_names_limit_and_value():
    with pytest.raises(ValueError, match=r"^Who: what must be greater than 0 and at most 1, got 2\.$"):
        checks.number("Who", "what", 2, above=0, at_most=1)
    with pytest.raises(ValueError, match=r"^Who: what must be finite, got nan\.$"):
        checks.number("Who", "what", math.nan)


@pytest.mark.parametrize("value", ["1", None, True, 1j, [1.0]])
def test_number_refuses_other_types(value):
    with pytest.raises(TypeError, match=r"^Who: what must be a number, got "):
        checks.number("Who", "what", value)


def test_numpy_numbers_are_numbers():
    assert checks.number("Who", "what", np.float32(0.5)) == 0.5
    assert checks.integer("Who", "what", np.int64(3)) == 3


@pytest.mark.parametrize("value", [1.0, "1", True, None])
def test_integer_refuses_other_types(value):
    with pytest.raises(TypeError, match=r"^Who: what must be an integer, got "):
        checks.integer("Who", "what", value)


def test_integer_refuses_what_lies_outside():
    with pytest.raises(ValueError, match=r"^Who: what must be at least 0 and at most 5, got 6\.$"):
        checks.integer("Who", "what", 6, at_least=0, at_most=5)


@pytest.mark.parametrize("value", ["c", None, 1, ["a"]])
def test_choice_lists_the_choices(value):
    with pytest.raises(ValueError, match=r"^Who: what must be one of 'a', 'b', got "):
        checks.choice("Who", "what", value, ("a", "b"))
