"""SORN, the self-organising recurrent network of binary units, as a plain reservoirpy node."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from reservoirpy.node import Node
from reservoirpy.utils import rand_generator

from lightning_neuro.common import checks
from lightning_neuro.reservoir.adaptation import Adaptation
from lightning_neuro.reservoir.rules.normalize import normalized
from lightning_neuro.reservoir.rules.stdp import stdp
from lightning_neuro.reservoir.rules.synapses import Synapses
from lightning_neuro.reservoir.series import as_series
from lightning_neuro.reservoir.sorn_dynamics import (
    Wiring,
    draw_recurrent,
    grow_and_prune,
    inhibitory_stdp,
    row_normalized,
    sorn_step,
)

Array = npt.NDArray[np.float64]
State = dict[str, Array]

Readout = Literal["state", "pseudo_state"]
READOUTS: tuple[Readout, ...] = ("state", "pseudo_state")


class SORN(Node):
    """Excitatory and inhibitory binary units under intrinsic plasticity, STDP and normalisation (Lazar et al. 2009).

    In each step of `adapt`, after the units have moved as `sorn_dynamics` says:

    1. thresholds: `T_E += threshold_learning_rate (x(t+1) - target_rate)`
    2. STDP: `W_ij += learning_rate (x_i(t+1) x_j(t) - x_i(t) x_j(t+1))` at existing synapses, cut to [0, 1]
    3. with a chance of `new_synapse_probability`, synapses of weight 0 go and a new one comes
    4. each unit's incoming weights are divided by their sum

    `run` changes nothing, so `node >> Ridge()` fits and runs.

    Args:
        units: N, excitatory units.
        inhibitory_units: M; a fifth of `units` where left out.
        pool_size: units that each column of the input drives, with weight 1.
        connections: mean number of inputs to a unit from others.
        learning_rate: of STDP; 0 leaves recurrent weights as they are.
        threshold_learning_rate: of the thresholds; 0 leaves them.
        target_rate: share of steps in which a unit is to fire, a number or `(N,)`.
        max_threshold: thresholds are drawn from 0 to it.
        inhibitory_learning_rate: of W_EI by `inhibitory_stdp`; 0 leaves it, as in the paper.
        new_synapse_probability: chance of a new synapse in a step; 0 for none, as in the paper.
        new_synapse_weight: of a new synapse.
        noise_std: of Gaussian noise in the drive of each unit while adapting.
        readout: "state", x, or "pseudo_state", `R >= 0`: what the network alone would have fired.
        Win: input weights `(N, K)` instead of pools.
        input_dim: K; otherwise taken from the first input.
        seed: of draws.
        name: of the node.

    Attributes:
        W: W_EE, `(N, N)`, sparse.
        Win: `(N, K)`.
        threshold: T_E, `(N,)`.
        history: what all calls of `adapt` did, or None.

    Raises:
        ValueError: a number out of range, or a `Win` of another height.

    >>> words = np.eye(3)[np.tile([0, 1, 1, 2], 250)]
    >>> node = SORN(50, pool_size=5, seed=0)
    >>> _ = node.adapt(words)
    >>> bool(np.allclose(node.W.sum(axis=1), 1)), node.run(words).shape
    (True, (1000, 50))
    """

    W: Any
    Win: Any
    state: State

    def __init__(
        self,
        units: int = 200,
        *,
        inhibitory_units: int | None = None,
        pool_size: int = 10,
        connections: float = 10.0,
        learning_rate: float = 1e-3,
        threshold_learning_rate: float = 1e-3,
        target_rate: Any = 0.1,
        max_threshold: float = 0.5,
        inhibitory_learning_rate: float = 0.0,
        new_synapse_probability: float = 0.0,
        new_synapse_weight: float = 1e-3,
        noise_std: float = 0.0,
        readout: Readout = "state",
        Win: Any = None,  # noqa: N803 - reservoirpy's name
        input_dim: int | None = None,
        seed: int | np.random.Generator | None = None,
        name: str | None = None,
    ) -> None:
        self.units = checks.integer("SORN", "units", units, at_least=2)
        given = max(1, units // 5) if inhibitory_units is None else inhibitory_units
        self.inhibitory_units = checks.integer("SORN", "inhibitory_units", given, at_least=1)
        self.pool_size = checks.integer("SORN", "pool_size", pool_size, at_least=1, at_most=units)
        self.connections = checks.number("SORN", "connections", connections, above=0, at_most=units - 1)
        self.learning_rate = checks.number("SORN", "learning_rate", learning_rate, at_least=0)
        self.threshold_learning_rate = checks.number(
            "SORN", "threshold_learning_rate", threshold_learning_rate, at_least=0
        )
        for rate in np.ravel(target_rate):
            checks.number("SORN", "target_rate", rate, above=0, below=1)
        self.target_rate = target_rate
        self.max_threshold = checks.number("SORN", "max_threshold", max_threshold, above=0)
        self.inhibitory_learning_rate = checks.number(
            "SORN", "inhibitory_learning_rate", inhibitory_learning_rate, at_least=0
        )
        self.new_synapse_probability = checks.number(
            "SORN", "new_synapse_probability", new_synapse_probability, at_least=0, at_most=1
        )
        self.new_synapse_weight = checks.number("SORN", "new_synapse_weight", new_synapse_weight, above=0, at_most=1)
        self.noise_std = checks.number("SORN", "noise_std", noise_std, at_least=0)
        self.readout = checks.choice("SORN", "readout", readout, READOUTS)
        if Win is not None and (np.ndim(Win) != 2 or np.shape(Win)[0] != units):
            raise ValueError(f"SORN: Win must be ({units}, K), got shape {np.shape(Win)}.")
        self.Win, self.input_dim, self.name = Win, input_dim if Win is None else Win.shape[1], name
        self.output_dim = units
        self.rng = rand_generator(seed)
        self.history: Adaptation | None = None

    def initialize(self, x: Any, y: None = None) -> None:
        """Draw weights and thresholds and silence all units; reservoirpy calls this with the first input."""
        self._set_input_dim(x)
        rng, units, inhibitory = self.rng, self.units, self.inhibitory_units
        self.W = draw_recurrent(units, self.connections, rng)
        self.from_inhibitory = row_normalized(rng.random((units, inhibitory)))
        self.to_inhibitory = row_normalized(rng.random((inhibitory, units)))
        self.threshold = rng.uniform(0, self.max_threshold, units)
        self.inhibitory_threshold = rng.uniform(0, self.max_threshold, inhibitory)
        if self.Win is None:
            self.Win = np.zeros((units, self.input_dim))
            for column in self.Win.T:
                column[rng.choice(units, self.pool_size, replace=False)] = 1.0
        self.state = {"excitatory": np.zeros(units), "inhibitory": np.zeros(inhibitory), "out": np.zeros(units)}
        self.initialized = True

    def _step(self, state: State, x: Array) -> State:
        wiring = Wiring(self.W, self.from_inhibitory, self.to_inhibitory, self.threshold, self.inhibitory_threshold)
        margin, fired, inhibited = sorn_step(wiring, state["excitatory"], state["inhibitory"], self.Win @ x)
        shown = fired if self.readout == "state" else (margin >= 0).astype(np.float64)
        return {"excitatory": fired, "inhibitory": inhibited, "out": shown}

    def adapt(self, u: Any, *, epochs: int = 1, every: int = 1000) -> Adaptation:
        """Organise the network while `u` runs, series after series, each from silence.

        Args:
            u: inputs `(T, K)`, `(B, T, K)`, or a list of `(T_b, K)`.
            epochs: how often the series run.
            every: steps that one entry of the history sums up.

        Returns:
            The history of this call: "rate", "weight_change" (of W_EE since the entry before), "synapses" of weight
            above 0, "mean_threshold"; unit means are rates.

        Raises:
            ValueError: inputs that are not finite, or of another width than before.
        """
        series = as_series("SORN.adapt", u)
        checks.integer("SORN.adapt", "epochs", epochs, at_least=1)
        checks.integer("SORN.adapt", "every", every, at_least=1)
        self._set_input_dim(series[0])
        if not self.initialized:
            self.initialize(series[0])
        synapses, entries, rates = Synapses(self.W), [], []
        for values in series * epochs:
            pair = np.zeros(self.units), np.zeros(self.inhibitory_units)
            for start in range(0, len(values), every):
                earlier, stretch = synapses.dense(), values[start : start + every]
                synapses, pair, rate = self._organise(synapses, pair, stretch)
                change = np.linalg.norm(synapses.dense() - earlier) / np.linalg.norm(earlier)
                alive = int(np.count_nonzero(synapses.weights))
                entries.append((rate.mean(), change, alive, self.threshold.mean()))
                rates.append(rate)
        self.W = synapses.like(self.W, np.float64)
        names = ("rate", "weight_change", "synapses", "mean_threshold")
        columns = dict(zip(names, np.array(entries, np.float64).T, strict=True))
        unit_mean = np.array(rates)
        found = Adaptation(columns, unit_mean, np.sqrt(unit_mean * (1 - unit_mean)))
        self.history = found if self.history is None else self.history.then(found)
        return found

    def _organise(
        self, synapses: Synapses, pair: tuple[Array, Array], stretch: Array
    ) -> tuple[Synapses, tuple[Array, Array], Array]:
        """Run one stretch with plasticity; return synapses, the last states and each unit's rate."""
        threshold, from_inhibitory = self.threshold.copy(), self.from_inhibitory.copy()
        excitatory, inhibitory = pair
        count = np.zeros(self.units)
        for current in (self.Win @ stretch.T).T:
            wiring = Wiring(synapses.matrix, from_inhibitory, self.to_inhibitory, threshold, self.inhibitory_threshold)
            if self.noise_std > 0:
                current = current + self.rng.normal(0, self.noise_std, self.units)
            _, fired, inhibited = sorn_step(wiring, excitatory, inhibitory, current)
            threshold += self.threshold_learning_rate * (fired - self.target_rate)
            if self.learning_rate > 0:
                synapses = self._rewire(synapses, excitatory, fired)
            if self.inhibitory_learning_rate > 0:
                from_inhibitory += self.inhibitory_learning_rate * inhibitory_stdp(inhibitory, fired, self.target_rate)
                np.clip(from_inhibitory, 0, 1, out=from_inhibitory)
            excitatory, inhibitory = fired, inhibited
            count += fired
        self.threshold, self.from_inhibitory = threshold, from_inhibitory
        return synapses, (excitatory, inhibitory), count / len(stretch)

    def _rewire(self, synapses: Synapses, before: Array, after: Array) -> Synapses:
        """Return the synapses after STDP, growth and normalisation; weights are changed in place."""
        synapses.weights += self.learning_rate * stdp(synapses, before[None], after[None])
        np.clip(synapses.weights, 0, 1, out=synapses.weights)
        if self.new_synapse_probability > 0 and self.rng.random() < self.new_synapse_probability:
            synapses = grow_and_prune(synapses, self.new_synapse_weight, self.rng)
        synapses.weights[:] = normalized(synapses, "l1")
        return synapses
