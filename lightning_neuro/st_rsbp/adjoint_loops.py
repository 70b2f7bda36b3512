"""The adjoint of a recurrent layer for numba, one sample after the other: import it through `compiled` only.

A sample's system stays in the cache of a core from its first potential to its solution.
"""

from typing import Any

import numpy as np

from lightning_neuro.st_rsbp.compilation import aligned, compiled
from lightning_neuro.st_rsbp.impact_loops import impact
from lightning_neuro.st_rsbp.loops import add_columns
from lightning_neuro.st_rsbp.system_loops import PANEL, TILE, padded, solve


@compiled()
def list_members(counts: Any, silent_ratio: Any, members: Any) -> int:
    """List the neurons whose equations are tied to others: without a ratio for silent ones, those that fired."""
    count = 0
    for i in range(counts.shape[0]):
        members[count] = i
        count += counts[i] > 0 or silent_ratio != 0
    return count


@compiled()
def gather(impacts: Any, members: Any) -> None:
    """Move the columns of the members to the front."""
    for t in range(impacts.shape[0]):
        row = impacts[t]
        for k in range(members.shape[0]):
            row[k] = row[members[k]]


@compiled()
def couple(
    row: Any, weight: Any, own: int, counts: Any, members: Any, silent_ratio: Any, threshold: Any, self_term: bool
) -> None:
    """Turn potentials from member `own` to all members into its row of `-Theta^T`; `weight` leads from it."""
    pre = counts[members[own]]
    share = row.dtype.type(-1 / (threshold * max(pre, 1)))
    for k in range(members.shape[0]):
        row[k] *= share * weight[members[k]]
    if silent_ratio != 0:
        for k in range(members.shape[0]):
            if pre == 0 or counts[members[k]] == 0:
                row[k] = -silent_ratio / threshold * weight[members[k]]
    if not self_term:
        row[own] = 0


@compiled()
def assemble(
    system: Any,
    impacts: Any,
    columns: Any,
    members: Any,
    counts: Any,
    starts: Any,
    times: Any,
    diagonal: Any,
    error: Any,
    constants: Any,
    self_term: bool,
) -> None:
    """Write `(diag(D) - Theta)^T` of the members and the error to `system`; rows that pad it say 1 y = 0."""
    size = members.shape[0]
    system[:] = 0
    for k in range(size):
        i = members[k]
        row = system[k, :size]
        add_columns(row, impacts, times[starts[i] : starts[i + 1]], starts[i + 1] - starts[i])
        couple(row, columns[i], k, counts, members, constants[1], constants[0], self_term)
        row[k] += diagonal[i]
        system[k, system.shape[0]] = error[i]
    for k in range(size, system.shape[0]):
        system[k, k] = 1


@compiled()
def adjoint(
    first: int,
    last: int,
    spikes: Any,
    counts: Any,
    starts: Any,
    times: Any,
    columns: Any,
    diagonal: Any,
    error: Any,
    refractory: int,
    constants: Any,
    coupling: Any,
    self_term: bool,
    out: Any,
) -> None:
    """Write y with `(diag(D) - Theta)^T y = error` of samples `first` to `last` to `out`, not finite where singular.

    `counts`, `starts`, `times` as by `sort_spikes`; `columns` is the transposed weight; `coupling` holds the threshold
    and the ratio that stands for silent pairs.
    """
    steps, _, size = spikes.shape
    held, state = np.empty((steps, size), np.bool_), np.empty((2, size), out.dtype)
    impacts, ones = aligned(steps, size, out), np.ones(size, out.dtype)
    room, members = padded(size), np.empty(size + 1, np.int64)
    memory, panel, tile = aligned(room, room + PANEL, out), aligned(PANEL, room, out), aligned(PANEL, TILE, out)
    solution = np.empty(room, out.dtype)
    for b in range(first, last):
        for i in range(size):
            out[b, i] = error[b, i] / diagonal[b, i]
        count = list_members(counts[b], coupling[1], members)
        tied, rows = members[:count], padded(count)
        impact(spikes, b, 0, ones, refractory, constants, held, state, impacts)
        gather(impacts, tied)
        system = memory.ravel()[: rows * (rows + PANEL)].reshape(rows, rows + PANEL)
        own = starts[b * size : (b + 1) * size + 1]
        assemble(system, impacts, columns, tied, counts[b], own, times, diagonal[b], error[b], coupling, self_term)
        solve(system, panel.ravel()[: PANEL * rows].reshape(PANEL, rows), tile.ravel(), solution[:rows])
        for k in range(count):
            out[b, tied[k]] = solution[k]
