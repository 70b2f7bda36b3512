"""Binary excitatory and inhibitory units in steps of time, and the growth of synapses: pure functions of SORN.

    R(t+1) = W_EE x(t) - W_EI y(t) - T_E
    x(t+1) = H(R(t+1) + u(t+1)),  y(t+1) = H(W_IE x(t+1) - T_I),  H(0) = 1

| here | paper | meaning |
|---|---|---|
| `excitatory` | x | `(N,)`, 0 or 1 |
| `inhibitory` | y | `(M,)`, 0 or 1 |
| `margin` | R | `(N,)`, what the network alone drives above threshold |
| `from_inhibitory` | W_EI | `(N, M)`, rows sum to 1 |
| `to_inhibitory` | W_IE | `(M, N)`, rows sum to 1 |
| `threshold`, `inhibitory_threshold` | T_E, T_I | `(N,)`, `(M,)` |

Lazar, Pipa and Triesch 2009, as public programs that cite the paper run it.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from lightning_neuro.reservoir.rules.synapses import Synapses

Array = npt.NDArray[np.float64]

_TRIES = 100  # a new synapse is dropped where so many draws found none that is absent


class Wiring(NamedTuple):
    """What a step needs; `recurrent` is W_EE, `(N, N)`, dense or sparse."""

    recurrent: Any
    from_inhibitory: Array
    to_inhibitory: Array
    threshold: Array
    inhibitory_threshold: Array


def sorn_step(wiring: Wiring, excitatory: Array, inhibitory: Array, current: Array) -> tuple[Array, Array, Array]:
    """Return margin, excitatory and inhibitory units one step on.

    Args:
        wiring: weights and thresholds.
        excitatory: x(t), `(N,)`.
        inhibitory: y(t), `(M,)`.
        current: what the input adds, `(N,)`.

    >>> one = np.ones((1, 1))
    >>> wiring = Wiring(one, one, one, np.array([0.5]), np.array([0.5]))
    >>> sorn_step(wiring, np.ones(1), np.ones(1), np.array([0.5]))
    (array([-0.5]), array([1.]), array([1.]))
    """
    margin = wiring.recurrent @ excitatory - wiring.from_inhibitory @ inhibitory - wiring.threshold
    fired = (margin + current >= 0).astype(np.float64)
    inhibited = (wiring.to_inhibitory @ fired >= wiring.inhibitory_threshold).astype(np.float64)
    return margin, fired, inhibited


def inhibitory_stdp(inhibitory_before: Array, excitatory_after: Array, target_rate: Any) -> Array:
    """Return the change of W_EI `(N, M)` for a learning rate of 1: `-y_j(t) (1 - x_i(t+1) (1 + 1 / target_rate))`.

    An active inhibitory synapse weakens where its unit was silent and strengthens where the unit fired in spite of it;
    the two balance at a rate of `target_rate / (1 + target_rate)`. A form of later work on SORN, from memory.

    >>> inhibitory_stdp(np.array([1.0]), np.array([0.0, 1.0]), 0.25).ravel()
    array([-1.,  4.])
    """
    return -np.outer(1 - excitatory_after * (1 + 1 / np.asarray(target_rate)), inhibitory_before)


def grow_and_prune(synapses: Synapses, weight: float, rng: np.random.Generator) -> Synapses:
    """Return synapses without those of weight 0 and with one more, drawn from the absent pairs of different units.

    Args:
        synapses: among N units.
        weight: of the new one.
        rng: of the draw.

    >>> ring = Synapses([[0.0, 1.0], [0.0, 0.0]])
    >>> grow_and_prune(ring, 0.001, np.random.default_rng(0)).dense()
    array([[0.   , 1.   ],
           [0.001, 0.   ]])
    """
    kept = synapses.weights > 0
    rows, columns, weights = synapses.rows[kept], synapses.columns[kept], synapses.weights[kept]
    units = synapses.shape[0]
    for _ in range(_TRIES):
        row, column = rng.integers(units, size=2)
        if row != column and not np.any((rows == row) & (columns == column)):
            rows, columns, weights = np.append(rows, row), np.append(columns, column), np.append(weights, weight)
            break
    return Synapses(csr_array((weights, (rows, columns)), shape=synapses.shape))


def draw_recurrent(units: int, connections: float, rng: np.random.Generator) -> csr_array:
    """Return W_EE with about `connections` inputs to each unit, at least one, none from itself; rows sum to 1.

    >>> w = draw_recurrent(50, 10, np.random.default_rng(0)).toarray()
    >>> bool(np.allclose(w.sum(axis=1), 1)), float(np.trace(w))
    (True, 0.0)
    """
    present = rng.random((units, units)) < connections / (units - 1)
    np.fill_diagonal(present, val=False)
    for unit in np.flatnonzero(~present.any(axis=1)):
        present[unit, (unit + rng.integers(1, units)) % units] = True
    return csr_array(row_normalized(np.where(present, rng.random((units, units)), 0.0)))


def row_normalized(matrix: Array) -> Array:
    """Return the matrix with rows that sum to 1.

    >>> row_normalized(np.array([[1.0, 3.0]]))
    array([[0.25, 0.75]])
    """
    return matrix / matrix.sum(axis=1, keepdims=True)
