"""Recurrent layers that torch can batch over weights.

`torch.vmap` over the weights of `nn.RNN`, `nn.LSTM`, `nn.GRU` and `nn.LSTMCell` is an error, and over those of
`nn.RNNCell` and `nn.GRUCell` a slow loop. The twins here hold the same weights and return the same numbers.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lightning_neuro.safe_mutation.recurrent_steps import (
    Cell,
    CellWeights,
    State,
    gru_cell,
    lstm_cell,
    relu_cell,
    run_cell,
    tanh_cell,
)


def vmap_safe(module: nn.Module) -> nn.Module:
    """Return a deep copy of the module whose recurrent layers torch can batch over weights.

    `nn.RNN`, `nn.LSTM`, `nn.GRU` and their cells become twins with the same parameter names and shapes and equal
    outputs, so state dicts interchange. Subclasses stay as they are, for what they do is not known; so does all else.

    Args:
        module: anything; it is not changed.

    >>> lstm = nn.LSTM(3, 5)
    >>> twin = vmap_safe(lstm)
    >>> torch.allclose(twin(torch.ones(4, 2, 3))[0], lstm(torch.ones(4, 2, 3))[0], atol=1e-6)
    True
    >>> twin.load_state_dict(lstm.state_dict())
    <All keys matched successfully>
    """
    safe = copy.deepcopy(module)
    for layer in safe.modules():
        if type(layer) in TWINS:
            # The object stays: hooks, ties and other references to the layer go on meaning it.
            layer.__class__ = TWINS[type(layer)]
    return safe


def cell_of(layer: nn.Module) -> Cell:
    """Return the equations of a recurrent layer or cell."""
    if isinstance(layer, nn.LSTM | nn.LSTMCell):
        return lstm_cell
    if isinstance(layer, nn.GRU | nn.GRUCell):
        return gru_cell
    return relu_cell if layer.nonlinearity == "relu" else tanh_cell


class _MatmulLayer(nn.RNNBase):
    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002
        """Return outputs `(T, B, ...)` and final state as torch's own layer does, for a tensor."""
        self._check(input)
        sequence = input if input.ndim == 3 else input.unsqueeze(1)
        if self.batch_first and input.ndim == 3:
            sequence = sequence.transpose(0, 1)
        start = self._start(sequence, hx, batched=input.ndim == 3)
        units, final = self._run([step.t() for step in sequence.unbind()], start)
        outputs = torch.stack([step.t() for step in units])
        if input.ndim == 2:
            outputs, final = outputs.squeeze(1), tuple(part.squeeze(1) for part in final)
        elif self.batch_first:
            outputs = outputs.transpose(0, 1)
        return outputs, final if isinstance(self, nn.LSTM) else final[0]

    def _run(self, units: list[Tensor], start: State) -> tuple[list[Tensor], State]:
        """Run all layers over steps `(I, B)`; the states are torch's, `(layers, B, H)`."""
        directions, finals = 2 if self.bidirectional else 1, []
        for level in range(self.num_layers):
            outputs = []
            for direction in range(directions):
                weights = self._weights(f"_l{level}" + ("_reverse" if direction else ""))
                state = tuple(part[level * directions + direction].t() for part in start)
                steps, final = run_cell(cell_of(self), units, weights, state, reverse=bool(direction))
                outputs.append(steps)
                finals.append([part.t() for part in final])
            units = list(map(torch.cat, zip(*outputs, strict=True))) if directions == 2 else outputs[0]
        return units, tuple(map(torch.stack, zip(*finals, strict=True)))

    def _weights(self, suffix: str) -> CellWeights:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        return CellWeights(*(getattr(self, name + suffix, None) for name in names))  # type: ignore[arg-type]

    def _start(self, sequence: Tensor, hx: Any, batched: bool) -> State:
        if hx is None:
            rows = self.num_layers * (2 if self.bidirectional else 1)
            sizes = (self.proj_size or self.hidden_size, self.hidden_size)[: len(self._parts())]
            return tuple(sequence.new_zeros(rows, sequence.shape[1], size) for size in sizes)
        state = tuple(hx) if isinstance(self, nn.LSTM) else (hx,)
        return state if batched else tuple(part.unsqueeze(1) for part in state)

    def _parts(self) -> tuple[str, ...]:
        return ("h", "c") if isinstance(self, nn.LSTM) else ("h",)

    def _check(self, sequence: Any) -> None:
        kind = type(self).__name__
        if isinstance(sequence, PackedSequence):
            raise TypeError(f"{kind}: expected a tensor, got a PackedSequence. Pass sequences of one length.")
        if self.training and self.dropout > 0:
            raise ValueError(f"{kind}: dropout must be 0 in training mode, got {self.dropout}. Call eval() first.")
        if sequence.ndim not in (2, 3) or sequence.shape[-1] != self.input_size or not sequence.numel():
            raise ValueError(
                f"{kind}: expected a sequence (T, B, {self.input_size}) or (T, {self.input_size}), "
                f"got shape {tuple(sequence.shape)}."
            )


class _MatmulCell(nn.RNNCellBase):
    def forward(self, input: Tensor, hx: Any = None) -> Any:  # noqa: A002
        """Return the next state as torch's own cell does."""
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}: expected inputs (B, {self.input_size}) or ({self.input_size},), "
                f"got shape {tuple(input.shape)}."
            )
        rows = input if input.ndim == 2 else input.unsqueeze(0)
        pair = isinstance(self, nn.LSTMCell)
        if hx is None:
            state: State = (rows.new_zeros(self.hidden_size, len(rows)),) * (2 if pair else 1)
        else:
            state = tuple(part.reshape(-1, self.hidden_size).t() for part in (hx if pair else (hx,)))
        weights = CellWeights(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        _, state = run_cell(cell_of(self), [rows.t()], weights, state)
        state = tuple(part.t().contiguous() if input.ndim == 2 else part.squeeze(1) for part in state)
        return state if pair else state[0]


class MatmulRNN(_MatmulLayer, nn.RNN):
    """Twin of `torch.nn.RNN`."""


class MatmulLSTM(_MatmulLayer, nn.LSTM):
    """Twin of `torch.nn.LSTM`."""


class MatmulGRU(_MatmulLayer, nn.GRU):
    """Twin of `torch.nn.GRU`."""


class MatmulRNNCell(_MatmulCell, nn.RNNCell):
    """Twin of `torch.nn.RNNCell`."""


class MatmulLSTMCell(_MatmulCell, nn.LSTMCell):
    """Twin of `torch.nn.LSTMCell`."""


class MatmulGRUCell(_MatmulCell, nn.GRUCell):
    """Twin of `torch.nn.GRUCell`."""


TWINS: dict[type[nn.Module], type[nn.Module]] = {
    nn.RNN: MatmulRNN,
    nn.LSTM: MatmulLSTM,
    nn.GRU: MatmulGRU,
    nn.RNNCell: MatmulRNNCell,
    nn.LSTMCell: MatmulLSTMCell,
    nn.GRUCell: MatmulGRUCell,
}
