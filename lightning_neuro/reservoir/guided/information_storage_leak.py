"""Leak rates that give every unit the active information storage that is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks
from lightning_neuro.reservoir.guided.controller import Controller, Parameters, Reading, Search
from lightning_neuro.reservoir.guided.report import NOTHING_MOVES
from lightning_neuro.reservoir.guided.subject import Subject
from lightning_neuro.reservoir.guided.unit_steps import adapted
from lightning_neuro.reservoir.measures.storage import active_information_storage

Array = npt.NDArray[np.float64]

OWN_MEAN, OF_TASK = "mean", "task"


@dataclass(frozen=True, kw_only=True)
class InformationStorageLeak(Controller):
    """Each unit's leak rate moves until its active information storage A_i is the target A*.

        lr_i <- clip(lr_i - eta_i (A* - A_i), smallest, 1)

    More storage needs a slower unit. Ours, after the idea of leak adaptation by information storage in Dasgupta,
    Woergoetter and Manoonpong 2013, whose formula could not be read; so are eta_i of each unit, that halves where a
    unit went past the target and grows where it did not, and the choices of the target.

    Not every unit can store as much as is asked: one at a limit of its leak rate stays there.

    Args:
        target: A* in nats, "mean" for the mean over units before anything moves, or "task" for the storage of `v`
            itself.
        history: k of the storage.
        learning_rate: first eta, per nat.
        smallest: leak rate.
        epochs: as in `Controller`.
        tolerance: mean distance of units from the target, in nats.
        washout: as in `Controller`.

    Raises:
        ValueError: a number out of range, or a target "task" without `v`.

    >>> from reservoirpy.nodes import Reservoir
    >>> node = Reservoir(20, sr=0.9, lr=0.5, input_connectivity=1.0, seed=0)
    >>> report = InformationStorageLeak(target=0.5).fit(node, np.random.default_rng(0).uniform(-1, 1, (1000, 1)))
    >>> report.stopped, round(report.value, 1)
    ('target reached', 0.5)
    """

    target: float | str = OWN_MEAN
    history: int = 2
    learning_rate: float = 0.1
    smallest: float = 0.02
    tolerance: float = 0.02

    rule: ClassVar[str] = "ours, after the idea of Dasgupta, Woergoetter and Manoonpong 2013"
    steered: ClassVar[str] = "mean_storage"

    def __post_init__(self) -> None:
        """Check."""
        super().__post_init__()
        name = "InformationStorageLeak"
        if isinstance(self.target, str):
            checks.choice(name, "target", self.target, (OWN_MEAN, OF_TASK))
        else:
            checks.number(name, "target", self.target, at_least=0)
        checks.integer(name, "history", self.history, at_least=1)
        checks.number(name, "learning_rate", self.learning_rate, above=0)
        checks.number(name, "smallest", self.smallest, above=0, at_most=1)

    def _task(self, subject: Subject) -> Mapping[str, Any]:
        if self.target == OF_TASK:
            if subject.targets is None:
                raise ValueError('InformationStorageLeak: target "task" is the storage of v, but v is None. Give v.')
            return {"target": float(self._storage(subject.targets[subject.washout :]).mean())}
        if self.target == OWN_MEAN:
            return {"target": float(self._storage(subject.states(subject.node)).mean())}
        return {"target": float(self.target)}

    def _search(self, subject: Subject, task: Mapping[str, Any]) -> Search:
        units = subject.node.units
        leak = np.clip(np.broadcast_to(np.asarray(subject.node.lr, np.float64), (units,)), self.smallest, 1.0)
        eta, earlier = np.full(units, self.learning_rate), None
        while True:
            found = yield {"lr": leak}
            error = task["target"] - found.of_units["storage"]
            eta = adapted(eta, error, earlier, smallest=1e-4, largest=10 * self.learning_rate)
            # A unit that is slow already stores much more for a little less leak, so that its step is kept in bounds.
            moved = np.clip(np.clip(leak - eta * error, 0.7 * leak, leak / 0.7), self.smallest, 1.0)
            if abs(moved - leak).max() < 1e-9:
                return NOTHING_MOVES
            leak, earlier = moved, error

    def _measure(self, subject: Subject, task: Mapping[str, Any], parameters: Parameters) -> Reading:
        storage = self._storage(subject.states(self._node(subject, parameters)))
        leak = parameters["lr"]
        limited = (leak <= self.smallest) | (leak >= 1)
        return Reading(
            float(abs(storage - task["target"]).mean()),
            float(storage.mean()),
            {"mean_leak": float(leak.mean()), "share_at_a_limit": float(limited.mean())},
            {"storage": storage},
        )

    def _arrays(self, subject: Subject, parameters: Parameters) -> dict[str, Any]:
        return {"lr": parameters["lr"]}

    def _storage(self, series: Array) -> Array:
        found = active_information_storage(series, history=self.history, estimator="gaussian")
        return np.atleast_1d(np.asarray(found.value))
