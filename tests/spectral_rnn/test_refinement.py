import math
from dataclasses import dataclass

import numpy as np
import pytest

from lightning_neuro.spectral_rnn.refinement import MAX_HALVINGS, refine


@dataclass
class Measured:
    error: float


def square(x):
    return Measured(x * x)


def test_a_contraction_runs_through_and_settles():
    found = refine(1.0, square, lambda x, seen, size: x - 0.9 * size * x, 6)
    np.testing.assert_allclose(found.model, 1e-6)
    assert len(found.errors) == 7
    assert found.converged


def test_an_overshooting_step_is_halved_until_it_helps():
    sizes = []

    def advance(x, seen, size):
        sizes.append(size)
        return x - 5 * size * x

    found = refine(1.0, square, advance, 1)
    assert sizes == [1.0, 0.5, 0.25]
    assert found.model == -0.25


@pytest.mark.parametrize("failure", [ValueError, np.linalg.LinAlgError, FloatingPointError])
def test_what_always_fails_returns_the_start_and_says_so(failure):
    def advance(x, seen, size):
        raise failure("broken")

    found = refine(2.0, square, advance, 6)
    assert (found.model, found.errors, found.converged) == (2.0, [4.0], False)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 100.0])
def test_a_step_that_never_helps_ends_it_after_five_halvings(bad):
    calls = []

    def evaluate(x):
        calls.append(x)
        return Measured(1.0 if len(calls) == 1 else bad)

    found = refine(0.0, evaluate, lambda x, seen, size: x + size, 6)
    assert (found.model, found.converged) == (0.0, False)
    assert calls[1:] == [0.5**k for k in range(MAX_HALVINGS + 1)]


def test_at_the_noise_floor_it_stops_and_is_converged():
    found = refine(0.0, lambda x: Measured(1 + 1e-4 * abs(x)), lambda x, seen, size: x + size, 6)
    assert (found.model, found.converged, found.errors) == (0.0, True, [1.0])


def test_steps_that_still_gain_much_at_the_end_have_not_settled():
    assert not refine(1.0, square, lambda x, seen, size: x - 0.2 * size * x, 3).converged


def test_a_level_step_across_the_valley_is_halved_and_gains():
    found = refine(8.0, square, lambda x, seen, size: x - 2 * size * x, 3)
    assert (found.errors, found.converged) == ([64.0, 0.0], True)
