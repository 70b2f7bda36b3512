"""The equations of each recurrent cell, in matrix products that torch can batch over weights.

They are those of `torch.nn.RNN`, `LSTM` and `GRU`, with their order of gates. Units come before states, `(H, B)`, so
that each gate is one block of memory. Sequences are lists of steps, `(I, B)` each.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

State = tuple[Tensor, ...]
Step = Callable[[int, State], State]
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

    def joint(self, inputs: list[Tensor]) -> Callable[[int, Tensor], Tensor]:
        """Return a function of step and hidden units that is `W x + U h + b`, `(G H, B)`.

        With few states a product costs the reading of its weights, so inputs go through theirs once, all steps
        together. With many it costs its terms and the memory around it: then one product of `[W b U]` and `[x 1 h]`
        is fastest.
        """
        bias, states = self.bias, inputs[0].shape[1]
        if len(inputs) == 1 or states < FEW_COLUMNS:
            driven = input_gates(inputs, self.input, bias).split(states, dim=1)
            return lambda now, hidden: driven[now] + product(self.hidden, hidden)
        biases, ones = ([], []) if bias is None else ([bias.unsqueeze(1)], [inputs[0].new_ones(1, states)])
        joint = torch.cat([self.input, *biases, self.hidden], dim=1)
        return lambda now, hidden: joint @ torch.cat([inputs[now], *ones, hidden])

    def apart(self, inputs: list[Tensor]) -> Callable[[int, Tensor], tuple[Tensor, Tensor]]:
        """Return a function of step and hidden units that is `W x + b` and `U h + c`, `(G H, B)` each."""
        driven = input_gates(inputs, self.input, self.input_bias).split(inputs[0].shape[1], dim=1)
        return lambda now, hidden: (driven[now], plus(product(self.hidden, hidden), self.hidden_bias))

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """All of them, in order."""
        return self.input, self.hidden, self.input_bias, self.hidden_bias, self.projection

    @property
    def bias(self) -> Tensor | None:
        """Both biases together."""
        if self.input_bias is None or self.hidden_bias is None:
            return self.input_bias
        return self.input_bias + self.hidden_bias


Cell = Callable[[list[Tensor], CellWeights], Step]


def tanh_cell(inputs: list[Tensor], weights: CellWeights) -> Step:
    """Return the step `h' = tanh(W x + U h + b)`."""
    gates = weights.joint(inputs)
    return lambda now, state: (gates(now, state[0]).tanh(),)


def relu_cell(inputs: list[Tensor], weights: CellWeights) -> Step:
    """Return the step `h' = relu(W x + U h + b)`."""
    gates = weights.joint(inputs)
    return lambda now, state: (gates(now, state[0]).relu(),)


def lstm_cell(inputs: list[Tensor], weights: CellWeights) -> Step:
    """Return the step `c' = f c + i g`, `h' = o tanh(c')`, with `h'` projected if there is a projection."""
    gates = weights.joint(inputs)

    def step(now: int, state: State) -> State:
        hidden, cell = state
        into, keep, candidate, out = gates(now, hidden).chunk(4)
        cell = keep.sigmoid() * cell + into.sigmoid() * candidate.tanh()
        hidden = out.sigmoid() * cell.tanh()
        return (hidden if weights.projection is None else product(weights.projection, hidden), cell)

    return step


def gru_cell(inputs: list[Tensor], weights: CellWeights) -> Step:
    """Return the step `h' = (1 - z) n + z h` with `n = tanh(W_n x + b_n + r (U_n h + c_n))`."""
    gates = weights.apart(inputs)

    def step(now: int, state: State) -> State:
        (hidden,) = state
        size = hidden.shape[0]
        driven, recurrent = gates(now, hidden)
        reset, update = (driven[: 2 * size] + recurrent[: 2 * size]).sigmoid().chunk(2)
        candidate = (driven[2 * size :] + reset * recurrent[2 * size :]).tanh()
        return (candidate + update * (hidden - candidate),)

    return step


def input_gates(inputs: list[Tensor], weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return `W x + b` of all steps, `(G H, T B)`, by one product."""
    return plus(product(weight, torch.cat(inputs, dim=1)), bias)


def product(weight: Tensor, units: Tensor) -> Tensor:
    """Return `weight @ units` for units `(I, N)`.

    Batched over weights, a product from the left with few columns takes torch three times as long as its transpose.
    """
    return (units.t() @ weight.t()).t() if units.shape[1] < FEW_COLUMNS else weight @ units


def plus(units: Tensor, bias: Tensor | None) -> Tensor:
    """Return units `(H, N)` plus a bias `(H,)`, if there is one."""
    return units if bias is None else units + bias.unsqueeze(1)


def run_cell(
    cell: Cell, inputs: list[Tensor], weights: CellWeights, state: State, reverse: bool = False
) -> tuple[list[Tensor], State]:
    """Run a cell over a sequence; what can take the place of torch's functions can take that of this one.

    Args:
        cell: its equations.
        inputs: `(I, B)` each.
        weights: of the cell.
        state: at the start, `(H, B)` each.
        reverse: whether the last step comes first.

    Returns:
        As `scan`.
    """
    if has_torch_function(tuple(inputs)):
        given = cell, inputs, weights, state, reverse
        return handle_torch_function(run_cell, tuple(inputs), *given)
    return scan(cell(inputs, weights), state, len(inputs), reverse)


def scan(step: Step, state: State, length: int, reverse: bool) -> tuple[list[Tensor], State]:
    """Run a cell over a sequence.

    Args:
        step: of the cell.
        state: at the start, `(H, B)` each.
        length: number of steps.
        reverse: whether the last step comes first.

    Returns:
        Hidden units at each step, in the order of the inputs, and the state at the end.
    """
    outputs = []
    for now in reversed(range(length)) if reverse else range(length):
        state = step(now, state)
        outputs.append(state[0])
    return outputs[::-1] if reverse else outputs, state
