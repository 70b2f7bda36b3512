"""Loops over all steps for triton: one program holds the state of its neurons in registers from first step to last.

Without triton the functions stay what Python makes of them, and nobody calls them. Arrays are time-first and
contiguous; `constants` are those of `loops.forward`, in the type of the arrays, because triton rounds plain numbers.
"""
# A language of its own, whose types mypy does not know.
# mypy: ignore-errors

try:
    import triton
    import triton.language as tl

    INSTALLED, jit, constexpr = True, triton.jit, tl.constexpr
except ImportError:
    INSTALLED, jit, constexpr = False, (lambda function: function), int


@jit
def forward(
    current,
    columns,
    constants,
    listed,
    spikes,
    traces,
    steps,
    batch,
    size,
    has_recurrence: constexpr,
    has_trace: constexpr,
    block: constexpr,
    tile: constexpr,
):
    """Simulate `block` neurons of one sample; with recurrence these are all its neurons.

    `columns` is the transposed recurrent weight. Who fired is written to `listed`, `(batch, size)`, and read back,
    so that the columns of these neurons alone are fetched, `tile` at a time.
    """
    sample = tl.program_id(0)
    neuron = tl.program_id(1) * block + tl.arange(0, block)
    inside = neuron < size
    decay, synapse_decay, share = tl.load(constants), tl.load(constants + 1), tl.load(constants + 2)
    limit, refractory = tl.load(constants + 3), tl.load(constants + 4)
    zero = tl.load(current + sample * size + neuron, mask=inside, other=0.0) * 0
    membrane, synapse, quiet, traced, trace = zero, zero, zero, zero, zero
    fired = neuron < 0
    lane = tl.arange(0, tile)
    own = listed + sample * size
    row = sample * size + neuron.to(tl.int64)
    tl.store(spikes + row, fired.to(tl.int8), mask=inside)
    if has_trace:
        tl.store(traces + row, zero, mask=inside)
    for _ in range(1, steps):
        row += batch * size
        arriving = tl.load(current + row, mask=inside, other=0.0)
        if has_recurrence:
            count = tl.sum(fired.to(tl.int32), 0)
            tl.store(own + tl.cumsum(fired.to(tl.int32), 0) - 1, neuron, mask=fired)
            tl.debug_barrier()
            for start in range(0, count, tile):
                some = start + lane < count
                who = tl.load(own + start + lane, mask=some, other=0)
                at = who[:, None] * size + neuron[None, :]
                arriving += tl.sum(tl.load(columns + at, mask=some[:, None] & inside[None, :], other=0.0), 0)
            tl.debug_barrier()
        synapse = synapse * synapse_decay + arriving
        membrane = tl.where(quiet > 0, zero, membrane * decay + synapse * share)
        if has_trace:
            traced = traced * synapse_decay + tl.where(fired, zero + 1, zero)
            trace = trace * decay + traced * share
            tl.store(traces + row, trace, mask=inside)
        fired = (membrane > limit) & inside
        membrane = tl.where(fired, zero, membrane)
        quiet = tl.where(fired, refractory, quiet - 1)
        tl.store(spikes + row, fired.to(tl.int8), mask=inside)


@jit
def trace(spikes, constants, traces, steps, width, block: constexpr):
    """Compute the free trace of `block` trains, laid out as `(steps, width)`."""
    column = tl.program_id(0) * block + tl.arange(0, block)
    inside = column < width
    decay, synapse_decay, share = tl.load(constants), tl.load(constants + 1), tl.load(constants + 2)
    zero = tl.zeros([block], dtype=decay.dtype)
    synapse, now = zero, zero
    at = column.to(tl.int64)
    tl.store(traces + at, zero, mask=inside)
    for _ in range(1, steps):
        fired = tl.load(spikes + at, mask=inside, other=0)
        at += width
        synapse = synapse * synapse_decay + tl.where(fired != 0, zero + 1, zero)
        now = now * decay + synapse * share
        tl.store(traces + at, now, mask=inside)


@jit
def weighed(spikes, gains, powers, out, steps, width, refractory, block: constexpr):
    """Compute the coefficients A times gains of `block` trains, laid out as `(steps, width)`.

    What a reset takes away is written once the spike that ends it is known; no two resets share a place. Other threads
    may have written the place before, hence the barrier.
    """
    column = tl.program_id(0) * block + tl.arange(0, block)
    inside = column < width
    gain = tl.load(gains + column, mask=inside, other=0.0)
    zero = gain * 0
    last = tl.full([block], -1, tl.int32)
    at = column.to(tl.int64)
    for step in range(0, steps):
        fired = tl.load(spikes + at, mask=inside, other=0) != 0
        tl.store(out + at, tl.where(fired, gain, zero), mask=inside)
        tl.debug_barrier()
        again = fired & (last >= 0)
        reset = tl.minimum(last + refractory, step)
        left = tl.load(powers + (step - reset), mask=again, other=0.0)
        there = tl.where((reset == step) | (reset == last), gain, zero)
        tl.store(out + column + reset.to(tl.int64) * width, there - gain * left, mask=again)
        last = tl.where(fired, step, last)
        at += width
