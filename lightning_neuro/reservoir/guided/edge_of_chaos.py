"""Recurrent weights scaled to the edge of chaos, or to where units store the most."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.reservoir.guided.controller import Controller, Parameters, Reading, Search
from lightning_neuro.reservoir.guided.scale_search import to_crossing, to_least_error
from lightning_neuro.reservoir.guided.subject import Subject, is_nilpotent
from lightning_neuro.reservoir.measures.lyapunov import lyapunov_exponent
from lightning_neuro.reservoir.measures.storage import active_information_storage
from lightning_neuro.reservoir.spectrum import spectral_radius

MOST_STORAGE = "storage"


@dataclass(frozen=True, kw_only=True)
class EdgeOfChaos(Controller):
    """Scale W until the largest Lyapunov exponent under the input is `target`. Ours.

        W <- exp(-eta (lambda - lambda*)) W

    Scaling a linear reservoir without leak by c adds ln c to its exponent, so that eta = 1 arrives in one step there.
    A step that would leave two scales on both sides of the target goes to their geometric mean instead. Where larger
    weights lower the exponent, as they do once units saturate, all scales are scanned. Some reservoirs under strong
    input do not come near chaos at any scale: the report says so and keeps the nearest.

    With target "storage" the scale is instead the one at which units store the most about themselves on average
    (Gaussian active information storage of two steps): 13 scales between the `bounds`, then golden section around
    the best, on a logarithmic axis, until the bracket is narrower than `tolerance`. Storage has several peaks; this
    finds one.

    Args:
        target: exponent lambda* in nats per step, negative on the side of order, or "storage".
        learning_rate: eta.
        bounds: smallest and largest spectral radius of W that is tried; a target beyond them is not reached.
        epochs: as in `Controller`.
        tolerance: largest distance of the exponent from its target; of the logarithms of scales for "storage".
        washout: as in `Controller`.

    Raises:
        ValueError: a number out of range, W without a loop, or an exponent of minus infinity.

    >>> from reservoirpy.nodes import Reservoir
    >>> u = np.random.default_rng(0).uniform(-0.3, 0.3, (400, 1))
    >>> report = EdgeOfChaos(target=-0.1).fit(Reservoir(50, sr=0.5, seed=0), u)
    >>> report.stopped, bool(abs(report.value + 0.1) < 0.005)
    ('target reached', True)
    """

    target: float | str = -0.02
    learning_rate: float = 1.0
    epochs: int = 60
    bounds: tuple[float, float] = (0.05, 20.0)
    tolerance: float = 0.005

    steered: ClassVar[str] = "exponent"

    def __post_init__(self) -> None:
        """Check."""
        super().__post_init__()
        if isinstance(self.target, str):
            checks.choice("EdgeOfChaos", "target", self.target, (MOST_STORAGE,))
        else:
            checks.number("EdgeOfChaos", "target", self.target)
        checks.number("EdgeOfChaos", "learning_rate", self.learning_rate, above=0)
        low, high = self.bounds
        checks.number("EdgeOfChaos", "the lower of bounds", low, above=0)
        checks.number("EdgeOfChaos", "the upper of bounds", high, above=low)

    def _task(self, subject: Subject) -> Mapping[str, Any]:
        if is_nilpotent(subject.node.W):
            raise ValueError(
                "EdgeOfChaos: W must have a loop, but it is nilpotent: what goes in leaves after as many steps as "
                "there are units at every scale. Give more units, a larger rc_connectivity, or another W."
            )
        return {} if self.target == MOST_STORAGE else {"target": float(self.target)}

    def _ending(self) -> float | None:
        return None if self.target == MOST_STORAGE else self.tolerance

    def _steered(self) -> str:
        return "mean_storage" if self.target == MOST_STORAGE else self.steered

    def _search(self, subject: Subject, task: Mapping[str, Any]) -> Search:
        radius = spectral_radius(subject.node.W)
        lowest, highest = (math.log(bound / radius) for bound in self.bounds)
        if self.target == MOST_STORAGE:
            return to_least_error(lowest, highest, self.tolerance)
        return to_crossing(task["target"], self.learning_rate, lowest, highest)

    def _measure(self, subject: Subject, task: Mapping[str, Any], parameters: Parameters) -> Reading:
        node = self._node(subject, parameters)
        exponent = float(lyapunov_exponent(node, subject.inputs, washout=subject.washout))
        numbers = {"scale": parameters["scale"]}
        if self.target == MOST_STORAGE:
            found = active_information_storage(subject.states(node), history=2, estimator="gaussian")
            storage = float(np.mean(found.value))
            return Reading(-storage, storage, numbers | {"exponent": exponent})
        if exponent == -math.inf:
            raise ValueError(
                "EdgeOfChaos: the exponent must be finite, got -inf: states forget everything within the series. "
                "Give a W with loops that units do not cut."
            )
        return Reading(abs(exponent - task["target"]), exponent, numbers)

    def _arrays(self, subject: Subject, parameters: Parameters) -> dict[str, Any]:
        return {"W": subject.node.W * parameters["scale"]}
