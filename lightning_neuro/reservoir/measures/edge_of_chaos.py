"""Where along a scale a reservoir becomes chaotic."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from reservoirpy.node import Node

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.drive import Array, as_drive
from lightning_neuro.reservoir.measures.lyapunov import lyapunov_exponent
from lightning_neuro.reservoir.measures.maps import ReservoirMap, as_map
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.spectrum import spectral_radius

MOST_HALVINGS = 60


def edge_of_chaos(
    reservoir: Any,
    inputs: Any,
    *,
    bracket: tuple[float, float] = (0.1, 3.0),
    target: float = 0.0,
    tolerance: float = 1e-3,
    washout: int = 0,
    seed: int = 0,
) -> Measure:
    """Find by bisection the scale at which the largest Lyapunov exponent under this input is `target`.

    Args:
        reservoir: a reservoir, whose spectral radius is then the scale; or a function from a scale to a reservoir,
            which must draw the same numbers each time.
        inputs: u `(T,)` or `(T, K)`.
        bracket: scales below and above the edge.
        target: exponent, nats per step.
        tolerance: the bracket's width at the end.
        washout: leading steps that do not count.
        seed: of the exponent's first direction.

    Returns:
        The scale in the middle of the last bracket; `curve` holds the exponents at all scales that were tried, in
        rising order, `details["exponent"]` the one at the scale returned.

    Raises:
        TypeError: neither a reservoir nor a function.
        ValueError: a bracket with no edge inside, a nilpotent W, which no scale makes chaotic, or as in
            `lyapunov_exponent`.

    >>> from lightning_neuro.reservoir.measures.maps import ReservoirMap
    >>> rotation = ReservoirMap(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.ones((2, 1)), function=lambda z: z)
    >>> rotation.function.__name__ = "identity"
    >>> round(float(edge_of_chaos(rotation, np.zeros(100))), 2)
    1.0
    """
    owner = "edge_of_chaos"
    drive = as_drive(inputs, owner=owner)
    target = checks.number(owner, "target", target)
    tolerance = checks.number(owner, "tolerance", tolerance, above=0)
    low = checks.number(owner, "bracket[0]", bracket[0], above=0)
    high = checks.number(owner, "bracket[1]", bracket[1], above=low)
    make = _maker(owner, reservoir, drive)
    found: dict[float, float] = {}

    def exponent(scale: float) -> float:
        found[scale] = float(lyapunov_exponent(make(scale), drive, washout=washout, seed=seed))
        return found[scale]

    ends = exponent(low), exponent(high)
    if not ends[0] <= target <= ends[1]:
        raise ValueError(
            f"{owner}: the exponent must pass {target:g} inside the bracket, got {ends[0]:.3g} at {low:g} and "
            f"{ends[1]:.3g} at {high:g}. Give another bracket."
        )
    for _ in range(MOST_HALVINGS):
        if high - low <= tolerance:
            break
        middle = (low + high) / 2
        low, high = (middle, high) if exponent(middle) < target else (low, middle)
    scale = (low + high) / 2
    exponent(scale)
    scales = np.array(sorted(found))
    return Measure(
        "edge of chaos",
        scale,
        curve=np.array([found[each] for each in scales.tolist()]),
        curve_at=scales,
        curve_label="scale",
        params={"bracket": tuple(bracket), "target": target, "tolerance": tolerance, "washout": washout, "seed": seed},
        details={"exponent": found[scale]},
    )


def _maker(owner: str, reservoir: Any, drive: Array) -> Callable[[float], Any]:
    is_reservoir = isinstance(reservoir, Node | ReservoirMap) or callable(getattr(reservoir, "map", None))
    if not is_reservoir:
        if callable(reservoir):
            made: Callable[[float], Any] = reservoir
            return made
        raise TypeError(
            f"{owner}: expected a reservoir or a function from a scale to one, got {type(reservoir).__name__}."
        )
    system = as_map(reservoir, drive, owner=owner)
    if not isinstance(system, ReservoirMap):
        raise TypeError(
            f"{owner}: {type(reservoir).__name__} has no W to scale. Give a function from a scale to a reservoir."
        )
    radius = spectral_radius(system.W)
    if radius < 1e-10:
        raise ValueError(f"{owner}: W is nilpotent, its spectral radius is 0, so no scale makes it chaotic.")
    return lambda scale: replace(system, W=system.W * (scale / radius))
