"""Every unit at the same mean activity, by scaling what comes in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.reservoir.guided.controller import Controller, Parameters, Reading, Search
from lightning_neuro.reservoir.guided.report import NOTHING_MOVES
from lightning_neuro.reservoir.guided.subject import Subject, rows_scaled
from lightning_neuro.reservoir.guided.unit_steps import adapted

_SCALED = {"all": ("W", "Win"), "recurrent": ("W",)}


@dataclass(frozen=True, kw_only=True)
class HomeostaticRate(Controller):
    """Synaptic scaling until the mean size of every unit's output is `target`.

        W_i *= 1 + eta_i (target - rate_i),  rate_i = <|x_i(t)|>,  and the same for Win_i

    The factor is that of synaptic scaling, as in `rules.Homeostasis(kind="rate")`, which acts at every step; a
    controller that acts once an epoch, eta_i of each unit that halves where a unit went past the target and grows
    where it did not, and the limits of a factor are ours.

    Not every rate can be reached: larger recurrent weights can carry the reservoir beyond the edge of chaos, where
    rates jump, and where inputs alone drive a unit above the target, no "recurrent" weights
    bring it down.

    Args:
        target: rate, between 0 and the largest output.
        scale: "all" incoming weights or only the "recurrent" ones.
        learning_rate: first eta, in units of 1 / `target`.
        epochs: as in `Controller`.
        tolerance: largest distance of any unit from the target.
        washout: as in `Controller`.

    Raises:
        ValueError: a number out of range.

    >>> from reservoirpy.nodes import Reservoir
    >>> node = Reservoir(20, sr=0.9, input_connectivity=1.0, seed=0)
    >>> report = HomeostaticRate(target=0.3).fit(node, np.random.default_rng(0).uniform(-1, 1, (600, 1)))
    >>> report.stopped, bool(abs(report.details["rates"] - 0.3).max() <= 0.01)
    ('target reached', True)
    """

    target: float = 0.2
    scale: str = "all"
    learning_rate: float = 0.5

    steered: ClassVar[str] = "mean_rate"

    def __post_init__(self) -> None:
        """Check."""
        super().__post_init__()
        checks.number("HomeostaticRate", "target", self.target, above=0)
        checks.choice("HomeostaticRate", "scale", self.scale, (*_SCALED,))
        checks.number("HomeostaticRate", "learning_rate", self.learning_rate, above=0)

    def _task(self, subject: Subject) -> Mapping[str, Any]:
        return {"target": self.target}

    def _search(self, subject: Subject, task: Mapping[str, Any]) -> Search:
        units = subject.node.units
        scaling, earlier = np.ones(units), None
        eta = np.full(units, self.learning_rate / self.target)
        while True:
            found = yield {"scaling": scaling}
            error = self.target - found.of_units["rates"]
            eta = adapted(eta, error, earlier, smallest=0.01 / self.target, largest=4 / self.target)
            factor = np.clip(1 + eta * error, 0.5, 2.0)
            if abs(factor - 1).max() < 1e-9:
                return NOTHING_MOVES
            scaling, earlier = scaling * factor, error

    def _measure(self, subject: Subject, task: Mapping[str, Any], parameters: Parameters) -> Reading:
        rates = abs(subject.states(self._node(subject, parameters))).mean(axis=0)
        distance = abs(rates - self.target)
        return Reading(
            float(distance.max()),
            float(rates.mean()),
            {"smallest_rate": float(rates.min()), "largest_rate": float(rates.max())},
            {"rates": rates},
        )

    def _arrays(self, subject: Subject, parameters: Parameters) -> dict[str, Any]:
        factors = parameters["scaling"]
        return {name: rows_scaled(getattr(subject.node, name), factors) for name in _SCALED[self.scale]}
