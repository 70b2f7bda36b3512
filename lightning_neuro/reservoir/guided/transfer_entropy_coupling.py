"""How much each unit listens to itself and to the reservoir, by the information transfer that the task needs."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, diags_array, issparse
from scipy.stats import chi2

from lightning_neuro.common import checks
from lightning_neuro.reservoir.guided.controller import Controller, Parameters, Reading, Search
from lightning_neuro.reservoir.guided.report import NOTHING_MOVES, UNSTABLE_NEXT
from lightning_neuro.reservoir.guided.subject import Subject, rows_scaled
from lightning_neuro.reservoir.measures.information.gaussian_pairs import all_pairs
from lightning_neuro.reservoir.measures.information.samples import lagged

Array = npt.NDArray[np.float64]

STABLE = 1.0 + 1e-9
_SMALLEST_MOVE, _LARGEST_MOVE = 1e-4, 0.3
_CHANCE = 0.95  # of the increments that nothing causes, so many are called nothing


@dataclass(frozen=True, kw_only=True)
class TransferEntropyCoupling(Controller):
    """Couplings a_i move until each unit is reached by as much of the input's past as the task needs.

        x_i(t+1) = f( a_i (W x(t))_i + (1 - a_i) x_i(t) + (Win u(t+1))_i ),  which is W' = diag(a) W + diag(1 - a)

    Learning goal: l*, the longest history of the input after which the transfer T_{u->v} to the task's output grows no
    more. Each unit's D_i = T_{u->x_i}(l*) - T_{u->x_i}(l* - 1) tells whether the unit is reached that far. First all
    couplings fall together, by two steps at a time, while that reaches more units. Then each moves alone: a unit that
    is not reached keeps more of itself, by two steps at first, and turns round where its last move made D_i smaller;
    one whose transfer grows more beyond l* than up to it listens more to the reservoir, by half a step. The spectral
    radius about rest stays at most 1; a move that would leave that is halved up to four times and then not made.

    Our reading of Obst, Boedecker and Asada 2010, whose update rule could not be read: that paper optimises the
    transfer at each unit, dependent on that between the system's input and its desired output; the rest is ours. A unit
    that keeps more of itself is told less by inputs long past once its own last state is known, so that a rule without
    turning round would run away. This works for weakly driven reservoirs, less for strongly driven ones.

    l counts the input of the same step as the first, transfer is conditioned on one step of the receiver and
    estimated as Gaussian.

    Args:
        max_history: longest l that is looked at.
        gain: least growth of the transfer in nats that counts; growth that chance makes in one of twenty never does.
        step: of a_i, the unit of all moves.
        smallest: a_i.
        epochs: as in `Controller`.
        tolerance: share of units that need not be reached.
        washout: as in `Controller`.

    Raises:
        ValueError: no transfer from u to v, a spectral radius above 1 to begin with, a number out of range.

    >>> from reservoirpy.nodes import Reservoir
    >>> u = np.random.default_rng(0).uniform(-1, 1, (1000, 1))
    >>> node = Reservoir(30, sr=0.9, input_connectivity=1.0, seed=0)
    >>> report = TransferEntropyCoupling().fit(node, u, np.roll(u, 2))
    >>> report.details["history"]
    3
    """

    max_history: int = 20
    gain: float = 0.01
    step: float = 0.05
    smallest: float = 0.05
    tolerance: float = 0.1

    rule: ClassVar[str] = "our reading of Obst, Boedecker and Asada 2010"
    steered: ClassVar[str] = "share_reached"
    needs_targets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check."""
        super().__post_init__()
        name = "TransferEntropyCoupling"
        checks.integer(name, "max_history", self.max_history, at_least=1)
        checks.number(name, "gain", self.gain, above=0)
        checks.number(name, "step", self.step, above=0, at_most=1)
        checks.number(name, "smallest", self.smallest, above=0, at_most=1)

    def _task(self, subject: Subject) -> Mapping[str, Any]:
        if len(subject.inputs) < subject.washout + 4 * self.max_history:
            raise ValueError(
                f"{subject.owner}: u must hold at least {subject.washout + 4 * self.max_history} steps for max_history="
                f"{self.max_history}, got {len(subject.inputs)}."
            )
        radius = subject.radius(subject.node)
        if radius > STABLE:
            raise ValueError(
                f"{subject.owner}: the spectral radius about rest must be at most 1, got {radius:.4g}. "
                "Lower sr, or guide the reservoir by EdgeOfChaos before."
            )
        assert subject.targets is not None
        grown = self._growth(subject, subject.targets[subject.washout :], range(1, self.max_history + 1)).max(axis=1)
        enough = np.flatnonzero(grown > self._least(subject))
        if len(enough) == 0:
            raise ValueError(
                f"{subject.owner}: v must depend on u, but no history of up to {self.max_history} steps transfers "
                f"{self._least(subject):.2g} nats. Give more steps, a smaller gain, or a larger max_history."
            )
        return {"history": int(enough[-1]) + 1, "task_growth": grown}

    def _target(self, task: Mapping[str, Any]) -> float:
        return 1.0 - self.tolerance

    def _search(self, subject: Subject, task: Mapping[str, Any]) -> Search:
        units = subject.node.units
        coupling, found = yield from self._together(subject)
        move, earlier = np.full(units, -2 * self.step), None
        while True:
            growth, beyond = found.of_units["growth"], found.of_units["growth_beyond"]
            if earlier is not None:
                move = np.clip(np.where(growth < earlier, -0.6 * move, 1.5 * move), -_LARGEST_MOVE, _LARGEST_MOVE)
            too_far = (beyond > self._least(subject)) & (beyond > growth)
            wanted = np.where(growth <= self._least(subject), move, np.where(too_far, self.step / 2, 0.0))
            moved = self._within_stability(subject, coupling, wanted)
            if moved is None:
                return UNSTABLE_NEXT
            if abs(moved - coupling).max() < _SMALLEST_MOVE:
                return NOTHING_MOVES
            coupling, earlier = moved, growth
            found = yield {"coupling": coupling}

    def _together(self, subject: Subject) -> Generator[Parameters, Reading, tuple[Array, Reading]]:
        """Lower the coupling of all units alike while that, or the step after it, reaches more of them."""
        best: tuple[Array, Reading] | None = None
        missed = 0
        for value in np.arange(1.0, self.smallest, -2 * self.step):
            coupling = np.full(subject.node.units, value)
            found = yield {"coupling": coupling}
            if best is None or found.error < best[1].error:
                best, missed = (coupling, found), 0
            else:
                missed += 1
            if missed == 2:
                break
        assert best is not None
        return best

    def _within_stability(self, subject: Subject, coupling: Array, move: Array) -> Array | None:
        """Return the couplings after a move, or after a smaller one that keeps the radius; None where none does."""
        for _ in range(5):
            moved = np.clip(coupling + move, self.smallest, 1.0)
            if subject.radius(self._node(subject, {"coupling": moved})) <= STABLE:
                return moved
            move = move / 2
        return None

    def _measure(self, subject: Subject, task: Mapping[str, Any], parameters: Parameters) -> Reading:
        states = subject.states(self._node(subject, parameters))
        length, least = task["history"], self._least(subject)
        growth = self._growth(subject, states, (length, length + 1))
        reached, growing = growth[0] > least, growth[1] > least
        share = float(reached.mean())
        return Reading(
            1 - share,
            share,
            {
                "median_growth": float(np.median(growth[0])),
                "share_growing": float(growing.mean()),
                "mean_coupling": float(parameters["coupling"].mean()),
            },
            {"growth": growth[0], "growth_beyond": growth[1]},
        )

    def _arrays(self, subject: Subject, parameters: Parameters) -> dict[str, Any]:
        coupling, weights = parameters["coupling"], subject.node.W
        own = diags_array(1 - coupling, dtype=np.float64)
        if issparse(weights):
            return {"W": csr_array(rows_scaled(weights, coupling) + own)}
        return {"W": rows_scaled(weights, coupling) + own.toarray()}

    def _least(self, subject: Subject) -> float:
        samples = len(subject.inputs) - subject.washout
        return max(self.gain, float(chi2.ppf(_CHANCE, 1)) / (2 * samples))

    def _growth(self, subject: Subject, series: Array, lengths: Any) -> Array:
        """Return T(l) - T(l - 1) from the input to each column, the most of all inputs, `(len(lengths), N)`."""
        inputs, batch = subject.inputs[None, subject.washout :], series[None]
        start = max(lengths)
        past, following = lagged(batch, [1], start), lagged(batch, [0], start)[..., 0]

        def transfer(length: int) -> Array:
            if length == 0:
                return np.zeros((inputs.shape[2], batch.shape[2]))
            return all_pairs(lagged(inputs, range(length), start), past, following).value

        known = {length: transfer(length) for length in {*lengths, *(length - 1 for length in lengths)}}
        return np.array([(known[length] - known[length - 1]).max(axis=0) for length in lengths])
