"""Polynomial recurrent networks as torch modules: what spectral learning starts, and gradients carry on."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.bidirectional import BidirectionalModel
from lightning_neuro.spectral_rnn.model import EXPLODED, QUADRATIC, PolynomialModel
from lightning_neuro.spectral_rnn.padding import batched, kept_steps, last_states, reversed_series, without_padding
from lightning_neuro.spectral_rnn.series import Array

START_COUPLING = 0.1


class PolynomialRNNCell(nn.Module):
    """`h' = f(A1 x + U h + b)` with a polynomial f.

    Args:
        input_size: width Dx of x.
        hidden_size: number of neurons H.
        coeffs: coefficients of f, lowest power first.
        max_abs_state: states are cut at it, so that one that explodes makes a large error and no NaN; None lets them
            grow.

    Raises:
        ValueError: a size is below 1, or f is constant.

    >>> cell = PolynomialRNNCell(2, 1)
    >>> _ = cell.load_state_dict({"A1": torch.ones(1, 2), "U": torch.ones(1, 1), "b": torch.zeros(1)}, strict=False)
    >>> cell(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5]])).tolist()
    [[12.25]]
    """

    coeffs: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        coeffs: Sequence[float] = QUADRATIC,
        max_abs_state: float | None = EXPLODED,
    ) -> None:
        super().__init__()
        owner = "PolynomialRNNCell"
        self.input_size = checks.integer(owner, "input_size", input_size, at_least=1)
        self.hidden_size = checks.integer(owner, "hidden_size", hidden_size, at_least=1)
        if len(coeffs) < 2:
            raise ValueError(f"{owner}: coeffs must be at least two, lowest power first, got {tuple(coeffs)}.")
        self.max_abs_state = (
            None if max_abs_state is None else checks.number(owner, "max_abs_state", max_abs_state, above=0)
        )
        self.powers: tuple[float, ...] = tuple(float(c) for c in coeffs)
        self.register_buffer("coeffs", torch.tensor(self.powers))
        self.A1 = nn.Parameter(torch.empty(hidden_size, input_size))
        self.U = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.b = nn.Parameter(torch.zeros(hidden_size))
        self.register_load_state_dict_post_hook(_take_loaded_coeffs)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw rows of A1 of about length 1, and of U of about a tenth: larger ones explode."""
        nn.init.normal_(self.A1, std=self.input_size**-0.5)
        nn.init.normal_(self.U, std=START_COUPLING * self.hidden_size**-0.5)
        nn.init.zeros_(self.b)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Return the next state `(B, H)` for inputs `(B, Dx)` and a state `(B, H)`, zero if None."""
        drive = x @ self.A1.T + self.b
        return self.activate(drive if hidden is None else drive + hidden @ self.U.T)

    def activate(self, z: Tensor) -> Tensor:
        """Return `f(z)`, cut at the largest state if there is one."""
        result = torch.full_like(z, self.powers[-1])
        for power in self.powers[-2::-1]:
            result = result * z + power if power else result * z
        if self.max_abs_state is None:
            return result
        limit = min(self.max_abs_state, torch.finfo(result.dtype).max)
        return result.clamp(-limit, limit)

    def states(self, x: Tensor, hidden: Tensor | None = None, kept: Tensor | None = None) -> Tensor:
        """Return the states `(B, T, H)` of series `(B, T, Dx)`; inputs go through A1 by one product.

        Args:
            x: inputs.
            hidden: state before the first step `(B, H)`; zero if None.
            kept: whether a step is no padding, `(B, T, 1)`; states of padding are zero, so that none explodes there.
        """
        inputs = x if kept is None else x.masked_fill(~kept, 0)
        drives = (inputs @ self.A1.T + self.b).unbind(1)
        recurrent, found = self.U.T, []
        state = x.new_zeros(len(x), self.hidden_size) if hidden is None else hidden
        for step, drive in enumerate(drives):
            state = self.activate(torch.addmm(drive, state, recurrent))
            state = state if kept is None else state.masked_fill(~kept[:, step], 0)
            found.append(state)
        return torch.stack(found, dim=1) if found else x.new_zeros(len(x), 0, self.hidden_size)


class PolynomialRNN(nn.Module):
    """`h_t = f(A1 x_t + U h_{t-1} + b)`, `y_t = A2^T h_t + c`: the exact target of `SpectralRNN`.

    Args:
        input_size: width Dx of x.
        hidden_size: number of neurons H.
        output_size: width Dy of y.
        coeffs: coefficients of f, lowest power first.
        max_abs_state: states are cut at it, so that one that explodes makes a large error and no NaN; None lets them
            grow.

    Attributes:
        cell: with `A1 (H, Dx)`, `U (H, H)` and `b (H,)`.
        readout: `nn.Linear` whose weight is `A2^T (Dy, H)` and whose bias is c.

    >>> from lightning_neuro.spectral_rnn.model import PolynomialModel
    >>> net = PolynomialRNN.from_model(PolynomialModel([[1.0, 2.0]], [[0.5]], [[3.0]]))
    >>> y, h = net(torch.tensor([[1.0, 0.0], [0.0, 0.5]], dtype=torch.float64))
    >>> y.tolist(), h.tolist()
    ([[3.0], [6.75]], [2.25])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        coeffs: Sequence[float] = QUADRATIC,
        max_abs_state: float | None = EXPLODED,
    ) -> None:
        super().__init__()
        self.cell = PolynomialRNNCell(input_size, hidden_size, coeffs, max_abs_state)
        self.readout = nn.Linear(hidden_size, checks.integer("PolynomialRNN", "output_size", output_size, at_least=1))

    @classmethod
    def from_model(cls, model: PolynomialModel) -> Self:
        """Return the module of a learned network, in double precision; `.float()` makes it single."""
        with torch.random.fork_rng(devices=[]):  # The weights drawn here are overwritten at once.
            net = cls(model.input_weights.shape[1], model.units, model.output_weights.shape[1], model.coeffs).double()
        net.write_(model)
        return net

    def to_model(self) -> PolynomialModel:
        """Return the network as spectral learning knows it."""
        return PolynomialModel(
            _array(self.cell.A1),
            _array(self.cell.U),
            _array(self.readout.weight).T,
            self.cell.powers,
            _array(self.readout.bias),
            _array(self.cell.b),
        )

    def write_(self, model: PolynomialModel) -> None:
        """Copy a network into the parameters, which stay the same objects.

        Raises:
            ValueError: sizes or f differ.
        """
        _check_same("PolynomialRNN", self.cell, model)
        _copy(self.cell.A1, model.input_weights)
        _copy(self.cell.U, model.recurrent_weights)
        _copy(self.cell.b, model.bias)
        _copy(self.readout.weight, model.output_weights.T)
        _copy(self.readout.bias, model.offset)

    def forward(self, x: Tensor, hidden: Tensor | None = None, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over series.

        Args:
            x: `(B, T, Dx)` or `(T, Dx)`.
            hidden: state before the first step, `(B, H)` or `(H,)`; zero if None.
            lengths: steps of each series that are no padding, `(B,)`; all if None.

        Returns:
            Outputs `(B, T, Dy)`, zero in the padding, and the state after the last step `(B, H)`; without B for one
            series.

        Raises:
            TypeError: x is a `PackedSequence`.
            ValueError: x has other than two or three axes, or another width; or lengths are not one per series.
        """
        batch, start = batched("PolynomialRNN", x, hidden, self.cell.input_size)
        kept = kept_steps("PolynomialRNN", lengths, batch)
        states = self.cell.states(batch, start, kept)
        outputs = without_padding(self.readout(states), kept)
        last = last_states(states, start, lengths)
        return (outputs, last) if x.ndim == 3 else (outputs[0], last[0])


class BidirectionalPolynomialRNN(nn.Module):
    """`y_t = A2^T [h_t; k_t] + c` of a net that reads onward and one that reads back: the target of `SpectralBiRNN`.

    Args:
        input_size: width Dx of x.
        hidden_size: number of neurons H of each direction.
        output_size: width Dy of y.
        coeffs: coefficients of f, lowest power first.
        max_abs_state: states are cut at it, so that one that explodes makes a large error and no NaN; None lets them
            grow.

    >>> BidirectionalPolynomialRNN(3, 2, 1)(torch.zeros(4, 7, 3)).shape
    torch.Size([4, 7, 1])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        coeffs: Sequence[float] = QUADRATIC,
        max_abs_state: float | None = EXPLODED,
    ) -> None:
        super().__init__()
        self.onward = PolynomialRNNCell(input_size, hidden_size, coeffs, max_abs_state)
        self.back = PolynomialRNNCell(input_size, hidden_size, coeffs, max_abs_state)
        width = checks.integer("BidirectionalPolynomialRNN", "output_size", output_size, at_least=1)
        self.readout = nn.Linear(2 * hidden_size, width)

    @classmethod
    def from_model(cls, model: BidirectionalModel) -> Self:
        """Return the module of a learned network, in double precision; `.float()` makes it single."""
        half = model.forward
        with torch.random.fork_rng(devices=[]):
            net = cls(half.input_weights.shape[1], half.units, half.output_weights.shape[1], half.coeffs).double()
        net.write_(model)
        return net

    def to_model(self) -> BidirectionalModel:
        """Return the network as spectral learning knows it."""
        readouts = np.split(_array(self.readout.weight).T, 2)
        onward, back = (
            PolynomialModel(_array(cell.A1), _array(cell.U), rows, cell.powers, bias=_array(cell.b))
            for cell, rows in zip((self.onward, self.back), readouts, strict=True)
        )
        return BidirectionalModel(onward, back, _array(self.readout.bias))

    def write_(self, model: BidirectionalModel) -> None:
        """Copy a network into the parameters, which stay the same objects.

        Raises:
            ValueError: sizes or f differ.
        """
        for cell, half in ((self.onward, model.forward), (self.back, model.backward)):
            _check_same("BidirectionalPolynomialRNN", cell, half)
            _copy(cell.A1, half.input_weights)
            _copy(cell.U, half.recurrent_weights)
            _copy(cell.b, half.bias)
        _copy(self.readout.weight, model.output_weights.T)
        _copy(self.readout.bias, model.offset)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the outputs `(B, T, Dy)` of series `(B, T, Dx)`, zero in the padding; or of one series, without B.

        Raises:
            TypeError: x is a `PackedSequence`.
            ValueError: x has other than two or three axes, or another width; or lengths are not one per series.
        """
        batch, _ = batched("BidirectionalPolynomialRNN", x, None, self.onward.input_size)
        kept = kept_steps("BidirectionalPolynomialRNN", lengths, batch)
        turned = reversed_series(batch, lengths)
        back = reversed_series(self.back.states(turned, kept=kept), lengths)
        states = torch.cat([self.onward.states(batch, kept=kept), back], dim=-1)
        outputs = without_padding(self.readout(states), kept)
        return outputs if x.ndim == 3 else outputs[0]


def _take_loaded_coeffs(cell: PolynomialRNNCell, _: object) -> None:
    """Go by the coefficients that were loaded, unless they differ by rounding only."""
    if not torch.allclose(cell.coeffs, torch.tensor(cell.powers).to(cell.coeffs), rtol=1e-6, atol=0):
        cell.powers = tuple(cell.coeffs.tolist())


def _check_same(owner: str, cell: PolynomialRNNCell, model: PolynomialModel) -> None:
    mine = (cell.hidden_size, cell.input_size, cell.powers)
    theirs = (model.units, model.input_weights.shape[1], tuple(model.coeffs))
    if mine != theirs:
        raise ValueError(f"{owner}: expected a network with (H, Dx, coeffs) = {mine}, got {theirs}.")


def _copy(parameter: Tensor, values: object) -> None:
    with torch.no_grad():
        parameter.copy_(torch.as_tensor(values))


def _array(parameter: Tensor) -> Array:
    return np.asarray(parameter.detach().double().cpu())
