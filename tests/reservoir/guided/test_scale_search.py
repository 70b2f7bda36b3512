import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.reservoir.guided.controller import Reading, follow
from lightning_neuro.reservoir.guided.scale_search import to_crossing, to_least_error


def run(search, value, target, *, epochs=80, tolerance=1e-3):
    def measure(parameters):
        found = value(math.log(parameters["scale"]))
        return Reading(abs(found - target), found)

    return follow(search, measure, epochs=epochs, tolerance=tolerance)


@given(slope=st.floats(0.2, 1.8), root=st.floats(-1.9, 1.9))
def test_what_grows_with_the_scale_is_met_at_its_crossing(slope, root):
    trail = run(to_crossing(-0.1, 1.0, -2.0, 2.0), lambda place: slope * (place - root) - 0.1, -0.1)
    assert trail.stopped == "target reached"
    assert math.log(trail.tried[trail.best]["scale"]) == pytest.approx(root, abs=1e-3 / slope + 1e-9)


@pytest.mark.parametrize("root", [-1.0, 0.0, 1.0])
def test_a_fall_is_met_by_the_scan(root):
    trail = run(to_crossing(0.0, 1.0, -2.0, 2.0), lambda place: root - place, 0.0)
    assert trail.stopped == "target reached"


def test_a_jump_across_the_target_ends_beside_it():
    trail = run(to_crossing(0.0, 1.0, -2.0, 2.0), lambda place: 0.5 if place > 0.7 else -0.5, 0.0, epochs=200)
    assert trail.stopped == "nothing moves any more"
    assert math.log(trail.tried[-1]["scale"]) == pytest.approx(0.7, abs=1e-5)


def test_a_hump_below_the_target_ends_at_its_top():
    trail = run(to_crossing(0.0, 1.0, -2.0, 2.0), lambda place: -0.2 - (place - 0.6) ** 2, 0.0)
    assert trail.stopped == "nothing moves any more"
    assert math.log(trail.tried[trail.best]["scale"]) == pytest.approx(0.6, abs=0.05)


@given(root=st.floats(-1.8, 1.8))
def test_the_least_error_is_bracketed(root):
    trail = follow(
        to_least_error(-2.0, 2.0, 0.02),
        lambda parameters: Reading(abs(math.log(parameters["scale"]) - root), 0.0),
        epochs=99,
        tolerance=None,
    )
    assert trail.stopped == "search closed"
    assert trail.readings[trail.best].error < 0.02
