"""Damage: how many units differ a step after some were flipped."""

import numpy as np
import numpy.typing as npt

from lightning_neuro.reservoir.measures.drive import Array
from lightning_neuro.reservoir.measures.maps import StateMap
from lightning_neuro.reservoir.measures.trajectory import follow


def is_two_valued(states: Array) -> bool:
    """Whether all entries have one of two values; one value alone counts where its partner is plain: 0, 1 or -1.

    >>> is_two_valued(np.array([0.0, 1.0, 1.0])), is_two_valued(np.array([0.0, 0.5, 1.0]))
    (True, False)
    """
    values = np.unique(states)
    return len(values) == 2 or (len(values) == 1 and float(values[0]) in (0.0, 1.0, -1.0))


def flipped(states: Array, units: npt.NDArray[np.intp], levels: tuple[float, float]) -> Array:
    """Return states `(M, N)` with the units `(M, k)` of each at the other of two levels.

    >>> flipped(np.array([[0.0, 1.0]]), np.array([[1]]), (0.0, 1.0)).tolist()
    [[0.0, 0.0]]
    """
    changed = states.copy()
    rows = np.arange(len(states))[:, None]
    changed[rows, units] = levels[0] + levels[1] - states[rows, units]
    return changed


def levels_of(owner: str, states: Array) -> tuple[float, float]:
    """Return the two values that states take.

    Raises:
        ValueError: they take more.
    """
    if not is_two_valued(states):
        raise ValueError(
            f"{owner}: flipping needs states of two values, such as 0 and 1, got {len(np.unique(states))} of them. "
            "For other states take the Jacobian or a perturbation."
        )
    values = np.unique(states)
    if len(values) == 2:
        return float(values[0]), float(values[1])
    return (-1.0, 1.0) if values[0] == -1 else (0.0, 1.0)


def flip_growth(owner: str, system: StateMap, start: Array, drive: Array, *, washout: int, seed: int) -> Array:
    """Return in how many units a state differs a step after one random unit was flipped, `(T - washout,)`.

    Raises:
        ValueError: states take more than two values, or the reservoir explodes.
    """
    states = np.vstack([start, follow(owner, system, start, drive)])
    levels = levels_of(owner, states[1:])
    rng = np.random.default_rng(seed)
    units = rng.integers(system.units, size=(len(drive), 1))
    damaged = flipped(states[:-1], units, levels)
    # The start need not be one of the levels; from the first step on states are.
    return np.array(
        [
            np.count_nonzero(system.step(damaged[now], drive[now]) != states[now + 1])
            for now in range(washout, len(drive))
        ],
        dtype=np.float64,
    )
