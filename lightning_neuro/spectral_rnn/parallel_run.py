"""A recurrence over long or many series, run as segments side by side."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lightning_neuro.spectral_rnn.series import Array, Steps

Step = Callable[[Array, Array], Array]

SEGMENT = 256
SAME = 1e-13


def run_segments(step: Step, drives: Sequence[Array], start: Array, segment: int = SEGMENT) -> list[Array]:
    """Return the states of `state = step(drive_t, state)` for each series, as a loop over all steps would.

    Series are cut into segments, which run at the same time. All but the first of a series start from a guess, zero.
    A segment whose start turns out to differ from the end of the one before runs again, until none does. A recurrence
    that forgets needs two rounds; in the worst case there are as many rounds as segments.

    Args:
        step: maps drives `(B, H)` and states `(B, H)` to new states `(B, H)`; a NaN state must stay NaN.
        drives: series `(T_i, H)`.
        start: state before the first step of every series `(H,)`.
        segment: steps in a segment.

    Returns:
        States `(T_i, H)` of each series; equal to those of a loop within rounding.

    >>> sums = run_segments(lambda drive, state: drive + state, [np.ones((5, 1)), np.ones((1, 1))], np.zeros(1), 2)
    >>> [series.ravel().tolist() for series in sums]
    [[1.0, 2.0, 3.0, 4.0, 5.0], [1.0]]
    """
    lengths = [len(drive) for drive in drives]
    segment = max(min(segment, max(lengths, default=1)), 1)
    counts = [-(-length // segment) for length in lengths]
    cut = _cut(drives, counts, segment, len(start))
    opens = np.zeros(sum(counts), dtype=bool)
    opens[np.cumsum([0, *counts])[:-1][np.array(counts, dtype=int) > 0]] = True
    states = _settle(step, cut, np.where(opens[:, None], start, 0.0), opens)
    pieces = np.split(states, np.cumsum(counts)[:-1]) if counts else []
    return [piece.reshape(-1, len(start))[:length] for piece, length in zip(pieces, lengths, strict=True)]


def _cut(drives: Sequence[Array], counts: Sequence[int], segment: int, width: int) -> Array:
    """Return segments `(S, segment, H)`, the last of each series filled up with zeros."""
    cut = np.zeros((sum(counts), segment, width))
    place = 0
    for drive, count in zip(drives, counts, strict=True):
        cut[place : place + count].reshape(-1, width)[: len(drive)] = drive
        place += count
    return cut


def _settle(step: Step, cut: Array, starts: Array, opens: NDArray[np.bool_]) -> Array:
    """Return the states of all segments, run again until every start is the end of the segment before."""
    states = np.empty_like(cut)
    stale = np.arange(len(cut))
    while stale.size:
        _run(step, cut, starts, states, stale)
        ends = np.where(opens[:, None], starts, np.concatenate([starts[:1], states[:-1, -1]]))
        same = np.isclose(ends, starts, rtol=SAME, atol=SAME * _largest(ends), equal_nan=True).all(axis=1)
        stale = np.flatnonzero(~same)
        starts[stale] = ends[stale]
    return states


def _run(step: Step, cut: Array, starts: Array, states: Array, which: Steps) -> None:
    """Fill the states of some segments; one that starts from NaN needs no run."""
    lost = np.isnan(starts[which]).any(axis=1)
    states[which[lost]] = np.nan
    which = which[~lost]
    state = starts[which]
    for time in range(cut.shape[1] if which.size else 0):
        state = step(cut[which, time], state)
        states[which, time] = state


def _largest(values: Array) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0
