"""The reservoir in time, a batch of series at once, while rules may change it between steps.

    net:    r(t+1) = W x(t) + W_in u(t+1) + bias
    output: x(t+1) = (1 - leak) x(t) + leak f(a r(t+1) + b)

or, with the leak inside, `r(t+1) = (1 - leak) r(t) + leak (...)` and `x(t+1) = f(a r(t+1) + b)`. With a = 1 and b = 0
the first is reservoirpy's `Reservoir`; the second is its `IPReservoir`.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from lightning_neuro.reservoir.activation import Activation
from lightning_neuro.reservoir.rules.rule import Activity, Circuit, Plastic

_BLOCK_NUMBERS = 1_000_000  # of input currents held at a time: 8 MB


def blocks(lengths: Sequence[int], longest: int) -> Iterator[tuple[int, int, int]]:
    """Yield stretches (start, stop, count) in which the same `count` series run; the longest series come first.

    >>> list(blocks([5, 3, 3], longest=2))
    [(0, 2, 3), (2, 3, 3), (3, 5, 1)]
    """
    start = 0
    for end in sorted(set(lengths)):
        count = sum(length >= end for length in lengths)
        for begin in range(start, end, longest):
            yield begin, min(begin + longest, end), count
        start = max(start, end)


def steps(plastic: Plastic, circuit: Circuit, activation: Activation | None = None) -> Iterator[Activity]:
    """Yield every step from states of zero; what the caller changes in `plastic` holds from the next step on.

    Args:
        plastic: weights, gain and shift.
        circuit: inputs and everything that stays as it is.
        activation: handed on with each step.

    Yields:
        One `Activity` a step; its arrays have a row for each series that is not over.

    >>> from lightning_neuro.reservoir.rules.synapses import Synapses
    >>> plastic = Plastic(Synapses([[0.5]]), np.ones(1), np.zeros(1))
    >>> circuit = Circuit([np.array([[1.0], [0.0]])], np.ones((1, 1)), 0.0, 1.0, lambda z: z)
    >>> [activity.after.item() for activity in steps(plastic, circuit)]
    [1.0, 0.5]
    """
    units, leak, function = len(plastic.gain), circuit.leak, circuit.function
    lengths = [len(series) for series in circuit.inputs]
    state = np.zeros((len(lengths), units))
    net = np.zeros_like(state)
    for start, stop, count in blocks(lengths, max(1, _BLOCK_NUMBERS // (units * len(lengths)))):
        state, net = state[:count], net[:count]
        for current in circuit.currents(start, stop, count):
            recurrent = plastic.synapses.drive(state)
            arriving = recurrent + current
            net = (1 - leak) * net + leak * arriving if circuit.leak_inside else arriving
            fired = function(plastic.gain * net + plastic.shift)
            after = fired if circuit.leak_inside else (1 - leak) * state + leak * fired
            yield Activity(state, after, net, fired, recurrent, activation)
            state = after
