"""Lyapunov exponents: how fast nearby states of a reservoir under the same input part or meet."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.damage import flip_growth, is_two_valued
from lightning_neuro.reservoir.measures.drive import Array, as_drive
from lightning_neuro.reservoir.measures.growth import by_differences, log_growth, random_frame
from lightning_neuro.reservoir.measures.maps import StateMap, as_map
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.measures.trajectory import follow, started

Method = Literal["auto", "jacobian", "perturbation", "flip"]
METHODS: tuple[Method, ...] = ("auto", "jacobian", "perturbation", "flip")
DISTANCE = 1e-8
_BLOCKS = 10


def lyapunov_exponent(
    reservoir: Any,
    inputs: Any,
    *,
    washout: int = 0,
    method: Method = "auto",
    start: npt.ArrayLike | None = None,
    distance: float = DISTANCE,
    per_unit: bool = False,
    seed: int = 0,
) -> Measure:
    """Return the largest Lyapunov exponent under a drive, `lim 1/T ln |J_T ... J_1 v|`, in nats per step.

    Below 0 the reservoir forgets where it began, above 0 it is chaotic. Minus infinity says that differences become
    exactly zero, as with a W without loops, or with units that all saturate.

    Methods:
        "jacobian": one vector is moved by the Jacobian and scaled back in each step; needs a known slope of f.
        "perturbation": two trajectories, set apart by `distance`, moved by one step and set apart again.
        "flip": for binary units. In each step one unit of a copy is flipped; `ln` of how many units differ one step
            later, on average over steps. This is damage after one step and not a limit.
        "auto": "jacobian" where there is one, else "flip" where states have two values, else "perturbation".

    Args:
        reservoir: node, `TorchReservoir`, or a map (`maps.FunctionMap` of any function); of a model, its reservoir.
        inputs: `(T, K)` or `(T,)`.
        washout: leading steps that move states and vectors and do not count.
        method: one of the above.
        start: state before the first step, `(N,)`; zero if None.
        distance: of "perturbation", relative to the state where that is above 1. 1e-8 suits double precision.
        per_unit: perturb each unit on its own and average over those whose perturbation lives on: N trajectories.
        seed: of the first direction, and of the units to flip.

    Returns:
        The exponent; `curve` is its running estimate, `details["standard_error"]` comes from ten blocks of steps.

    Raises:
        TypeError: nothing to step.
        ValueError: a series not longer than the washout, NaN, an unstable reservoir, or a method that does not fit.

    Source: Benettin et al. 1980 ("jacobian", "perturbation"); "flip" as in Bertschinger and Natschlaeger 2004 and
    `per_unit` as in Boedecker et al. 2012, both from memory of the literature.

    >>> from reservoirpy.nodes import Reservoir
    >>> u = np.random.default_rng(0).uniform(-1, 1, (600, 1))
    >>> ordered, chaotic = (Reservoir(50, sr=sr, input_scaling=0.1, seed=1) for sr in (0.5, 2.0))
    >>> float(lyapunov_exponent(ordered, u)) < -0.5, float(lyapunov_exponent(chaotic, u, washout=100)) > 0.05
    (True, True)
    """
    owner = "lyapunov_exponent"
    system, drive, state, washout = _prepared(owner, reservoir, inputs, washout, start)
    distance = checks.number(owner, "distance", distance, above=0)
    per_unit = checks.flag(owner, "per_unit", per_unit)
    found = _choose(owner, system, drive, state, checks.choice(owner, "method", method, METHODS))
    params = {"method": found, "washout": washout, "steps": len(drive) - washout, "seed": seed}
    if found == "flip":
        damage = _running(flip_growth(owner, system, state, drive, washout=washout, seed=seed))
        return _exponent(np.log(damage, out=np.full_like(damage, -np.inf), where=damage > 0), params, {})
    advance = system.advance if found == "jacobian" else by_differences(system, distance)
    frames = np.eye(system.units) if per_unit else random_frame(system.units, 1, seed).T
    each = [log_growth(advance, state, drive, row[:, None], owner=owner)[washout:, 0] for row in frames]
    living = [growth for growth in each if growth[-1] > -np.inf]
    growth = np.mean(living, axis=0) if living else each[0]
    details: dict[str, Any] = {"per_unit": np.mean(each, axis=1)} if per_unit else {}
    if living and len(growth) >= 2 * _BLOCKS:
        means = [block.mean() for block in np.array_split(growth, _BLOCKS)]
        details["standard_error"] = float(np.std(means, ddof=1) / np.sqrt(_BLOCKS))
    return _exponent(_running(growth), params, details)


def lyapunov_spectrum(
    reservoir: Any,
    inputs: Any,
    *,
    exponents: int | None = None,
    washout: int = 0,
    method: Method = "auto",
    start: npt.ArrayLike | None = None,
    distance: float = DISTANCE,
    seed: int = 0,
) -> Measure:
    """Return the m largest Lyapunov exponents under a drive, in nats per step, by QR in each step.

    All N cost N times what the largest costs and more. Their sum is the mean of `ln |det J|`.

    Args:
        reservoir: as in `lyapunov_exponent`.
        inputs: `(T, K)` or `(T,)`.
        exponents: m; N if None.
        washout: leading steps that do not count.
        method: "jacobian", "perturbation" (m + 1 trajectories), or "auto": "jacobian" where there is one.
        start: state before the first step, `(N,)`; zero if None.
        distance: of "perturbation".
        seed: of the first directions.

    Returns:
        Exponents `(m,)`, largest first, minus infinity where a direction is cut to zero; `details` hold the
        `"kaplan_yorke"` dimension, None where m is too small to tell, and `"entropy_bound"`, the sum of the positive
        ones (Pesin).

    Raises:
        TypeError, ValueError: as `lyapunov_exponent`.

    Source: Benettin et al. 1980.

    >>> from lightning_neuro.reservoir.measures.maps import FunctionMap
    >>> henon = FunctionMap(
    ...     lambda x: np.array([1 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]]),
    ...     2,
    ...     lambda x: np.array([[-2.8 * x[0], 1.0], [0.3, 0.0]]),
    ... )
    >>> found = lyapunov_spectrum(henon, np.zeros(1000), washout=100)
    >>> round(float(found.value.sum()), 5), round(float(np.log(0.3)), 5)
    (-1.20397, -1.20397)
    """
    owner = "lyapunov_spectrum"
    system, drive, state, washout = _prepared(owner, reservoir, inputs, washout, start)
    count = system.units if exponents is None else exponents
    count = checks.integer(owner, "exponents", count, at_least=1, at_most=system.units)
    distance = checks.number(owner, "distance", distance, above=0)
    found = _choose(owner, system, drive, state, checks.choice(owner, "method", method, METHODS))
    if found == "flip":
        raise ValueError(
            f"{owner}: a spectrum needs states that can differ by little, got two-valued ones. "
            'Take lyapunov_exponent(method="flip").'
        )
    advance = system.advance if found == "jacobian" else by_differences(system, distance)
    frame = random_frame(system.units, count, seed)
    values = np.sort(log_growth(advance, state, drive, frame, owner=owner)[washout:].mean(axis=0))[::-1]
    return Measure(
        "Lyapunov exponents",
        values,
        unit="nats",
        curve=values,
        curve_at=np.arange(1.0, count + 1),
        curve_label="number of the exponent",
        params={"method": found, "washout": washout, "steps": len(drive) - washout, "seed": seed},
        details={
            "kaplan_yorke": _kaplan_yorke(values, system.units),
            "entropy_bound": float(values[values > 0].sum()),
        },
    )


def _prepared(
    owner: str, reservoir: Any, inputs: Any, washout: int, start: npt.ArrayLike | None
) -> tuple[StateMap, Array, Array, int]:
    drive = as_drive(inputs, owner=owner)
    washout = checks.integer(owner, "washout", washout, at_least=0)
    if len(drive) <= washout:
        raise ValueError(f"{owner}: a series must be longer than the washout of {washout} steps, got {len(drive)}.")
    system = as_map(reservoir, drive, owner=owner)
    return system, drive, started(owner, system, start), washout


def _choose(owner: str, system: StateMap, drive: Array, state: Array, method: Method) -> Method:
    if method == "jacobian" and not system.smooth:
        raise ValueError(
            f"{owner}: method 'jacobian' needs an f with a known slope, or the Jacobian of the map, got none. "
            "Take 'perturbation'."
        )
    if method != "auto":
        return method
    if system.smooth:
        return "jacobian"
    return "flip" if is_two_valued(follow(owner, system, state, drive)) else "perturbation"


def _running(growth: Array) -> Array:
    return np.asarray(np.cumsum(growth) / np.arange(1, len(growth) + 1))


def _exponent(curve: Array, params: dict[str, Any], details: dict[str, Any]) -> Measure:
    return Measure(
        "Lyapunov exponent",
        float(curve[-1]),
        unit="nats",
        curve=curve,
        curve_at=params["washout"] + np.arange(1.0, len(curve) + 1),
        curve_label="step",
        params=params,
        details=details,
    )


def _kaplan_yorke(values: Array, units: int) -> float | None:
    """`j + sum of the first j / |next|`, j the most exponents whose sum is not negative."""
    sums = np.cumsum(values)
    whole = int(np.count_nonzero(sums >= 0))
    if whole == len(values):
        return float(units) if whole == units else None
    return whole + (float(sums[whole - 1] / -values[whole]) if whole else 0.0)
