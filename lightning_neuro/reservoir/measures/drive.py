"""From whatever a user has - states, a node, a model, a torch module - to checked states."""

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from reservoirpy import Model
from reservoirpy.node import Node

from lightning_neuro.common import checks

Array = npt.NDArray[np.float64]

_EXPLODED = 1e50


def states_of(source: Any, inputs: Any = None, *, washout: int = 0, owner: str = "states_of") -> Array:
    """Return the states `(T - washout, N)` of a reservoir under a drive, as float64.

    A node or model runs from its reset state and is left as it was; a node that was never run draws the weights that
    it would draw itself.

    Args:
        source: states `(T, N)` as an array or tensor; a reservoirpy `Node` or `Model`; or an object with
            `.states(inputs)`, or a torch module that turns `(1, T, K)` into `(1, T, N)`.
        inputs: `(T, K)` or `(T,)`; needed to run, else only its length is checked.
        washout: leading steps to drop.
        owner: who asks; opens the message of an error.

    Raises:
        TypeError: `source` is none of these.
        ValueError: a series that is too short, lengths that differ, NaN, or a reservoir that explodes.

    >>> from reservoirpy.nodes import Reservoir
    >>> states_of(Reservoir(5, seed=0), np.ones((10, 1)), washout=4).shape
    (6, 5)
    """
    washout = checks.integer(owner, "washout", washout, at_least=0)
    drive = None if inputs is None else as_drive(inputs, owner=owner)
    if _is_array(source):
        states = _table(owner, "states", source)
        if drive is not None and len(drive) != len(states):
            raise ValueError(f"{owner}: inputs must have as many steps as the states, {len(states)}, got {len(drive)}.")
    elif drive is None:
        raise ValueError(f"{owner}: inputs are needed to run {type(source).__name__}, got None.")
    else:
        states = _run(owner, source, drive)
    if len(states) <= washout:
        raise ValueError(f"{owner}: a series must be longer than the washout of {washout} steps, got {len(states)}.")
    return states[washout:]


def as_drive(inputs: Any, *, owner: str = "as_drive") -> Array:
    """Return a drive as a finite float64 table `(T, K)`; `(T,)` becomes one column.

    Raises:
        ValueError: other axes, no steps, or NaN.

    >>> as_drive([0.0, 1.0]).shape
    (2, 1)
    """
    return _table(owner, "inputs", inputs)


def column_of(drive: Array, column: int, *, owner: str) -> Array:
    """One column of the drive, which must vary.

    Raises:
        ValueError: there is no such column, or it is constant.
    """
    checks.integer(owner, "column", column, at_least=0, at_most=drive.shape[1] - 1)
    series = drive[:, column]
    if np.ptp(series) == 0:
        raise ValueError(f"{owner}: column {column} of inputs must vary, got {series[0]:g} in all steps.")
    return series


def reset_copy(source: Any, drive: Array) -> Any:
    """A copy of a reservoirpy node or model in its reset state; the original keeps its state and stays undrawn."""
    # A node's weights are never written to by `run`, so a shallow copy will do once they are drawn.
    shallow = isinstance(source, Node) and source.initialized
    twin = copy.copy(source) if shallow else copy.deepcopy(source)
    if not twin.initialized:
        twin.initialize(drive)
    twin.reset()
    return twin


def _run(owner: str, source: Any, drive: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(source, Node | Model):
            found = reset_copy(source, drive).run(drive)
        elif callable(getattr(source, "states", None)):
            found = source.states(drive)
        elif isinstance(source, torch.nn.Module):
            found = _forward(source, drive)
        else:
            raise TypeError(
                f"{owner}: expected states (T, N), a reservoirpy node or model, or a torch module, "
                f"got {type(source).__name__}."
            )
    if isinstance(found, dict):
        raise ValueError(f"{owner}: a model must have one output, got {', '.join(map(repr, found))}.")
    states = _array(found).astype(np.float64, copy=False)
    if states.ndim == 3 and len(states) == 1:
        states = states[0]
    finite = np.isfinite(states) & (abs(states) < _EXPLODED)
    if not finite.all():
        step, unit = np.argwhere(~finite)[0]
        raise ValueError(
            f"{owner}: the reservoir is unstable, unit {unit} is beyond {_EXPLODED:g} at step {step}. "
            "Lower its spectral radius."
        )
    return states


def _forward(module: torch.nn.Module, drive: Array) -> Any:
    weights = next((part for part in [*module.parameters(), *module.buffers()] if part.is_floating_point()), None)
    like = torch.empty(0, dtype=torch.float64) if weights is None else weights
    with torch.no_grad():
        found = module(torch.as_tensor(drive[None], dtype=like.dtype, device=like.device))
    return found[0] if isinstance(found, tuple) else found


def _is_array(source: Any) -> bool:
    return isinstance(source, np.ndarray | torch.Tensor | list | tuple)


def _array(values: Any) -> "np.ndarray[Any, Any]":
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def _table(owner: str, name: str, values: Any) -> Array:
    found = _array(values)
    if found.dtype.kind not in "buif":
        raise TypeError(f"{owner}: {name} must be an array of real numbers, got {type(values).__name__} {found.dtype}.")
    table = found[:, None] if found.ndim == 1 else found
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"{owner}: {name} must be one series (time steps, columns), got shape {found.shape}.")
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        raise ValueError(
            f"{owner}: {name} must be finite, got {table[tuple(bad[0])]} in column {bad[0, 1]} at step {bad[0, 0]}. "
            "Fill or cut the gap."
        )
    return table.astype(np.float64, copy=False)
