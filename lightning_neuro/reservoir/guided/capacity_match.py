"""Spectral radius, leak rate and input scale whose memory is the one that the task asks for."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks
from lightning_neuro.reservoir.guided.controller import Controller, Parameters, Reading, Search
from lightning_neuro.reservoir.guided.report import SEARCH_CLOSED
from lightning_neuro.reservoir.guided.subject import Subject, is_nilpotent
from lightning_neuro.reservoir.measures.capacity import memory_capacity
from lightning_neuro.reservoir.measures.task import task_profile
from lightning_neuro.reservoir.spectrum import spectral_radius

Array = npt.NDArray[np.float64]

_LEAST_SHARE = 0.01  # of the task's information; a delay with less asks for nothing
_LEAST_INFORMATION = 0.01  # nats


@dataclass(frozen=True, kw_only=True)
class CapacityMatch(Controller):
    """Choose the reservoir that remembers the delays which the task asks for, and little beyond. Ours.

        mismatch = sum_k w_k (1 - MC_k) + surplus / N sum_{k > horizon} MC_k,  w_k = dI(k) / sum dI

    w is the Gaussian memory profile of the task (`task_profile`), MC_k the short-term memory capacity of the
    reservoir at delay k under the task's own input, N the number of units, and the horizon the longest delay with a
    share of at least 0.01. Memory beyond it is taxed because what remembers linearly does not compute.

    All candidates are measured with a short series; the better half goes on with one of twice the length, until few
    are left and the whole series is used (successive halving). The best candidate of the last rung is kept.

    Args:
        sr: spectral radii to try.
        lr: leak rates to try.
        input_scaling: factors on the input weights to try.
        surplus: tax on memory beyond the horizon.
        max_delay: longest delay that is looked at.
        rungs: how often the better half is taken; the first series has 1 / 2^(rungs - 1) of the steps.
        epochs: measurements at most; the default is above what the default grid needs.
        tolerance: share of the task's profile that may be forgotten for the target to be reached.
        washout: as in `Controller`.

    Raises:
        ValueError: an empty grid, W without a loop, v that does not depend on u, a number out of range.

    >>> from reservoirpy.nodes import Reservoir
    >>> u = np.random.default_rng(0).uniform(-1, 1, (800, 1))
    >>> report = CapacityMatch(max_delay=8, rungs=2, lr=[1.0]).fit(Reservoir(30, seed=0), u, np.roll(u, 3))
    >>> report.details["horizon"], report.reached
    (3, True)
    """

    sr: Sequence[float] = (0.3, 0.6, 0.9, 1.0, 1.1)
    lr: Sequence[float] = (0.3, 0.6, 1.0)
    input_scaling: Sequence[float] = (0.1, 0.3, 1.0)
    surplus: float = 0.2
    max_delay: int = 20
    rungs: int = 3
    epochs: int = 200
    tolerance: float = 0.05

    steered: ClassVar[str] = "covered"
    needs_targets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check."""
        super().__post_init__()
        name = "CapacityMatch"
        for given in ("sr", "lr", "input_scaling"):
            values = getattr(self, given)
            if len(values) == 0:
                raise ValueError(f"{name}: {given} must hold at least one value to try, got none.")
            for value in values:
                checks.number(name, given, value, above=0, at_most=1 if given == "lr" else None)
        checks.number(name, "surplus", self.surplus, at_least=0)
        checks.integer(name, "max_delay", self.max_delay, at_least=1)
        checks.integer(name, "rungs", self.rungs, at_least=1)

    def _ending(self) -> float | None:
        return None

    def _target(self, task: Mapping[str, Any]) -> float:
        return 1.0 - self.tolerance

    def _task(self, subject: Subject) -> Mapping[str, Any]:
        if is_nilpotent(subject.node.W):
            raise ValueError(
                "CapacityMatch: W must have a loop to be scaled to a spectral radius, but it is nilpotent. "
                "Give more units, a larger rc_connectivity, or another W."
            )
        profile = task_profile(
            subject.inputs,
            subject.targets,
            window=self.max_delay + 1,
            washout=min(subject.washout, len(subject.inputs) - 1),
            estimator="gaussian",
        )
        asked = np.maximum(np.asarray(profile.curve), 0.0)
        asked = np.where(asked >= _LEAST_SHARE * asked.sum(), asked, 0.0)
        if float(profile) < _LEAST_INFORMATION or asked.sum() == 0:
            raise ValueError(
                f"CapacityMatch: v must depend on u linearly at delays up to {self.max_delay}, but they share "
                f"{float(profile):.2g} nats. Give a larger max_delay, or tune by the error of the task."
            )
        share = asked / asked.sum()
        return {"asked": share, "horizon": int(np.flatnonzero(share)[-1])}

    def _search(self, subject: Subject, task: Mapping[str, Any]) -> Search:
        left = [
            {"sr": sr, "lr": lr, "input_scaling": scaling}
            for sr, lr, scaling in itertools.product(self.sr, self.lr, self.input_scaling)
        ]
        for rung in range(self.rungs):
            errors = []
            for candidate in left:
                found = yield candidate | {"rung": rung}
                errors.append(found.error)
            order = np.argsort(errors, kind="stable")
            left = [left[place] for place in order[: max(1, len(left) // 2)]]
        return SEARCH_CLOSED

    def _measure(self, subject: Subject, task: Mapping[str, Any], parameters: Parameters) -> Reading:
        steps = self._steps(subject, parameters["rung"])
        node = self._node(subject, parameters)
        found = memory_capacity(
            node, subject.inputs[:steps], max_delay=self.max_delay, first_delay=0, washout=subject.washout
        )
        capacity = np.clip(np.asarray(found.curve), 0.0, 1.0)
        covered = float(task["asked"] @ capacity)
        beyond = float(capacity[task["horizon"] + 1 :].sum()) / node.units
        numbers = {name: parameters[name] for name in ("sr", "lr", "input_scaling")}
        return Reading(
            1 - covered + self.surplus * beyond,
            covered,
            numbers | {"memory_beyond": beyond, "steps": float(steps)},
            {"capacity": capacity},
            rung=parameters["rung"],
        )

    def _reached(self, reading: Reading, stopped: str) -> bool:
        return stopped == SEARCH_CLOSED and reading.value >= 1 - self.tolerance

    def _steps(self, subject: Subject, rung: int) -> int:
        """Return how much of the series a rung takes: at least ten steps for each unit, where there are so many."""
        total = len(subject.inputs)
        least = subject.washout + 10 * subject.node.units
        return min(total, max(total >> (self.rungs - 1 - rung), least))

    def _arrays(self, subject: Subject, parameters: Parameters) -> dict[str, Any]:
        radius = spectral_radius(subject.node.W)
        return {
            "W": subject.node.W * (parameters["sr"] / radius),
            "Win": subject.node.Win * parameters["input_scaling"],
            "lr": parameters["lr"],
        }
