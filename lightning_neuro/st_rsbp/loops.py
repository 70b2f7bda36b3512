"""Loops over spike trains for numba, which this module needs: import it through `compiled` only.

Arrays are time-first and contiguous. A loop works on samples `first` to `last` of the batch, or on such a range of
neurons, so that threads can share the work; it releases the interpreter lock. Only spikes cost arithmetic per synapse.
"""

from typing import Any

import numpy as np

from lightning_neuro.st_rsbp.compilation import compiled


@compiled()
def list_spikes(row: Any, listed: Any) -> int:
    """Write the indices of the spikes in a row; return how many. Without a branch: spikes are hard to predict."""
    count = 0
    for index in range(row.shape[0]):
        listed[count] = index
        count += row[index]
    return count


@compiled()
def add_columns(total: Any, columns: Any, listed: Any, count: int) -> None:
    """Add the listed rows of `columns`, which is a transposed weight; four at a time spare passes over `total`."""
    size = total.shape[0]
    whole = count - count % 4
    for k in range(0, whole, 4):
        a, b = columns[listed[k]], columns[listed[k + 1]]
        c, d = columns[listed[k + 2]], columns[listed[k + 3]]
        for i in range(size):
            total[i] = total[i] + a[i] + b[i] + c[i] + d[i]
    for k in range(whole, count):
        a = columns[listed[k]]
        for i in range(size):
            total[i] += a[i]


@compiled()
def fire(membrane: Any, synapse: Any, quiet: Any, fired: Any, constants: Any) -> None:
    """Move the membranes one step and mark who fires. `quiet` counts the refractory steps left, and on below 0."""
    decay, share, limit, refractory = constants[0], constants[2], constants[3], constants[4]
    zero, one = constants.dtype.type(0), constants.dtype.type(1)
    for i in range(membrane.shape[0]):
        moved = membrane[i] * decay + synapse[i] * share
        moved = moved if quiet[i] <= zero else zero
        fires = moved > limit
        membrane[i] = zero if fires else moved
        quiet[i] = refractory if fires else quiet[i] - one
        fired[i] = fires


@compiled()
def follow(synapse: Any, before: Any, now: Any, fired: Any, constants: Any) -> None:
    """Move the free trace one step, from the spikes of the step before."""
    decay, synapse_decay, share = constants[0], constants[1], constants[2]
    zero, one = constants.dtype.type(0), constants.dtype.type(1)
    for i in range(synapse.shape[0]):
        synapse[i] = synapse[i] * synapse_decay + (one if fired[i] else zero)
        now[i] = before[i] * decay + synapse[i] * share


@compiled()
def forward(
    first: int,
    last: int,
    inputs: Any,
    columns: Any,
    current: Any,
    recurrent: Any,
    constants: Any,
    spikes: Any,
    traces: Any,
) -> None:
    """Simulate a layer. `inputs`, `current`, `recurrent`, `traces` may be empty and are then left out.

    `constants`: membrane decay, synapse decay, 1 / tau_s, the potential that must be exceeded, refractory steps.
    """
    steps, _, size = spikes.shape
    has_inputs, has_current = inputs.shape[0] > 0, current.shape[0] > 0
    has_recurrence, has_traces = recurrent.shape[0] > 0, traces.shape[0] > 0
    listed = np.empty(max(size, inputs.shape[2]) + 1, np.int32)
    state = np.empty((4, size), constants.dtype)
    membrane, synapse, quiet, traced = state[0], state[1], state[2], state[3]
    synapse_decay = constants[1]
    for b in range(first, last):
        state[:] = 0
        spikes[0, b] = False
        if has_traces:
            traces[0, b] = 0
        for t in range(1, steps):
            for i in range(size):
                synapse[i] *= synapse_decay
            if has_current:
                arriving = current[t, b]
                for i in range(size):
                    synapse[i] += arriving[i]
            if has_inputs:
                add_columns(synapse, columns, listed, list_spikes(inputs[t - 1, b], listed))
            if has_recurrence:
                add_columns(synapse, recurrent, listed, list_spikes(spikes[t - 1, b], listed))
            fire(membrane, synapse, quiet, spikes[t, b], constants)
            if has_traces:
                follow(traced, traces[t - 1, b], traces[t, b], spikes[t - 1, b], constants)


@compiled()
def trace(first: int, last: int, spikes: Any, constants: Any, traces: Any) -> None:
    """Compute the free trace of columns `first` to `last` of trains laid out as `(T, B M)`."""
    synapse = np.zeros(last - first, constants.dtype)
    traces[0, first:last] = 0
    for t in range(1, spikes.shape[0]):
        follow(synapse, traces[t - 1, first:last], traces[t, first:last], spikes[t - 1, first:last], constants)


@compiled()
def spike_times(spikes: Any, b: int, first: int, last: int, starts: Any, times: Any) -> None:
    """Sort the spikes of sample b by neuron: those of neuron `first + k` are `times[starts[k]:starts[k + 1]]`."""
    steps, size = spikes.shape[0], last - first
    starts[:] = 0
    for t in range(steps):
        row = spikes[t, b, first:last]
        for k in range(size):
            starts[k + 1] += row[k]
    for k in range(size):
        starts[k + 1] += starts[k]
    filled = starts[:size].copy()
    listed = np.empty(size + 1, np.int32)
    for t in range(steps):
        count = list_spikes(spikes[t, b, first:last], listed)
        for n in range(count):
            k = listed[n]
            times[filled[k]] = t
            filled[k] += 1


@compiled(fastmath={"contract"})
def add_potential(total: Any, gain: Any, times: Any, traces: Any, b: int, refractory: int, powers: Any) -> None:
    """Add `gain` times the S-PSP of one postsynaptic train, with every presynaptic one, to the row `total`."""
    for n in range(times.shape[0]):
        now = traces[times[n], b]
        if n == 0:
            for j in range(total.shape[0]):
                total[j] += gain * now[j]
        else:
            reset = min(times[n - 1] + refractory, times[n])
            lost, then = gain * powers[times[n] - reset], traces[reset, b]
            for j in range(total.shape[0]):
                total[j] += gain * now[j] - lost * then[j]


@compiled()
def weight_gradient(
    first: int, last: int, spikes: Any, gains: Any, traces: Any, refractory: int, powers: Any, out: Any
) -> None:
    """Add `sum_b gains e` to rows `first` to `last` of `out`, `(N, M)`."""
    starts = np.empty(last - first + 1, np.int64)
    times = np.empty(spikes.shape[0] * (last - first), np.int32)
    for b in range(spikes.shape[1]):
        spike_times(spikes, b, first, last, starts, times)
        for k in range(last - first):
            own = times[starts[k] : starts[k + 1]]
            add_potential(out[first + k], gains[b, first + k], own, traces, b, refractory, powers)


@compiled()
def pairwise(first: int, last: int, spikes: Any, traces: Any, refractory: int, powers: Any, out: Any) -> None:
    """Write e of samples `first` to `last` to `out`, `(B, N, M)`."""
    size = spikes.shape[2]
    starts, times = np.empty(size + 1, np.int64), np.empty(spikes.shape[0] * size, np.int32)
    for b in range(first, last):
        spike_times(spikes, b, 0, size, starts, times)
        for i in range(size):
            out[b, i] = 0
            add_potential(out[b, i], powers[0], times[starts[i] : starts[i + 1]], traces, b, refractory, powers)


@compiled(fastmath={"contract"})
def propagated(
    first: int, last: int, spikes: Any, gains: Any, weight: Any, traces: Any, refractory: int, powers: Any, out: Any
) -> None:
    """Write `sum_i gains weight e` of samples `first` to `last` to `out`, `(B, M)`."""
    size = spikes.shape[2]
    starts, times = np.empty(size + 1, np.int64), np.empty(spikes.shape[0] * size, np.int32)
    potential = np.empty(traces.shape[2], traces.dtype)
    for b in range(first, last):
        spike_times(spikes, b, 0, size, starts, times)
        out[b] = 0
        for i in range(size):
            potential[:] = 0
            add_potential(potential, gains[b, i], times[starts[i] : starts[i + 1]], traces, b, refractory, powers)
            for j in range(potential.shape[0]):
                out[b, j] += weight[i, j] * potential[j]


@compiled()
def coefficients(first: int, last: int, spikes: Any, gains: Any, refractory: int, powers: Any, out: Any) -> None:
    """Write A, times `gains`, of samples `first` to `last` to `out`, `(T, B, N)` and 0 before."""
    size = spikes.shape[2]
    starts, times = np.empty(size + 1, np.int64), np.empty(spikes.shape[0] * size, np.int32)
    for b in range(first, last):
        spike_times(spikes, b, 0, size, starts, times)
        for i in range(size):
            gain = gains[b, i]
            for n in range(starts[i], starts[i + 1]):
                out[times[n], b, i] += gain
                if n > starts[i]:
                    reset = min(times[n - 1] + refractory, times[n])
                    out[reset, b, i] -= gain * powers[times[n] - reset]
