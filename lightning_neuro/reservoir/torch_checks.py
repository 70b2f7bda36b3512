"""What a `TorchReservoir` asks of its weights, its inputs and its states."""

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.reservoir.rollout import State

WEIGHTS = ("W", "Win", "bias", "leak", "gain", "shift")


def checked_weights(owner: str, W: Any, Win: Any, vectors: dict[str, Any], dtype: Any) -> dict[str, Tensor]:  # noqa: N803
    """Return all weights by name, dense and finite, with vectors `(N,)` of whatever was one number.

    Args:
        owner: opens messages.
        W: `(N, N)`.
        Win: `(N, K)`.
        vectors: a number or `(N,)` each, by name; "leak" is one of them.
        dtype: of all weights; None for that of W.

    Raises:
        ValueError: a shape does not fit, the dtype is another than float32 or float64, a weight is not finite, or a
            leak is not from 0 to 1.

    >>> checked_weights("TorchReservoir", [[0.5]], [[1.0]], {"leak": 1.0}, torch.float32)["leak"]
    tensor([1.])
    """
    recurrent, into = _dense(W), _dense(Win)
    if recurrent.ndim != 2 or recurrent.shape[0] != recurrent.shape[1]:
        raise ValueError(f"{owner}: W must be square, got shape {tuple(recurrent.shape)}.")
    dtype = recurrent.dtype if dtype is None else dtype
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{owner}: dtype must be torch.float32 or torch.float64, got {dtype}.")
    units = len(recurrent)
    if into.ndim != 2 or len(into) != units:
        raise ValueError(f"{owner}: Win must be ({units}, K), got shape {tuple(into.shape)}.")
    found = {"W": recurrent, "Win": into}
    found |= {name: _vector(owner, name, value, units) for name, value in vectors.items()}
    for name, value in found.items():
        if not bool(value.isfinite().all()):
            raise ValueError(
                f"{owner}: {name} must be finite, got nan or inf. A nilpotent W, whose spectral radius is 0, "
                "cannot be scaled to another one."
            )
    leak = found["leak"]
    if not bool(((leak >= 0) & (leak <= 1)).all()):
        raise ValueError(f"{owner}: leak must be from 0 to 1, got {leak.min():g} to {leak.max():g}.")
    return {name: value.to(dtype).clone() for name, value in found.items()}


def checked_trainable(owner: str, trainable: bool | Collection[str]) -> Collection[str]:
    """Return names of the weights that learn.

    >>> checked_trainable("TorchReservoir", "Win")
    ['Win']
    """
    if isinstance(trainable, bool):
        return WEIGHTS if trainable else ()
    names = (trainable,) if isinstance(trainable, str) else trainable
    return [checks.choice(owner, "trainable", name, WEIGHTS) for name in names]


def checked_inputs(owner: str, inputs: Any, width: int) -> Tensor:
    """Return inputs `(B, T, K)`; a single series `(T, K)` becomes a batch of one.

    Raises:
        TypeError: no tensor of real numbers.
        ValueError: other axes or another width.

    >>> checked_inputs("TorchReservoir", torch.zeros(5, 2), 2).shape
    torch.Size([1, 5, 2])
    """
    if not isinstance(inputs, Tensor) or inputs.is_complex():
        raise TypeError(f"{owner}: inputs must be a tensor of real numbers, got {type(inputs).__name__}.")
    if inputs.ndim not in (2, 3) or inputs.shape[-1] != width:
        raise ValueError(f"{owner}: inputs must be (B, T, {width}) or (T, {width}), got {tuple(inputs.shape)}.")
    return inputs if inputs.ndim == 3 else inputs[None]


def checked_state(owner: str, state: Any, batch: int, like: Tensor, *, with_net: bool) -> State:
    """Return a state to begin from, on the device and in the precision of W.

    Args:
        owner: opens messages.
        state: what an earlier run gave out.
        batch: B.
        like: W `(N, N)`.
        with_net: whether the equation remembers a net besides its output.

    Raises:
        ValueError: a part is missing or has another shape.
    """
    parts, units = State(*state), len(like)
    for part in parts if with_net else parts[:1]:
        if part is None or part.shape != (batch, units):
            found = None if part is None else tuple(part.shape)
            raise ValueError(f"{owner}: state must hold tensors ({batch}, {units}), got {found}. Start from .start(B).")
    return State(parts.out.to(like), None if parts.net is None else parts.net.to(like))


def checked_lengths(owner: str, lengths: Any, batch: int, steps: int) -> Tensor:
    """Return lengths `(B,)`.

    Raises:
        ValueError: they are no whole numbers from 0 to T, one for each series.

    >>> checked_lengths("TorchReservoir", [3], 1, 2)
    Traceback (most recent call last):
    ValueError: TorchReservoir: lengths must be 1 whole numbers from 0 to 2, got [3].
    """
    found = torch.as_tensor(lengths)
    if found.shape != (batch,) or found.is_floating_point() or bool(((found < 0) | (found > steps)).any()):
        raise ValueError(f"{owner}: lengths must be {batch} whole numbers from 0 to {steps}, got {found.tolist()}.")
    return found


def check_finite_inputs(owner: str, series: Tensor) -> None:
    """Refuse series `(B, T, K)` with NaN or infinite numbers.

    >>> check_finite_inputs("TorchReservoir", torch.full((1, 1, 1), torch.nan))
    Traceback (most recent call last):
    ValueError: TorchReservoir: inputs must be finite, got nan or inf in column 0. Fill or cut the gap.
    """
    if not bool(series.isfinite().all()):
        column = int((~series.isfinite()).flatten(0, 1).any(0).nonzero()[0])
        raise ValueError(f"{owner}: inputs must be finite, got nan or inf in column {column}. Fill or cut the gap.")


def _dense(matrix: Any) -> Tensor:
    if hasattr(matrix, "toarray"):
        matrix = matrix.toarray()
    found = matrix.detach() if isinstance(matrix, Tensor) else torch.as_tensor(np.array(matrix))
    if found.layout != torch.strided:
        found = found.to_dense()
    return found if found.is_floating_point() else found.double()


def _vector(owner: str, name: str, value: Any, units: int) -> Tensor:
    found = _dense(value)
    if found.numel() not in (1, units):
        raise ValueError(f"{owner}: {name} must be a number or ({units},), got shape {tuple(found.shape)}.")
    return found.reshape(-1).expand(units).contiguous()
