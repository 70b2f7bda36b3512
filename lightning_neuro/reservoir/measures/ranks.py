"""Ranks of states: how many input streams a reservoir tells apart, and how many it should not."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.drive import Array
from lightning_neuro.reservoir.measures.maps import as_map
from lightning_neuro.reservoir.measures.result import Measure

RELATIVE_TOLERANCE = 1e-3


def kernel_rank(reservoir: Any, streams: npt.ArrayLike, *, rtol: float = RELATIVE_TOLERANCE) -> Measure:
    """Return how many of the final states under different streams are independent (kernel quality).

    In double precision almost any set of states has full rank, so singular values count from `rtol` times the largest.

    Args:
        reservoir: what runs from its zero state.
        streams: `(m, L, K)`, m streams of L steps; at least as many as units say most.
        rtol: relative tolerance; for binary states give 1e-12.

    Returns:
        The rank; `curve` holds the singular values, `details["effective_rank"]` the exponential of their entropy.

    Raises:
        ValueError: streams have other axes or hold NaN, or the reservoir explodes.

    Source: Legenstein and Maass 2007.

    >>> from reservoirpy.nodes import Reservoir
    >>> streams = np.random.default_rng(0).uniform(-1, 1, (30, 50, 1))
    >>> int(float(kernel_rank(Reservoir(30, sr=0.1, seed=0), streams))) < 10
    True
    """
    return _rank("kernel_rank", "kernel rank", reservoir, streams, rtol)


def generalization_rank(reservoir: Any, streams: npt.ArrayLike, *, rtol: float = RELATIVE_TOLERANCE) -> Measure:
    """Return the same rank for streams that ought to count as one: `similar_streams` makes such. Lower is better.

    Args:
        reservoir: what runs from its zero state.
        streams: `(m, L, K)`.
        rtol: relative tolerance.

    Raises:
        ValueError: as `kernel_rank`.

    >>> from reservoirpy.nodes import Reservoir
    >>> streams = similar_streams(np.random.default_rng(0).uniform(-1, 1, (30, 50, 1)), same_steps=40)
    >>> int(float(generalization_rank(Reservoir(30, sr=0.1, seed=0), streams)))
    1
    """
    return _rank("generalization_rank", "generalization rank", reservoir, streams, rtol)


def similar_streams(streams: npt.ArrayLike, *, same_steps: int) -> Array:
    """Return the streams `(m, L, K)` with the last steps of the first in all of them.

    Args:
        streams: `(m, L, K)`.
        same_steps: how many, 1 to L.

    Raises:
        ValueError: no such shape, or a number out of range.

    >>> similar_streams(np.arange(4.0).reshape(2, 2, 1), same_steps=1).ravel().tolist()
    [0.0, 1.0, 2.0, 1.0]
    """
    made = _streams("similar_streams", streams).copy()
    same = checks.integer("similar_streams", "same_steps", same_steps, at_least=1, at_most=made.shape[1])
    made[:, -same:] = made[0, -same:]
    return made


def _rank(owner: str, name: str, reservoir: Any, streams: npt.ArrayLike, rtol: float) -> Measure:
    tolerance, drives = checks.number(owner, "rtol", rtol, above=0, below=1), _streams(owner, streams)
    system = as_map(reservoir, drives[0], owner=owner)
    states = np.zeros((len(drives), system.units))
    for now in range(drives.shape[1]):
        states = system.step(states, drives[:, now])
    final = system.output(states)
    if not np.isfinite(final).all():
        raise ValueError(f"{owner}: states must stay finite, but the reservoir ran away. Make W smaller.")
    values = np.asarray(np.linalg.svd(final, compute_uv=False), np.float64)
    rank = int((values > tolerance * values[0]).sum()) if values[0] > 0 else 0
    share = values / values.sum() if values.sum() > 0 else np.zeros_like(values)
    entropy = -float(np.sum(share[share > 0] * np.log(share[share > 0])))
    return Measure(
        name,
        rank,
        curve=values,
        curve_at=np.arange(1.0, len(values) + 1),
        curve_label="singular value",
        params={"rtol": tolerance, "streams": len(drives), "steps": drives.shape[1]},
        details={"effective_rank": float(np.exp(entropy)) if rank else 0.0},
    )


def _streams(owner: str, streams: npt.ArrayLike) -> Array:
    drives = np.asarray(streams, np.float64)
    if drives.ndim != 3 or 0 in drives.shape:
        raise ValueError(f"{owner}: streams must be (streams, steps, columns), got shape {drives.shape}.")
    if not np.isfinite(drives).all():
        raise ValueError(f"{owner}: streams must hold finite numbers, got NaN or infinite ones.")
    return drives
