"""What all controllers share: measure, change, measure again; stop by a rule; keep the best.

A controller is a search, a generator that yields parameters and is sent what was measured with them. The loop asks it
until the error is small enough, the search ends by itself, or all epochs are used.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks
from lightning_neuro.reservoir.guided.report import ALL_EPOCHS, SEARCH_CLOSED, TARGET_REACHED, GuidedReport, History
from lightning_neuro.reservoir.guided.subject import Subject, prepared

Array = npt.NDArray[np.float64]
Parameters = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Reading:
    """What was measured with one set of parameters.

    Attributes:
        error: what the controller makes small.
        value: of the steered quantity.
        numbers: further numbers for the history.
        of_units: what the search needs to know of each unit.
        rung: readings of a higher rung were measured better and are preferred to all of lower ones.
        final: whether this reading may end the loop.
    """

    error: float
    value: float
    numbers: Mapping[str, float] = field(default_factory=dict)
    of_units: Mapping[str, Array] = field(default_factory=dict)
    rung: int = 0
    final: bool = True


Search = Generator[Parameters, Reading, str]


class Trail(NamedTuple):
    """Everything that was tried.

    Args:
        tried: parameters of every epoch.
        readings: what was measured with them.
        stopped: why it ended.
        best: the epoch with the least error on the highest rung.
    """

    tried: list[Parameters]
    readings: list[Reading]
    stopped: str
    best: int


def follow(search: Search, measure: Callable[[Parameters], Reading], *, epochs: int, tolerance: float | None) -> Trail:
    """Measure what a search proposes until it ends.

    Args:
        search: yields parameters, is sent readings, returns why it ended.
        measure: parameters to reading.
        epochs: how many readings at most.
        tolerance: an error that ends the search; None for never.

    >>> def halving():
    ...     x = 1.0
    ...     while True:
    ...         yield {"x": x}
    ...         x /= 2
    >>> trail = follow(halving(), lambda p: Reading(p["x"], p["x"]), epochs=10, tolerance=0.2)
    >>> trail.stopped, trail.best, trail.tried[-1]
    ('target reached', 3, {'x': 0.125})
    """
    tried, readings = [next(search)], []
    while True:
        readings.append(measure(tried[-1]))
        if tolerance is not None and readings[-1].final and readings[-1].error <= tolerance:
            stopped = TARGET_REACHED
            break
        if len(readings) == epochs:
            stopped = ALL_EPOCHS
            break
        try:
            tried.append(search.send(readings[-1]))
        except StopIteration as end:
            stopped = end.value
            break
    best = min(range(len(readings)), key=lambda place: (-readings[place].rung, readings[place].error))
    return Trail(tried, readings, stopped, best)


@dataclass(frozen=True, kw_only=True)
class Controller(ABC):
    """A measure that guides a parameter. Parameters are checked when the controller is made.

    Args:
        epochs: how often the reservoir is measured at most.
        tolerance: the error that counts as the target reached.
        washout: leading steps of the series that measures drop.
    """

    epochs: int = 40
    tolerance: float = 0.01
    washout: int = 100

    rule: ClassVar[str] = "ours"
    steered: ClassVar[str]
    samples: ClassVar[int] = 50
    needs_targets: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check what all controllers share."""
        name = type(self).__name__
        checks.integer(name, "epochs", self.epochs, at_least=1)
        checks.number(name, "tolerance", self.tolerance, above=0)
        checks.integer(name, "washout", self.washout, at_least=0)

    def fit(self, reservoir: Any, u: Any, v: Any = None, *, in_place: bool = False) -> GuidedReport:
        """Guide a reservoir while `u` runs through it.

        Every epoch starts from rest with the same series, so that the same reservoir and series give the same report.

        Args:
            reservoir: reservoirpy's `Reservoir` or `IPReservoir`, a `SelfOrganizingReservoir`, a
                `PermutationReservoir` or a `TorchReservoir`; drawn or not.
            u: inputs `(T, K)` or `(T,)`.
            v: what a readout should put out, `(T, M)` or `(T,)`; row t may depend on u up to row t.
            in_place: also give the best weights and leak rates to the reservoir itself, which is otherwise left as it
                was; for nodes.

        Raises:
            TypeError: another kind of reservoir.
            ValueError: NaN, series too short, `v` missing where it is needed, or a reservoir that is unstable or, like
                a nilpotent one, cannot be guided this way.
        """
        name = type(self).__name__
        checks.flag(name, "in_place", in_place)
        if in_place and callable(getattr(reservoir, "to_node", None)):
            raise TypeError(f"{name}: in_place is for nodes, got {type(reservoir).__name__}. Use report.reservoir.")
        if self.needs_targets and v is None:
            raise ValueError(f"{name}: v is needed, the series that a readout should put out, got None.")
        subject = prepared(name, reservoir, u, v, washout=self.washout, samples=self.samples)
        task = self._task(subject)
        trail = follow(
            self._search(subject, task),
            lambda parameters: self._checked(self._measure(subject, task, parameters)),
            epochs=self.epochs,
            tolerance=self._ending(),
        )
        report = self._report(subject, task, trail, reservoir)
        if in_place:
            _give(reservoir, subject, self._arrays(subject, trail.tried[trail.best]))
        return report

    def _task(self, subject: Subject) -> Mapping[str, Any]:
        """Return what is known before the first epoch, such as the target; part of the report's details."""
        return {}

    def _ending(self) -> float | None:
        return self.tolerance

    def _target(self, task: Mapping[str, Any]) -> float | None:
        """Return where the steered quantity should go."""
        return task.get("target")

    def _steered(self) -> str:
        """Return the name of the steered quantity."""
        return self.steered

    def _reached(self, reading: Reading, stopped: str) -> bool:
        """Return whether the kept reading is at the target."""
        return stopped in (TARGET_REACHED, SEARCH_CLOSED)

    @abstractmethod
    def _search(self, subject: Subject, task: Mapping[str, Any]) -> Search:
        """Propose parameters."""

    @abstractmethod
    def _measure(self, subject: Subject, task: Mapping[str, Any], parameters: Parameters) -> Reading:
        """Measure the reservoir with these parameters."""

    @abstractmethod
    def _arrays(self, subject: Subject, parameters: Parameters) -> dict[str, Any]:
        """Return the attributes of the node, such as `W`, that these parameters make."""

    def _node(self, subject: Subject, parameters: Parameters) -> Any:
        return subject.changed(**self._arrays(subject, parameters))

    def _checked(self, reading: Reading) -> Reading:
        if math.isnan(reading.error):
            raise ValueError(f"{type(self).__name__}: the measure must be a number, got nan. Give a longer series u.")
        return reading

    def _report(self, subject: Subject, task: Mapping[str, Any], trail: Trail, given: Any) -> GuidedReport:
        best = trail.readings[trail.best]
        values = {"error": _column(trail, lambda reading: reading.error)}
        values |= {self._steered(): _column(trail, lambda reading: reading.value)}
        for name in best.numbers:
            values[name] = np.array([reading.numbers[name] for reading in trail.readings], np.float64)
        target = self._target(task)
        node = self._node(subject, trail.tried[trail.best])
        back = getattr(type(given), "from_node", None)
        return GuidedReport(
            controller=type(self).__name__,
            rule=self.rule,
            reservoir=node if back is None else back(node, dtype=given.W.dtype),
            parameters={name: value for name, value in trail.tried[trail.best].items() if name != "rung"},
            value=best.value,
            target=target,
            error=best.error,
            reached=self._reached(best, trail.stopped),
            stopped=trail.stopped,
            history=History(values, self._steered(), target, trail.best),
            settings=dataclasses.asdict(self),
            details={**task, **best.of_units},
        )


def _column(trail: Trail, number: Callable[[Reading], float]) -> Array:
    return np.array([number(reading) for reading in trail.readings], np.float64)


def _give(node: Any, subject: Subject, arrays: Mapping[str, Any]) -> None:
    """Write attributes into a node, which is drawn first where it was not."""
    if not node.initialized:
        node.initialize(subject.inputs)
        for name in ("W", "Win", "bias"):
            setattr(node, name, getattr(subject.node, name))
    for name, value in arrays.items():
        setattr(node, name, value)
