"""States of a map along a drive, from a given start."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_neuro.reservoir.measures.drive import Array
from lightning_neuro.reservoir.measures.growth import EXPLODED
from lightning_neuro.reservoir.measures.maps import StateMap


def started(owner: str, system: StateMap, start: npt.ArrayLike | None) -> Array:
    """Return the state `(N,)` to begin with; zero if None.

    Raises:
        ValueError: it has another length or holds NaN.
    """
    if start is None:
        return np.zeros(system.units)
    state = np.atleast_1d(np.asarray(start, np.float64))
    if state.shape != (system.units,) or not np.isfinite(state).all():
        raise ValueError(f"{owner}: start must be {system.units} finite numbers, got shape {state.shape}.")
    return state


def follow(owner: str, system: StateMap, start: Array, drive: Array) -> Array:
    """Return what states become after each step, `(T, ...)`, from one start `(N,)` or many `(M, N)`.

    Raises:
        ValueError: the reservoir explodes.
    """
    states = np.empty((len(drive), *start.shape))
    moved: Any = start
    with np.errstate(over="ignore", invalid="ignore"):
        for now, u in enumerate(drive):
            moved = states[now] = system.step(moved, u)
            if not abs(moved).max() < EXPLODED:
                raise ValueError(
                    f"{owner}: the reservoir is unstable, states are beyond {EXPLODED:g} at step {now}. "
                    "Lower its spectral radius."
                )
    return states
