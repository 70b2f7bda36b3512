"""What a controller reports: how it went, why it ended, and the best reservoir it saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import plotting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

TARGET_REACHED = "target reached"
ALL_EPOCHS = "all epochs used"
NOTHING_MOVES = "nothing moves any more"
SEARCH_CLOSED = "search closed"
UNSTABLE_NEXT = "the next step would leave stability"
STOPS = (TARGET_REACHED, ALL_EPOCHS, NOTHING_MOVES, SEARCH_CLOSED, UNSTABLE_NEXT)
"""What can end a controller."""


@dataclass(frozen=True, eq=False)
class History:
    """Numbers of every epoch.

    Attributes:
        values: name -> `(E,)`; "error" is what the controller makes small, `steered` what it steers.
        steered: name of the steered quantity.
        target: where it should go; None where it is made as large or as small as it can be.
        best: the epoch that was kept, from 0.

    >>> history = History({"error": np.array([0.3, 0.1]), "rate": np.array([0.5, 0.3])}, "rate", 0.2, 1)
    >>> len(history), history["rate"].tolist()
    (2, [0.5, 0.3])
    """

    values: Mapping[str, Array]
    steered: str
    target: float | None
    best: int

    def __len__(self) -> int:
        return len(self.values["error"])

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

    def to_dict(self) -> dict[str, Any]:
        """Return numbers that JSON can hold."""
        values = {name: known.tolist() for name, known in self.values.items()}
        return {"values": values, "steered": self.steered, "target": self.target, "best": self.best}

    def plot(self, ax: "Axes | None" = None, names: Sequence[str] | None = None) -> "Axes":
        """Draw named values over epochs, the steered one if none is named, with its target and the epoch kept.

        Args:
            ax: axes of matplotlib to draw into; a figure of its own where left out.
            names: keys of `values`.

        >>> history = History({"error": np.array([0.3, 0.1]), "rate": np.array([0.5, 0.3])}, "rate", 0.2, 1)
        >>> history.plot().get_ylabel()
        'rate'
        """
        axes = ax if ax is not None else plotting.blank("", "", "")[1]
        chosen = (self.steered,) if names is None else tuple(names)
        epochs = np.arange(1, len(self) + 1)
        for place, name in enumerate(chosen):
            colour = plotting.SERIES[place % len(plotting.SERIES)]
            label = name.replace("_", " ")
            axes.plot(epochs, self.values[name], marker=".", color=colour, linewidth=1.5, label=label)
            kept = self.values[name][self.best]
            axes.plot(self.best + 1, kept, "o", color=colour, markersize=9, fillstyle="none")
        if self.target is not None and self.steered in chosen:
            axes.axhline(self.target, color=plotting.QUIET, linestyle="--", linewidth=1, label="target")
        axes.set_xlabel("epoch")
        if len(chosen) == 1:
            axes.set_ylabel(chosen[0].replace("_", " "))
        if len(chosen) > 1 or self.target is not None:
            axes.legend(frameon=False)
        axes.locator_params(axis="x", integer=True)
        return axes


@dataclass(frozen=True, eq=False)
class GuidedReport:
    """How a controller guided a reservoir.

    Attributes:
        controller: its name.
        rule: "ours", or whose idea it is our reading of.
        reservoir: a copy of the given one with the best parameters, in its reset state.
        parameters: the best ones: what the controller set, by name, numbers or arrays of one number per unit.
        value: the steered quantity at the best epoch.
        target: where it should be; None where it is made as large or as small as it can be.
        error: what the controller makes small, at the best epoch.
        reached: whether the target was reached, or a search without target ran to its end.
        stopped: the rule that ended it, one of `STOPS`.
        history: numbers of every epoch.
        settings: of the controller.
        details: further results by name, such as the delays a task asks for.
    """

    controller: str
    rule: str
    reservoir: Any = field(repr=False)  # reservoirpy cannot print a node with a leak rate for each unit
    parameters: Mapping[str, float | Array]
    value: float
    target: float | None
    error: float
    reached: bool
    stopped: str
    history: History
    settings: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def best(self) -> int:
        """The epoch that was kept, from 0."""
        return self.history.best

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the steered quantity over epochs, with its target and the epoch kept."""
        axes = self.history.plot(ax)
        axes.set_title(f"{self.controller}: {self.stopped}", loc="left", fontsize=10)
        return axes

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the reservoir as numbers, words and lists for JSON."""
        names = ("controller", "rule", "value", "target", "error", "reached", "stopped")
        mappings = ("parameters", "settings", "details")
        found = {name: getattr(self, name) for name in names} | {"history": self.history.to_dict()}
        return found | {name: {key: _plain(one) for key, one in getattr(self, name).items()} for name in mappings}


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
