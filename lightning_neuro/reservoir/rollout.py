"""The loop over time of a reservoir in torch: with gradients, or in place where nobody asks for them.

Everything here is time-first. Drives `(T, B, N)` hold what inputs and bias bring to each unit, times the gain where
the leak is outside; they are overwritten by the states where no gradient is needed, so that a run holds one array.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Activation = Callable[[Tensor], Tensor]


def _softplus(z: Tensor) -> Tensor:
    return torch.logaddexp(z, torch.zeros_like(z))  # torch's own is a straight line from 20 on


ACTIVATIONS: dict[str, Activation] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "identity": torch.Tensor.clone,
    "relu": torch.relu,
    "softplus": _softplus,
}

SPARSE_DENSITY = 0.15  # above, the dense product is faster at nearly all sizes
SPARSE_UNITS = 400  # one series: sparse products pay from here on
BATCHED_UNITS, BATCHED_SERIES = 100, 8  # several series: from here on
SPARSE_STEPS = 20  # fewer do not repay the conversion


class Circuit(NamedTuple):
    """What acts on states, with the leak outside of f or inside.

        outside: x' = (1 - leak) x + leak f(W x + drive)
        inside:  r' = (1 - leak) r + W x + drive,  x' = f(gain r' + shift);  W and drive are already times the leak

    Attributes:
        weights: W `(N, N)`.
        leak: `(N,)`, or None for 1.
        activation: f.
        gain: `(N,)` where the leak is inside; None where it is outside.
        shift: `(N,)`, where there is a gain.
    """

    weights: Tensor
    leak: Tensor | None
    activation: Activation
    gain: Tensor | None = None
    shift: Tensor | None = None


class State(NamedTuple):
    """Where a run stands.

    Attributes:
        out: `(B, N)`, outputs x.
        net: `(B, N)`, what the leak inside of f remembers; None where the leak is outside.
    """

    out: Tensor
    net: Tensor | None = None


def is_sparse_better(weights: Tensor, steps: int, batch: int) -> bool:
    """Whether products with a compressed W are the faster ones: a rule from measurements on the CPU.

    >>> is_sparse_better(torch.eye(500), steps=1000, batch=1), is_sparse_better(torch.eye(50), steps=1000, batch=1)
    (True, False)
    """
    units = len(weights)
    large = units >= SPARSE_UNITS or (units >= BATCHED_UNITS and batch >= BATCHED_SERIES)
    if weights.device.type != "cpu" or steps < SPARSE_STEPS or not large:
        return False
    return int(torch.count_nonzero(weights)) <= SPARSE_DENSITY * weights.numel()


def with_gradient(
    circuit: Circuit, drives: Tensor, start: State, lengths: Tensor | None, truncate: int | None
) -> tuple[Tensor, Tensor | None]:
    """Return states `(T, B, N)` and the net `(B, N)` after the last step of each series.

    Args:
        circuit: of N units.
        drives: `(T, B, N)`.
        start: `(B, N)`.
        lengths: `(B,)`; None for T.
        truncate: gradients go back no more than to the last multiple of so many steps.
    """
    transposed, found = circuit.weights.T, []
    out, net = start.out, start.net
    for place, drive in enumerate(drives.unbind(0)):
        if truncate is not None and place % truncate == 0:
            out, net = out.detach(), None if net is None else net.detach()
        arriving = torch.addmm(drive, out, transposed)
        if circuit.gain is None or circuit.shift is None or net is None:
            fired = circuit.activation(arriving)
            out = fired if circuit.leak is None else out + circuit.leak * (fired - out)
        else:
            after = arriving if circuit.leak is None else (1 - circuit.leak) * net + arriving
            out = circuit.activation(torch.addcmul(circuit.shift, circuit.gain, after))
            net = after if lengths is None else torch.where((place < lengths)[:, None], after, net)
        found.append(out)
    return torch.stack(found), net


def in_place(
    circuit: Circuit, drives: Tensor, start: State, lengths: Tensor | None, sparse: bool
) -> tuple[Tensor, Tensor | None]:
    """Write states over drives; the same as `with_gradient`, without any.

    A sparse W wants states of one unit side by side, `(N, B)`, so its states are a transposed view.
    """
    weights = _compressed(circuit.weights) if sparse else circuit.weights
    if drives.shape[1] == 1:
        found, net = _loop_(circuit, drives[:, 0], _vectors(start), lengths, lambda z, x: z.addmv_(weights, x))
        return found[:, None], None if net is None else net[None]
    if not sparse:
        transposed, rows = weights.T, None if lengths is None else lengths[:, None]
        return _loop_(circuit, drives, start, rows, lambda z, x: z.addmm_(x, transposed))
    leak, gain, shift = (_upright(part) for part in (circuit.leak, circuit.gain, circuit.shift))
    columns = Circuit(circuit.weights, leak, circuit.activation, gain, shift)
    upright = State(start.out.T.contiguous(), None if start.net is None else start.net.T.contiguous())
    drives = drives if drives.mT.is_contiguous() else drives.mT.contiguous().mT
    found, net = _loop_(columns, drives.mT, upright, lengths, lambda z, x: z.addmm_(weights, x))
    return found.mT, None if net is None else net.T


def _compressed(weights: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        found = weights.detach().to_sparse_csr()
        # Products with indices of 64 bits convert them at each call.
        starts, columns = found.crow_indices().int(), found.col_indices().int()
        return torch.sparse_csr_tensor(starts, columns, found.values(), found.shape, check_invariants=False)


def _vectors(start: State) -> State:
    return State(start.out[0], None if start.net is None else start.net[0])


def _upright(part: Tensor | None) -> Tensor | None:
    return None if part is None else part[:, None]


def _loop_(
    circuit: Circuit,
    drives: Tensor,
    start: State,
    lengths: Tensor | None,
    add_product_: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor | None]:
    activate_ = _written(circuit.activation)
    out, net = start.out, None if start.net is None else start.net.clone()
    keep = None if circuit.leak is None else 1 - circuit.leak
    for place, drive in enumerate(drives.unbind(0)):
        add_product_(drive, out)
        if circuit.gain is None or circuit.shift is None or net is None:
            activate_(drive)
            if circuit.leak is not None:
                torch.lerp(out, drive, circuit.leak, out=drive)
        else:
            after = drive if keep is None else torch.addcmul(drive, keep, net)
            net = after.clone() if lengths is None else torch.where(place < lengths, after, net)
            torch.addcmul(circuit.shift, circuit.gain, after, out=drive)
            activate_(drive)
        out = drive
    return drives, net


def _written(activation: Activation) -> Activation:
    """Return the activation as one that overwrites what it is given."""
    ready = {torch.tanh: torch.tanh_, torch.sigmoid: torch.sigmoid_, torch.relu: torch.relu_}
    if activation in ready:
        return ready[activation]
    return lambda z: z.copy_(activation(z))
