"""Measures of a layer of any net: what goes through it, caught by a hook, and the scalars that come of it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.reservoir import measures as known_measures
from lightning_neuro.reservoir.torch import TorchReservoir

MEASURED = ("x", "source", "reservoir", "reservoir_or_states", "states")  # how measures call what they measure


class Recording(NamedTuple):
    """What went through a layer, batch first.

    Attributes:
        inputs: `(B, T, K)`.
        outputs: `(B, T, N)`.
        lengths: `(B,)`; None for T.
    """

    inputs: Tensor
    outputs: Tensor
    lengths: Tensor | None


class Recorder:
    """Catches what goes through a layer while it is entered.

    A layer that is called once with series gives them as they are; one that is called at every step with `(B, K)` gives
    its steps in their order.

    Args:
        layer: its first argument and its output, or the first of its outputs, are tensors.
        time_first: whether series are `(T, B, K)`.

    >>> layer = nn.Linear(2, 3)
    >>> with Recorder(layer) as recorder:
    ...     _ = [layer(torch.zeros(4, 2)) for _ in range(5)]
    >>> recorder.recording("MeasureCallback").outputs.shape
    torch.Size([4, 5, 3])
    """

    def __init__(self, layer: nn.Module, *, time_first: bool = False) -> None:
        self.layer, self.time_first = layer, time_first
        self._calls: list[Recording] = []

    def __enter__(self) -> Self:
        self._handle = self.layer.register_forward_hook(self._keep, with_kwargs=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._handle.remove()

    def _keep(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        found = output[0] if isinstance(output, tuple) else output
        given = args[0] if args else next(iter(kwargs.values()))
        if isinstance(found, Tensor) and isinstance(given, Tensor):
            self._calls.append(Recording(given.detach(), found.detach(), kwargs.get("lengths")))

    def recording(self, owner: str) -> Recording:
        """Return what was caught.

        Raises:
            ValueError: nothing, or tensors that are no series.
        """
        shapes = {call.outputs.ndim for call in self._calls}
        if shapes == {2}:
            inputs, outputs = (torch.stack([call[place] for call in self._calls], 1) for place in (0, 1))  # type: ignore[misc]
            return Recording(inputs, outputs, None)
        if shapes == {3}:
            first = self._calls[0]
            if self.time_first:
                return Recording(first.inputs.transpose(0, 1), first.outputs.transpose(0, 1), first.lengths)
            return first
        told = [tuple(call.outputs.shape) for call in self._calls[:1]] or "no tensor"
        raise ValueError(
            f"{owner}: expected a layer whose outputs are series (B, T, N), or steps (B, N), got {told} from "
            f"{type(self.layer).__name__}. Name another layer."
        )


def measured_layer(owner: str, module: nn.Module, name: str | None) -> nn.Module:
    """Return the layer of that name, or the only `TorchReservoir` of a module.

    Raises:
        ValueError: there is none, or several.

    >>> measured_layer("MeasureCallback", nn.Sequential(nn.Linear(2, 3)), "0")
    Linear(in_features=2, out_features=3, bias=True)
    """
    layers = dict(module.named_modules())
    if name is not None:
        if name not in layers:
            raise ValueError(f"{owner}: layer must name a part of the module, got {name!r}. Look at named_modules().")
        return layers[name]
    found = [each for each, layer in layers.items() if isinstance(layer, TorchReservoir)]
    if len(found) != 1:
        raise ValueError(
            f"{owner}: expected one TorchReservoir in the module, got {found or 'none'}. Say by layer= what to measure."
        )
    return layers[found[0]]


def named_measures(owner: str, measures: Any) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Return functions and options of measures by name.

    Args:
        owner: opens messages.
        measures: one or a list of names of `reservoir.measures` and functions; or options, or a function, by name.

    Raises:
        TypeError, ValueError: it is something else, there is none, or a name is not known.

    >>> list(named_measures("MeasureCallback", {"entropy": {"estimator": "gaussian"}, "largest": np.max}))
    ['entropy', 'largest']
    """
    if isinstance(measures, str) or callable(measures):
        measures = [measures]
    if isinstance(measures, Mapping):
        pairs = [(name, entry) for name, entry in measures.items()]
    elif isinstance(measures, Sequence):
        pairs = [
            (each, {}) if isinstance(each, str) else (getattr(each, "__name__", "measure"), each) for each in measures
        ]
    else:
        raise TypeError(f"{owner}: measures must be names or functions, got {type(measures).__name__}.")
    if not pairs:
        raise ValueError(f"{owner}: measures must name at least one, got none.")
    names = [each for each in known_measures.__all__ if each.islower()]  # the others are what measures return
    found: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {}
    for name, entry in pairs:
        if callable(entry):
            found[name] = (entry, {})
        else:
            function = getattr(known_measures, checks.choice(owner, "measures", name, names))
            found[name] = (function, dict(entry or {}))
    return found


def measure(function: Callable[..., Any], layer: nn.Module, recording: Recording, row: int, options: Any) -> float:
    """Return a measure of one series as one number: that of a table is its median over units or pairs.

    A `TorchReservoir` is handed over itself, with its inputs; of any other layer its outputs `(T, N)`.

    Args:
        function: its argument "x", "source", "reservoir", "reservoir_or_states" or "states" takes what is measured, or
            else its first one; "inputs" takes inputs `(T, K)`, and "streams" those of the whole batch.
        layer: that was recorded.
        recording: of it.
        row: which series.
        options: further arguments by name.
    """
    stop = recording.outputs.shape[1] if recording.lengths is None else int(recording.lengths[row])
    drive = recording.inputs[row, :stop].cpu().numpy()
    own = isinstance(layer, TorchReservoir)
    subject: Any = layer if own else recording.outputs[row, :stop].double().cpu().numpy()
    try:
        names = list(inspect.signature(function).parameters)
    except ValueError:  # of functions written in C
        names = []
    arguments: dict[str, Any] = {"inputs": drive, "streams": recording.inputs.cpu().numpy()}
    arguments = {name: value for name, value in arguments.items() if name in names and name not in options}
    by_name = [name for name in names if name in MEASURED][:1]
    found = function(*([] if by_name else [subject]), **dict.fromkeys(by_name, subject), **arguments, **options)
    if isinstance(found, known_measures.Measure):
        found = found.details.get("median", found.value)  # of pairs, it leaves those of a unit with itself out
    value = found.detach().cpu().numpy() if isinstance(found, Tensor) else found
    return float(np.nanmedian(np.asarray(value, dtype=float)))
