"""Learned networks inside `torch.nn.RNN`, which knows tanh and ReLU only.

A linear network fits exactly into a ReLU net of twice its size, for `z = relu(z) - relu(-z)`, and nearly into a tanh
net of its own size whose states stay small. A quadratic one fits into neither: it can be imitated, which is no spectral
solution any more.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.model import LINEAR, PolynomialModel
from lightning_neuro.spectral_rnn.torch import PolynomialRNN

EPSILON = 1e-2


def relu_rnn(model: PolynomialModel) -> tuple[nn.RNN, nn.Linear]:
    """Return a ReLU net of twice the size and its readout that equal a linear network exactly.

    Args:
        model: a linear network of H neurons.

    Returns:
        `nn.RNN(Dx, 2 H, nonlinearity="relu", batch_first=True)` and `nn.Linear(2 H, Dy)`, in double precision.

    Raises:
        ValueError: the network is not linear.

    >>> rnn, readout = relu_rnn(PolynomialModel([[1.0]], [[0.5]], [[3.0]], (0.0, 1.0)))
    >>> readout(rnn(torch.tensor([[[1.0], [-2.0]]], dtype=torch.float64))[0]).ravel().tolist()
    [3.0, -4.5]
    """
    rnn = nn.RNN(model.input_weights.shape[1], 2 * model.units, nonlinearity="relu", batch_first=True).double()
    readout = nn.Linear(2 * model.units, model.output_weights.shape[1]).double()
    write_linear_(rnn, readout, model)
    return rnn, readout


def tanh_rnn(model: PolynomialModel, epsilon: float = EPSILON) -> tuple[nn.RNN, nn.Linear]:
    """Return a tanh net of the same size and its readout that nearly equal a linear network.

    Inputs are scaled by epsilon, so that states stay where tanh is straight, and outputs by `1 / epsilon`: relative
    errors of .005 at 0.01 and 5e-5 at 0.001 are usual. The readout is large then: give it a smaller learning rate.

    Args:
        model: a linear network of H neurons.
        epsilon: scale of the states.

    Returns:
        `nn.RNN(Dx, H, batch_first=True)` and `nn.Linear(H, Dy)`, in double precision.

    Raises:
        ValueError: the network is not linear.
    """
    rnn = nn.RNN(model.input_weights.shape[1], model.units, batch_first=True).double()
    readout = nn.Linear(model.units, model.output_weights.shape[1]).double()
    write_linear_(rnn, readout, model, epsilon)
    return rnn, readout


def write_linear_(rnn: nn.RNN, readout: nn.Linear, model: PolynomialModel, epsilon: float = EPSILON) -> None:
    """Copy a linear network into an `nn.RNN` and its readout, which stay the same objects.

    Neurons beyond those of the network keep their input and recurrent weights, but are cut off from it and from the
    outputs: gradients may bring them in.

    Args:
        rnn: one layer, one direction, without projection; tanh or ReLU.
        readout: reads the states of `rnn`.
        model: a linear network.
        epsilon: scale of the states in a tanh net.

    Raises:
        ValueError: the network is not linear, or does not fit in.
    """
    _check(rnn, readout, model)
    relu = rnn.nonlinearity == "relu"
    signs = np.array([1.0, -1.0]) if relu else np.array([1.0])
    scale = 1.0 if relu else checks.number("write_linear_", "epsilon", epsilon, above=0)
    used = len(signs) * model.units
    recurrent, bias = rnn.get_parameter("weight_hh_l0"), model.bias * scale
    with torch.no_grad():
        _write_block(rnn.get_parameter("weight_ih_l0"), np.kron(signs[:, None], scale * model.input_weights), rows=used)
        recurrent[:used, used:] = 0
        recurrent[used:, :used] = 0
        _write_block(recurrent, np.kron(np.outer(signs, signs), model.recurrent_weights), rows=used, columns=used)
        readout.weight[:, used:] = 0
        _write_block(readout.weight, np.kron(signs[None], model.output_weights.T / scale), columns=used)
        if rnn.bias:
            rnn.get_parameter("bias_hh_l0")[:used] = 0
            rnn.get_parameter("bias_ih_l0")[:used] = torch.as_tensor(np.kron(signs, bias)).to(recurrent)
        if readout.bias is not None:
            readout.bias.copy_(torch.as_tensor(model.offset))


def imitate_(
    rnn: nn.RNN,
    readout: nn.Linear,
    model: PolynomialModel,
    x: Tensor,
    *,
    steps: int = 300,
    learning_rate: float = 1e-2,
    batch_size: int = 64,
    seed: int = 0,
) -> float:
    """Train an `nn.RNN` to predict what a learned network predicts: an imitation, and no spectral solution.

    Args:
        rnn: what is trained; any `nn.RNN` with `batch_first=True`.
        readout: reads its states; trained as well.
        model: the network to imitate.
        x: inputs `(B, T, Dx)` to imitate it on.
        steps: of Adam.
        learning_rate: of Adam.
        batch_size: series per step.
        seed: of the order of the series.

    Returns:
        The squared error of the imitation relative to the variance of what it imitates.
    """
    teacher = PolynomialRNN.from_model(model).to(x)
    with torch.no_grad():
        wanted = teacher(x)[0]
    kept = wanted.isfinite().all(-1).all(-1)
    x, wanted = x[kept], wanted[kept]
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam([*rnn.parameters(), *readout.parameters()], lr=learning_rate)
    with torch.enable_grad():
        for _ in range(steps):
            rows = torch.randint(len(x), (min(batch_size, len(x)),), generator=generator).to(x.device)
            optimizer.zero_grad()
            nn.functional.mse_loss(readout(rnn(x[rows])[0]), wanted[rows]).backward()
            optimizer.step()
    optimizer.zero_grad()
    with torch.no_grad():
        missed = readout(rnn(x)[0]) - wanted
    return float(missed.square().mean() / wanted.var(dim=(0, 1), correction=0).mean())


def fits(rnn: nn.RNN) -> int:
    """Return how many linear neurons an `nn.RNN` has room for."""
    return rnn.hidden_size // 2 if rnn.nonlinearity == "relu" else rnn.hidden_size


def check_plain(rnn: nn.RNN) -> None:
    """Refuse what no linear network is written into.

    Raises:
        ValueError: there is more than one layer or direction.
    """
    if rnn.num_layers != 1 or rnn.bidirectional:
        raise ValueError(
            f"spectral start: expected nn.RNN with one layer and one direction, got {rnn.num_layers} layers, "
            f"bidirectional={rnn.bidirectional}."
        )


def _write_block(parameter: Tensor, values: Any, rows: int | None = None, columns: int | None = None) -> None:
    parameter[:rows, :columns] = torch.as_tensor(values).to(parameter)


def _check(rnn: nn.RNN, readout: nn.Linear, model: PolynomialModel) -> None:
    if tuple(model.coeffs) != LINEAR:
        raise ValueError(
            f"spectral start: nn.RNN holds a linear network exactly, and no other; got coeffs {tuple(model.coeffs)}. "
            "Learn with activation='linear', use PolynomialRNN, or pass approximate=True for an imitation."
        )
    check_plain(rnn)
    expected = (model.input_weights.shape[1], model.output_weights.shape[1])
    found = (rnn.input_size, readout.out_features)
    if expected != found or readout.in_features != rnn.hidden_size:
        raise ValueError(
            f"spectral start: expected widths of input and output {expected} and a readout of {rnn.hidden_size} "
            f"states, got {found} and {readout.in_features}."
        )
    if model.units > fits(rnn):
        raise ValueError(
            f"spectral start: nn.RNN with {rnn.hidden_size} {rnn.nonlinearity} neurons has room for {fits(rnn)} linear "
            f"ones, got {model.units}. Use fewer units or a larger net."
        )
