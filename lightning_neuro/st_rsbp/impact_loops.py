"""Loops over the spikes of the presynaptic neurons for numba: import it through `compiled` only.

The impact `R_i[s]` is what a presynaptic spike at step s adds to the spike-train potential of neuron i, so that
`e_ij = sum_s x_j[s] R_i[s]`. It is the free trace's filter run backwards over the coefficients A of `potential`, and
costs one addition per synapse and presynaptic spike where sums over traces cost two for each postsynaptic one.
Ranges, layouts and locks as in `loops`.
"""

from typing import Any

import numpy as np

from lightning_neuro.st_rsbp.compilation import aligned, compiled
from lightning_neuro.st_rsbp.loops import list_spikes

# Neurons whose impacts, and the gradients of their weights, stay in a core's cache together; the fewer for a rest.
WIDE, NARROW = 128, 64


@compiled()
def count_spikes(first: int, last: int, spikes: Any, counts: Any) -> None:
    """Count the spikes of samples `first` to `last`, `(B, M)`."""
    for b in range(first, last):
        own = counts[b]
        own[:] = 0
        for t in range(spikes.shape[0]):
            row = spikes[t, b]
            for j in range(own.shape[0]):
                own[j] += row[j]


@compiled()
def sort_spikes(first: int, last: int, spikes: Any, starts: Any, times: Any) -> None:
    """Sort spikes by neuron: those of neuron j of sample b stand in `times` from `starts[b M + j]` to the next."""
    size = spikes.shape[2]
    listed = np.empty(size + 1, np.int32)
    for b in range(first, last):
        filled = starts[b * size : (b + 1) * size].copy()
        for t in range(spikes.shape[0]):
            for n in range(list_spikes(spikes[t, b], listed)):
                j = listed[n]
                times[filled[j]] = t
                filled[j] += 1


@compiled()
def mark_refractory(spikes: Any, b: int, first: int, quiet: Any, refractory: int, held: Any) -> None:
    """Write to `held` `(T, n)` whether as many neurons as `quiet`, `first` on, are held at 0 by a spike before."""
    quiet[:] = 0
    for t in range(held.shape[0]):
        row, now = spikes[t, b, first : first + quiet.shape[0]], held[t]
        for k in range(quiet.shape[0]):
            now[k] = quiet[k] > 0
            quiet[k] = refractory if row[k] else quiet[k] - 1


@compiled()
def impact(
    spikes: Any, b: int, first: int, gains: Any, refractory: int, constants: Any, held: Any, state: Any, out: Any
) -> None:
    """Write the impact, times `gains`, of sample b on the neurons from `first` to the columns of `out` `(T, n)`.

    There are as many as `gains`; `held` `(T, n)`, bool, and `state` `(2, n)` are scratch. Constants as in
    `loops.forward`.
    """
    decay, synapse_decay, share = constants[0], constants[1], constants[2]
    zero = constants.dtype.type(0)
    size = gains.shape[0]
    membrane, synapse = state[0, :size], state[1, :size]
    mark_refractory(spikes, b, first, membrane, refractory, held)
    state[:] = 0
    out[-1] = 0
    for t in range(out.shape[0] - 1, 0, -1):
        row, hold, before = spikes[t, b, first : first + size], held[t, :size], out[t - 1, :size]
        for k in range(size):
            kept = gains[k] if row[k] else membrane[k] * decay
            membrane[k] = zero if hold[k] else kept
        for k in range(size):
            synapse[k] = synapse[k] * synapse_decay + membrane[k] * share
            before[k] = synapse[k]


def adding(width: int) -> Any:
    """Return the loop that adds impacts of one width: machine code for a known width is faster."""

    @compiled()
    def add_impacts(impacts: Any, starts: Any, times: Any, total: Any) -> None:
        for j in range(total.shape[0]):
            row, k, end = total[j], starts[j], starts[j + 1]
            while k + 4 <= end:
                a, b, c, d = impacts[times[k]], impacts[times[k + 1]], impacts[times[k + 2]], impacts[times[k + 3]]
                for i in range(width):
                    row[i] = row[i] + a[i] + b[i] + c[i] + d[i]
                k += 4
            if k + 2 <= end:
                a, b = impacts[times[k]], impacts[times[k + 1]]
                for i in range(width):
                    row[i] = row[i] + a[i] + b[i]
                k += 2
            if k < end:
                a = impacts[times[k]]
                for i in range(width):
                    row[i] += a[i]

    return add_impacts


add_wide, add_narrow = adding(WIDE), adding(NARROW)


@compiled()
def weight_gradient_of_inputs(
    first: int,
    last: int,
    spikes: Any,
    gains: Any,
    refractory: int,
    constants: Any,
    starts: Any,
    times: Any,
    out: Any,
) -> None:
    """Write `sum_b gains e` to rows `first` to `last` of `out`, `(N, M)`; presynaptic spikes as by `sort_spikes`."""
    steps, batch, _ = spikes.shape
    inputs, low = out.shape[1], first
    while low < last:
        width = WIDE if last - low > NARROW else NARROW
        high = min(low + width, last)
        held, state = np.empty((steps, width), np.bool_), np.empty((2, width), out.dtype)
        impacts, total = aligned(steps, width, out), aligned(inputs, width, out)
        impacts[:] = 0
        total[:] = 0
        for b in range(batch):
            impact(spikes, b, low, gains[b, low:high], refractory, constants, held, state, impacts)
            own = starts[b * inputs : (b + 1) * inputs + 1]
            if width == WIDE:
                add_wide(impacts, own, times, total)
            else:
                add_narrow(impacts, own, times, total)
        for i in range(low, high):
            for j in range(inputs):
                out[i, j] = total[j, i - low]
        low = high
