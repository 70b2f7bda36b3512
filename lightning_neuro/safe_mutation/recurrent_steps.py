"""One step of each recurrent cell, in matrix products that torch can batch over weights.

The parts of the gates that come from the input are made for all steps at once; a step adds what comes from the state.
Equations and order of the gates are those of `torch.nn.RNN`, `LSTM` and `GRU`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

State = tuple[Tensor, ...]


@dataclass(frozen=True)
class CellWeights:
    """Weights of one cell, with `G` = 1, 3 or 4 gates of `H` units each.

    Attributes:
        input: `(G H, I)`.
        hidden: `(G H, H)`; `(G H, R)` with a projection to `R` units.
        input_bias: `(G H,)` or None.
        hidden_bias: `(G H,)` or None.
        projection: `(R, H)` or None.
    """

    input: Tensor
    hidden: Tensor
    input_bias: Tensor | None = None
    hidden_bias: Tensor | None = None
    projection: Tensor | None = None


Step = Callable[[Tensor, State, CellWeights], State]


def input_gates(inputs: Tensor, weights: CellWeights, step: Step) -> Tensor:
    """Return the part of the gates that comes from inputs `(N, I)`: `(N, G H)`."""
    bias = weights.input_bias
    if bias is not None and weights.hidden_bias is not None and step is not gru_step:
        bias = bias + weights.hidden_bias
    return product(inputs, weights.input, bias)


def product(inputs: Tensor, weight: Tensor, start: Tensor | None) -> Tensor:
    """Return `start + inputs @ weight^T`."""
    return inputs @ weight.t() if start is None else torch.addmm(start, inputs, weight.t())


def tanh_step(gates: Tensor, state: State, weights: CellWeights) -> State:
    """Return `h' = tanh(gates + W h)`."""
    return (product(state[0], weights.hidden, gates).tanh(),)


def relu_step(gates: Tensor, state: State, weights: CellWeights) -> State:
    """Return `h' = relu(gates + W h)`."""
    return (product(state[0], weights.hidden, gates).relu(),)


def lstm_step(gates: Tensor, state: State, weights: CellWeights) -> State:
    """Return `c' = f c + i g` and `h' = o tanh(c')`, projected if there is a projection."""
    hidden, cell = state
    gates = product(hidden, weights.hidden, gates)
    into, keep, candidate, out = gates.chunk(4, dim=-1)
    cell = keep.sigmoid() * cell + into.sigmoid() * candidate.tanh()
    hidden = out.sigmoid() * cell.tanh()
    return (hidden if weights.projection is None else hidden @ weights.projection.t(), cell)


def gru_step(gates: Tensor, state: State, weights: CellWeights) -> State:
    """Return `h' = (1 - z) n + z h` with `n = tanh(gates_n + r (W_n h + b_n))`."""
    (hidden,) = state
    size = hidden.shape[-1]
    recurrent = product(hidden, weights.hidden, weights.hidden_bias)
    reset, update = (gates[..., : 2 * size] + recurrent[..., : 2 * size]).sigmoid().chunk(2, dim=-1)
    candidate = (gates[..., 2 * size :] + reset * recurrent[..., 2 * size :]).tanh()
    return (candidate + update * (hidden - candidate),)


def scan(gates: Tensor, state: State, weights: CellWeights, step: Step, reverse: bool) -> tuple[Tensor, State]:
    """Run a cell over the steps of a sequence.

    Args:
        gates: the part from the inputs, `(T, B, G H)`.
        state: at the start, `(B, H)` each.
        weights: of the cell.
        step: of the cell.
        reverse: whether the last step comes first.

    Returns:
        Hidden units at each step `(T, B, H)`, in the order of the inputs, and the state at the end.
    """
    outputs = []
    for now in reversed(gates.unbind()) if reverse else gates.unbind():
        state = step(now, state, weights)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if reverse else outputs), state
