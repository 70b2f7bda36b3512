"""Probes: zeros added to the results of linear maps, so that gradients stop there rather than at the weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lightning_neuro.safe_mutation.linear_uses import LINEAR, LinearNet, operands
from lightning_neuro.safe_mutation.recurrent_steps import Cell, CellWeights, State, input_gates, plus, product, run_cell


class Probes(TorchFunctionMode):
    """Adds probes to the linear maps of one forward pass and keeps the units that met their weights.

    Args:
        net: what is probed.
        probes: one for each of its maps, of that map's shape.

    Attributes:
        units: of each map, in order.
    """

    def __init__(self, net: LinearNet, probes: Sequence[Tensor]) -> None:
        super().__init__()
        self.units: list[list[Tensor]] = []
        self._probes: dict[int, list[Tensor]] = {}
        for made, probe in zip(net.maps, probes, strict=True):
            self._probes.setdefault(made.call, []).append(probe)
        self._calls = 0

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in LINEAR:
            return func(*args, **(kwargs or {}))
        probes = self._probes.get(self._calls)
        self._calls += 1
        if probes is None:
            return func(*args, **(kwargs or {}))
        if func is run_cell:
            return self._cell(probes, *args)
        given, weight, bias = operands(*args, **(kwargs or {}))
        self.units.append([given])
        return functional.linear(given, weight, bias) + probes[0]

    def _cell(
        self,
        probes: list[Tensor],
        cell: Cell,
        inputs: list[Tensor],
        weights: CellWeights,
        state: State,
        reverse: bool,
    ) -> tuple[list[Tensor], State]:
        probed = ProbedWeights(*weights.parts, probes=probes, hidden_units=[None] * len(inputs))
        result = run_cell(cell, inputs, probed, state, reverse)
        self.units += probed.units(inputs)
        return result


@dataclass(frozen=True)
class ProbedWeights(CellWeights):
    """Weights of a cell whose sums have probes `(G H, T, B)`: one for both products, or one each where they are apart.

    Attributes:
        probes: one or two.
        hidden_units: filled with the hidden units that each step starts from.
    """

    probes: Sequence[Tensor] = ()
    hidden_units: list[Tensor | None] = field(default_factory=list)

    def joint(self, inputs: list[Tensor]) -> Callable[[int, Tensor], Tensor]:
        """Return a function of step and hidden units that is `W x + U h + b` and the probe."""
        (probe,) = self.probes
        driven = self._driven(inputs, self.bias, probe)

        def gates(now: int, hidden: Tensor) -> Tensor:
            self.hidden_units[now] = hidden
            return driven[now] + product(self.hidden, hidden)

        return gates

    def apart(self, inputs: list[Tensor]) -> Callable[[int, Tensor], tuple[Tensor, Tensor]]:
        """Return a function of step and hidden units that is `W x + b` and `U h + c`, and a probe each."""
        into, again = self.probes
        driven, added = self._driven(inputs, self.input_bias, into), again.unbind(1)

        def gates(now: int, hidden: Tensor) -> tuple[Tensor, Tensor]:
            self.hidden_units[now] = hidden
            return driven[now], plus(product(self.hidden, hidden), self.hidden_bias) + added[now]

        return gates

    def units(self, inputs: list[Tensor]) -> list[list[Tensor]]:
        """Return the units that met the weights, `(I, T, B)` and `(H, T, B)`, by probe."""
        both = [torch.stack(list(steps), dim=1) for steps in (inputs, self.hidden_units)]  # type: ignore[arg-type]
        return [both] if len(self.probes) == 1 else [[units] for units in both]

    def _driven(self, inputs: list[Tensor], bias: Tensor | None, probe: Tensor) -> tuple[Tensor, ...]:
        return (input_gates(inputs, self.input, bias) + probe.flatten(1)).split(inputs[0].shape[1], dim=1)
