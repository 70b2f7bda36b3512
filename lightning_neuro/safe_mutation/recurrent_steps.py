"""One step of each recurrent cell, in matrix products that torch can batch over weights.

The parts of the gates that come from the input are made for all steps at once; a step adds what comes from the state.
Equations and order of the gates are those of `torch.nn.RNN`, `LSTM` and `GRU`. Units come before states, `(H, B)`: so
each gate is one block of memory, and a product with an input that a whole population shares is one product.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

State = tuple[Tensor, ...]
FEW_COLUMNS = 8


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
    """Return the part of the gates that comes from inputs `(I, N)`: `(G H, N)`."""
    bias = weights.input_bias
    if bias is not None and weights.hidden_bias is not None and step is not gru_step:
        bias = bias + weights.hidden_bias
    gates = product(weights.input, inputs)
    return gates if bias is None else gates + bias.unsqueeze(-1)


def product(weight: Tensor, units: Tensor) -> Tensor:
    """Return `weight @ units` for units `(I, N)`.

    Batched over weights, a product from the left with few columns takes torch three times as long as its transpose.
    """
    return (units.t() @ weight.t()).t() if units.shape[1] < FEW_COLUMNS else weight @ units


def tanh_step(gates: Tensor, state: State, weights: CellWeights) -> State:
    """Return `h' = tanh(gates + W h)`."""
    return ((gates + product(weights.hidden, state[0])).tanh(),)


def relu_step(gates: Tensor, state: State, weights: CellWeights) -> State:
    """Return `h' = relu(gates + W h)`."""
    return ((gates + product(weights.hidden, state[0])).relu(),)


def lstm_step(gates: Tensor, state: State, weights: CellWeights) -> State:
    """Return `c' = f c + i g` and `h' = o tanh(c')`, projected if there is a projection."""
    hidden, cell = state
    into, keep, candidate, out = (gates + product(weights.hidden, hidden)).chunk(4)
    cell = keep.sigmoid() * cell + into.sigmoid() * candidate.tanh()
    hidden = out.sigmoid() * cell.tanh()
    return (hidden if weights.projection is None else product(weights.projection, hidden), cell)


def gru_step(gates: Tensor, state: State, weights: CellWeights) -> State:
    """Return `h' = (1 - z) n + z h` with `n = tanh(gates_n + r (W_n h + b_n))`."""
    (hidden,) = state
    size = hidden.shape[0]
    recurrent = product(weights.hidden, hidden)
    if weights.hidden_bias is not None:
        recurrent = recurrent + weights.hidden_bias.unsqueeze(-1)
    reset, update = (gates[: 2 * size] + recurrent[: 2 * size]).sigmoid().chunk(2)
    candidate = (gates[2 * size :] + reset * recurrent[2 * size :]).tanh()
    return (candidate + update * (hidden - candidate),)


def scan(gates: Tensor, state: State, weights: CellWeights, step: Step, reverse: bool) -> tuple[Tensor, State]:
    """Run a cell over the steps of a sequence.

    Args:
        gates: the part from the inputs, `(G H, T, B)`.
        state: at the start, `(H, B)` each.
        weights: of the cell.
        step: of the cell.
        reverse: whether the last step comes first.

    Returns:
        Hidden units at each step `(H, T, B)`, in the order of the inputs, and the state at the end.
    """
    outputs = []
    for now in reversed(gates.unbind(1)) if reverse else gates.unbind(1):
        state = step(now, state, weights)
        outputs.append(state[0])
    return torch.stack(outputs[::-1] if reverse else outputs, dim=1), state
