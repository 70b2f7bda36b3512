"""The Derrida curve: what one step makes of a distance between two states."""

from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.damage import flipped, is_two_valued, levels_of
from lightning_neuro.reservoir.measures.drive import Array, as_drive
from lightning_neuro.reservoir.measures.maps import as_map
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.measures.trajectory import follow

LEVELS = 20


def derrida(
    reservoir: Any, inputs: Any, *, distances: Any = None, pairs: int = 100, washout: int = 0, seed: int = 0
) -> Measure:
    """Return the slope at 0 of the mean distance after a step as a function of the distance before it.

    States are taken from the trajectory; their partners are flipped in so many units where states have two values, else
    moved in a random direction. Above 1 small differences grow: chaos.

    Args:
        reservoir: a node, a `TorchReservoir`, or a map.
        inputs: u `(T,)` or `(T, K)`.
        distances: before the step: shares of units that are flipped, or Euclidean distances over `sqrt(N)`; 20 up to a
            half by default, from one unit or from 1e-6 on.
        pairs: for each distance.
        washout: leading steps from which no states are taken.
        seed: of steps, flips and directions.

    Returns:
        The slope, of the smallest distance; `curve` is the distance after the step. `details["exponent"]` is the
        logarithm of the slope, in nats per step, `-inf` where nothing is left; `details["crossing"]` the largest
        distance that still grows.

    Raises:
        TypeError: recorded states.
        ValueError: distances that are not positive and rising, no steps after the washout, or an explosion.

    Source: Derrida and Pomeau 1986, and Bertschinger and Natschlaeger 2004 for driven networks, from memory.

    >>> from lightning_neuro.reservoir.measures.maps import ReservoirMap
    >>> def identity(z):
    ...     return z
    >>> halving = ReservoirMap(0.5 * np.eye(4), np.ones((4, 1)), function=identity)
    >>> round(float(derrida(halving, np.ones(50), pairs=5)), 6)
    0.5
    """
    owner = "derrida"
    drive = as_drive(inputs, owner=owner)
    system = as_map(reservoir, drive, owner=owner)
    washout = checks.integer(owner, "washout", washout, at_least=0)
    pairs = checks.integer(owner, "pairs", pairs, at_least=1)
    if len(drive) < washout + 2:
        raise ValueError(
            f"{owner}: inputs must be at least two steps longer than the washout of {washout}, got {len(drive)}."
        )
    rng = np.random.default_rng(checks.integer(owner, "seed", seed, at_least=0))
    states = follow(owner, system, np.zeros(system.units), drive)[washout:-1]
    following = drive[washout + 1 :]
    binary = is_two_valued(states)
    asked = _distances(owner, distances, system.units, binary)
    before, after = np.empty(len(asked)), np.empty(len(asked))
    for place, distance in enumerate(asked):
        when = rng.integers(len(states), size=pairs)
        partners = _partners(owner, states[when], distance, binary, rng)
        both = system.step(np.concatenate([states[when], partners]), np.concatenate([following[when]] * 2))
        before[place] = _apart(states[when], partners, binary)
        after[place] = _apart(both[:pairs], both[pairs:], binary)
    slope, growing = float(after[0] / before[0]), before[after > before]
    return Measure(
        "Derrida slope",
        slope,
        curve=after,
        curve_at=before,
        curve_label="distance before a step",
        params={"pairs": pairs, "washout": washout, "seed": seed, "binary": binary},
        details={
            "exponent": float(np.log(slope)) if slope > 0 else -np.inf,
            "crossing": float(growing.max()) if len(growing) else 0.0,
        },
    )


def _distances(owner: str, given: Any, units: int, binary: bool) -> Array:
    if given is None:
        if not binary:
            return np.geomspace(1e-6, 0.5, LEVELS)
        return np.unique(np.linspace(1, max(1, units // 2), LEVELS).round()) / units
    found = np.atleast_1d(np.asarray(given, float))
    if found.ndim != 1 or not (found > 0).all() or not (np.diff(found) > 0).all() or (binary and found[-1] > 1):
        raise ValueError(
            f"{owner}: distances must be rising numbers above 0, and shares of units up to 1 for states of two values, "
            f"got {found.tolist()}."
        )
    return found


def _partners(owner: str, states: Array, distance: float, binary: bool, rng: np.random.Generator) -> Array:
    units = states.shape[1]
    if binary:
        many = max(1, round(distance * units))
        where = np.argsort(rng.random(states.shape), axis=1)[:, :many]
        return flipped(states, where, levels_of(owner, states))
    away = rng.standard_normal(states.shape)
    away *= distance * np.sqrt(units) / np.linalg.norm(away, axis=1, keepdims=True)
    return states + away


def _apart(first: Array, second: Array, binary: bool) -> float:
    if binary:
        return float((first != second).mean())
    return float((np.linalg.norm(first - second, axis=1) / np.sqrt(first.shape[1])).mean())
