"""Searches over one scale on a logarithmic axis: to a value that should be crossed, and to a maximum."""

import math
from collections.abc import Callable, Generator

import numpy as np

from lightning_neuro.reservoir.guided.controller import Array, Parameters, Reading, Search
from lightning_neuro.reservoir.guided.report import NOTHING_MOVES, SEARCH_CLOSED

PLACES = 13  # of a scan
_LONGEST_STEP = math.log(4.0)
_SMALLEST_STEP = 1e-6
_MISSTEPS = 3  # against what a larger scale should do, before everything is scanned
_GOLDEN = (math.sqrt(5) - 1) / 2


def to_crossing(target: float, learning_rate: float, lowest: float, highest: float) -> Search:
    """Search the scale at which a value that grows with it crosses `target`, starting from a scale of 1.

    Steps are `learning_rate` times the distance; between two scales on both sides of the target they do not leave
    these. Where the value does not grow, jumps across the target, or the limits are met, the whole range is scanned,
    and the crossing nearest to the start is halved down.

    Args:
        target: value to cross.
        learning_rate: step in the logarithm of the scale by distance.
        lowest: limit of the logarithm of the scale.
        highest: limit.

    >>> search = to_crossing(0.5, 1.0, -3.0, 3.0)
    >>> scale, values = next(search)["scale"], []
    >>> for _ in range(8):
    ...     values.append(math.tanh(math.log(scale)))
    ...     scale = search.send(Reading(abs(values[-1] - 0.5), values[-1]))["scale"]
    >>> round(values[-1], 2)
    0.5
    """
    place, ordered, chaotic, missteps = 0.0, -math.inf, math.inf, 0
    gap = (yield {"scale": 1.0}).value - target
    while missteps < _MISSTEPS:
        ordered, chaotic = (ordered, place) if gap > 0 else (place, chaotic)
        moved = place - float(np.clip(learning_rate * gap, -_LONGEST_STEP, _LONGEST_STEP))
        if not ordered < moved < chaotic:
            moved = (ordered + chaotic) / 2
        if not min(lowest, 0) <= moved <= max(highest, 0) or chaotic - ordered < _SMALLEST_STEP:
            break
        earlier, gap = gap, (yield {"scale": math.exp(moved)}).value - target
        missteps += (gap - earlier) * (moved - place) <= 0
        place = moved
    return (yield from _scanned(target, lowest, highest))


def _scanned(target: float, lowest: float, highest: float) -> Search:
    places = np.linspace(lowest, highest, PLACES)
    gaps = [found.value - target for found in (yield from _readings(places))]
    crossings = [at for at in range(PLACES - 1) if gaps[at] <= 0 < gaps[at + 1]]
    if not crossings:
        crossings = [at for at in range(PLACES - 1) if gaps[at + 1] <= 0 < gaps[at]]
    if not crossings:
        peak = min(max(int(np.argmax(gaps)), 1), PLACES - 2)
        yield from _golden(float(places[peak - 1]), float(places[peak + 1]), 0.01, lambda found: -found.value)
        return NOTHING_MOVES
    nearest = min(crossings, key=lambda at: abs(places[at]))
    one, other = float(places[nearest]), float(places[nearest + 1])
    rising = gaps[nearest] <= 0
    while abs(other - one) > _SMALLEST_STEP:
        middle = (one + other) / 2
        above = (yield {"scale": math.exp(middle)}).value > target
        one, other = (one, middle) if above is rising else (middle, other)
    return NOTHING_MOVES


def to_least_error(lowest: float, highest: float, width: float) -> Search:
    """Search the scale of the least error: a scan, then golden section around its best until `width` is left.

    >>> search = to_least_error(-2.0, 2.0, 0.01)
    >>> scale = next(search)["scale"]
    >>> try:
    ...     while True:
    ...         scale = search.send(Reading((math.log(scale) - 0.3) ** 2, 0.0))["scale"]
    ... except StopIteration as end:
    ...     print(end.value, round(math.log(scale), 1))
    search closed 0.3
    """
    places = np.linspace(lowest, highest, PLACES)
    errors = [found.error for found in (yield from _readings(places))]
    centre = min(max(int(np.argmin(errors)), 1), PLACES - 2)
    yield from _golden(float(places[centre - 1]), float(places[centre + 1]), width, lambda found: found.error)
    return SEARCH_CLOSED


def _readings(places: Array) -> Generator[Parameters, Reading, list[Reading]]:
    found: list[Reading] = []
    for place in places:
        reading = yield {"scale": math.exp(place)}
        found.append(reading)
    return found


def _golden(low: float, high: float, width: float, error: Callable[[Reading], float]) -> Search:
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left = error((yield {"scale": math.exp(left)}))
    at_right = error((yield {"scale": math.exp(right)}))
    while high - low > width:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = error((yield {"scale": math.exp(left)}))
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = error((yield {"scale": math.exp(right)}))
    return SEARCH_CLOSED
