"""What the matrix products of an optimisation step take alone: the least time that it could take."""

from collections.abc import Callable

import torch
from st_rsbp_nets import ADJOINT, INPUT_RATE, PUBLISHED, Size
from torch import Tensor

Work = Callable[[], object]


class Products:
    """The products of a step of a net of one recurrent layer; what can be one product is one.

    Args:
        size: of net and batch.
        active: neurons of the recurrent layer that fire at all in a sample, whose systems alone have to be solved.
    """

    def __init__(self, size: Size, active: int) -> None:
        self.size, rows = size, size.batch * size.steps
        self.inputs, self.hidden, self.output = (
            torch.rand(rows, columns) for columns in (size.inputs, size.neurons, size.classes)
        )
        self.weight, self.recurrent = torch.rand(size.inputs, size.neurons), torch.rand(size.neurons, size.neurons)
        self.readout = torch.rand(size.neurons, size.classes)
        self.step = torch.rand(size.batch, size.neurons)
        self.matrices = torch.rand(size.batch, active, active) + active * torch.eye(active)
        self.errors = torch.rand(size.batch, 1, active)

    def recurrence(self) -> None:
        """What neurons tell each other, one step after the other."""
        for _ in range(self.size.steps):
            torch.mm(self.step, self.recurrent)

    def forward(self) -> None:
        """Currents of both layers."""
        torch.mm(self.inputs, self.weight)
        self.recurrence()
        torch.mm(self.hidden, self.readout)

    def backward(self) -> None:
        """Three weight gradients, and the error of the hidden layer's spikes."""
        for left, right in ((self.inputs, self.hidden), (self.hidden, self.hidden), (self.hidden, self.output)):
            torch.mm(left.T, right)
        torch.mm(self.output, self.readout.T)

    def through_time(self) -> None:
        """Backpropagation through time: the recurrence also backwards."""
        self.forward()
        self.recurrence()
        self.backward()

    def published(self) -> None:
        """ST-RSBP without linear systems."""
        self.forward()
        self.backward()

    def systems(self) -> Tensor:
        """A linear system of the active neurons per sample, by factorisation; weak recurrence is solved in less."""
        return torch.linalg.solve_ex(self.matrices, self.errors, left=False)[0]

    def adjoint(self) -> None:
        """ST-RSBP with potentials of all pairs of neurons, and linear systems of them."""
        self.published()
        spikes = self.hidden.view(self.size.steps, self.size.batch, -1).transpose(0, 1)
        torch.bmm(spikes.mT, spikes)
        self.systems()


def products(size: Size, active: int) -> dict[str, Work]:
    """Return what to time, by name."""
    made = Products(size, active)
    return {
        "products through time": made.through_time,
        f"products {PUBLISHED}": made.published,
        f"products {ADJOINT}": made.adjoint,
        "systems": made.systems,
    }


def rows_added(size: Size, million: int = 1) -> Work:
    """Return a million multiply-additions at the rate at which rows of N weights, in cache, are added up."""
    matrix, vector = torch.rand(size.neurons, size.neurons), torch.rand(size.neurons)
    repeats = max(1, round(million * 1e6 / size.neurons**2))

    def run() -> None:
        for _ in range(repeats):
            torch.mv(matrix, vector)

    return run


def additions(size: Size, hidden_rate: float, output_rate: float, *, solved: int = 0) -> float:
    """Return the million additions of loops that visit only spikes.

    A spike adds a row of weights in each layer that hears it. Of a gradient the cheaper of two ways counts: every
    postsynaptic spike adds two rows of traces, or every presynaptic one a row of impacts. In the output a spike adds
    two rows of weights and two of traces to the error below. With the adjoint a hidden spike adds a row to the system
    of its sample, of as many unknowns as are `solved`.
    """
    neuron_steps = size.batch * size.steps
    of_inputs = neuron_steps * size.inputs * INPUT_RATE
    of_hidden = neuron_steps * size.neurons * hidden_rate
    of_output = neuron_steps * size.classes * output_rate
    forward = of_inputs * size.neurons + of_hidden * (size.neurons + size.classes)
    gradients = min(2 * of_hidden * size.inputs, of_inputs * size.neurons) + of_hidden * size.neurons
    gradients += min(2 * of_output * size.neurons, of_hidden * size.classes)
    return (forward + gradients + of_hidden * solved + 4 * of_output * size.neurons) / 1e6
