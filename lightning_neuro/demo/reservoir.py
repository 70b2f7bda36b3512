"""Demonstration of reservoirs: what they compute before and after they organise themselves, and where chaos begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np
from reservoirpy.nodes import Reservoir, Ridge

from lightning_neuro.common.plotting import curves, histograms, spike_raster, to_svg
from lightning_neuro.common.report import Figure, Section, Table
from lightning_neuro.data import santa_fe
from lightning_neuro.demo import reservoir_pictures as pictures
from lightning_neuro.demo.comparison import Comparison
from lightning_neuro.reservoir import SORN, EdgeOfChaos, PermutationReservoir, SelfOrganizingReservoir
from lightning_neuro.reservoir.measures import Measure, information_processing_capacity, memory_capacity
from lightning_neuro.reservoir.rules import Gaussian, IntrinsicPlasticity
from lightning_neuro.reservoir.tasks import counting_task, narma

Array = np.ndarray
UNITS, SHOWN_UNITS = 100, 50
STEPS, WASHOUT = 3000, 100
RADII, SCALES = (0.5, 0.7, 0.9, 1.0), (0.1, 0.3, 1.0)
PENALTIES = (1e-8, 1e-6, 1e-4, 1e-2)
DELAYS = 40
SORN_STEPS, REPEATS = 8000, 4
MOST_SEEDS, ENOUGH_EPOCHS = 3, 5
NO_BREAK = "\N{NO-BREAK SPACE}"
PLAIN, PLASTIC, PERMUTED, EDGE = "plain, tuned", "intrinsic plasticity", "permutation", "guided to the edge of chaos"
ARMS = (PLAIN, PLASTIC, PERMUTED, EDGE)
LASER, NARMA, MEMORY = "Santa Fe laser", "NARMA-10", "memory"


@dataclass(frozen=True)
class Task:
    """Inputs and targets `(T, 1)`: the first part to learn from, the second to choose by, the rest to test."""

    inputs: Array
    targets: Array
    learned: int
    chosen: int

    def errors(self, states: Array) -> tuple[float, float]:
        """Return errors of ridge regression in units of the targets' deviation: where it is chosen, and on the test."""
        learn, choose = slice(WASHOUT, self.learned), slice(self.learned, self.chosen)
        test = slice(self.chosen, None)
        found = []
        for penalty in PENALTIES:
            readout = Ridge(ridge=penalty).fit(states[learn], self.targets[learn])
            told = readout.run(states)
            found.append((_error(told[choose], self.targets[choose]), _error(told[test], self.targets[test])))
        return min(found)


@dataclass(frozen=True)
class Options:
    """What the plain arm was tuned to."""

    sr: float
    input_scaling: float

    def drawn(self, seed: int) -> dict[str, Any]:
        """Return the arguments that nodes of all arms share but for the spectral radius."""
        return {"input_scaling": self.input_scaling, "bias": 0.2, "input_dim": 1, "seed": seed}


def demonstrate(comparison: Comparison) -> Section:
    """Measure reservoirs as they were drawn and as they organised themselves, and tell what came of it."""
    fast = comparison.plan.epochs < ENOUGH_EPOCHS
    steps = STEPS // 5 if fast else STEPS
    seeds = range(min(comparison.plan.seeds, MOST_SEEDS))
    results: dict[str, dict[str, list[float]]] = {task: {arm: [] for arm in ARMS} for task in (LASER, NARMA, MEMORY)}
    memories: dict[str, list[Measure]] = {arm: [] for arm in ARMS}
    for name in (LASER, NARMA):
        chosen = _tuned(name, steps)
        for seed in seeds:
            comparison.tell(f"reservoirs, {name}, seed {seed}")
            task = _task(name, steps, seed)
            for arm, node in _arms(chosen, task, seed).items():
                results[name][arm].append(task.errors(node.run(task.inputs))[1])
                if name == NARMA:
                    memories[arm].append(_memory(node, steps, seed))
                    results[MEMORY][arm].append(float(memories[arm][-1]))
    comparison.tell("reservoirs, pictures")
    return Section(
        "Reservoirs: measures and self-organisation",
        [
            f"Reservoirs of {UNITS} units are driven by a recorded laser, to be predicted one step ahead, and by noise "
            "that NARMA-10 turns into a target of ten steps of memory and a product; ridge regression reads them. "
            "The plain reservoir's spectral radius and input scale are chosen on seeds of its own. From that choice "
            "intrinsic plasticity moves each unit's gain and shift until its outputs are Gaussian, a permutation takes "
            "the place of the weights, and a controller scales the weights until nearby states neither meet nor part.",
            _results(results),
            _organised(chosen, steps),
            _capacities(memories, chosen, steps),
            _edge(steps, seeds),
            _counting(SORN_STEPS // 8 if fast else SORN_STEPS),
        ],
    )


def _task(name: str, steps: int, seed: int) -> Task:
    learned, chosen = steps // 2, 3 * steps // 4
    if name == LASER:
        values = santa_fe.scaled()[: steps + 1, None]
        return Task(values[:-1], values[1:], learned, chosen)
    inputs, targets = narma(steps, 10, seed=seed)
    return Task(inputs, targets, learned, chosen)


def _plain(chosen: Options, seed: int) -> SelfOrganizingReservoir:
    """A reservoirpy reservoir without rules: what all other arms start from."""
    return SelfOrganizingReservoir(UNITS, [], sr=chosen.sr, **chosen.drawn(seed))


def _tuned(name: str, steps: int) -> Options:
    grid = [Options(radius, scale) for radius in RADII for scale in SCALES]
    tasks = [_task(name, steps, seed) for seed in (100, 101)]

    def error(chosen: Options) -> float:
        return fmean(task.errors(_plain(chosen, 100 + place).run(task.inputs))[0] for place, task in enumerate(tasks))

    return min(grid, key=error)


def _arms(chosen: Options, task: Task, seed: int) -> dict[str, Reservoir]:
    learn = task.inputs[: task.learned]
    return {
        PLAIN: _plain(chosen, seed),
        PLASTIC: _plastic(chosen, seed, learn),
        PERMUTED: PermutationReservoir(UNITS, sr=min(chosen.sr, 0.95), **chosen.drawn(seed)),
        EDGE: EdgeOfChaos(target=-0.05, tolerance=0.02).fit(_plain(chosen, seed), learn[:600]).reservoir,
    }


def _plastic(chosen: Options, seed: int, inputs: Array) -> SelfOrganizingReservoir:
    rule = IntrinsicPlasticity(Gaussian(0.0, 0.3), learning_rate=1e-3)
    node = SelfOrganizingReservoir(UNITS, [rule], sr=chosen.sr, **chosen.drawn(seed))
    node.adapt(inputs, epochs=4)
    return node


def _memory(node: Reservoir, steps: int, seed: int) -> Measure:
    white = np.random.default_rng(seed).uniform(-1, 1, (2 * steps, 1))
    return memory_capacity(node, white, max_delay=DELAYS, washout=WASHOUT)


def _error(told: Array, targets: Array) -> float:
    return float(np.sqrt(np.mean((told - targets) ** 2)) / targets.std())


def _results(results: dict[str, dict[str, list[float]]]) -> Table:
    rows = [[arm, *(_spread(results[task][arm]) for task in (LASER, NARMA, MEMORY))] for arm in ARMS]
    return Table(
        ["reservoir", "error, laser", "error, NARMA-10", "memory capacity"],
        rows,
        f"Mean ± standard deviation over {len(results[LASER][PLAIN])} draws of the weights; errors are in units of the "
        f"target's deviation, lower is better. Memory is that of NARMA's reservoirs, of {DELAYS} delays. Twenty seeds "
        "with a test of significance are recorded in docs/verification.md: what organises itself does not always do "
        "better.",
    )


def _spread(values: Sequence[float]) -> str:
    words = f"{fmean(values):.3g}"
    return words if len(values) == 1 else f"{words}{NO_BREAK}±{NO_BREAK}{stdev(values):.2g}"


def _organised(chosen: Options, steps: int) -> Figure:
    inputs = narma(steps, 10, seed=0)[0]
    before, after = (node.run(inputs)[WASHOUT:] for node in (_plain(chosen, 0), _plastic(chosen, 0, inputs)))
    outputs = {"before": before, "after": after}
    return Figure(
        [
            to_svg(histograms(outputs, title="Outputs of the units", xlabel="output", percentile=100)),
            to_svg(pictures.portrait({name: states[:400] for name, states in outputs.items()})),
        ],
        "Before and after intrinsic plasticity. Left: outputs of all units; the rule pulls each towards a Gaussian "
        "with a standard deviation of 0.3. Right: phase portrait, 400 steps in the plane where states vary most.",
        alt="Histogram of outputs and phase portrait, before and after intrinsic plasticity",
    )


def _capacities(memories: dict[str, list[Measure]], chosen: Options, steps: int) -> Figure:
    lines = {arm: [np.asarray(one.curve) for one in measured] for arm, measured in memories.items()}
    delays = np.arange(1, DELAYS + 1)
    white = np.random.default_rng(0).uniform(-1, 1, (2 * steps, 1))
    computed = information_processing_capacity(
        _plain(chosen, 0), white, max_degree=3, max_delay=12, washout=WASHOUT, significance=1e-6
    )
    return Figure(
        [
            to_svg(curves(lines, title="Memory", xlabel="delay in steps", ylabel="share recovered", x=delays)),
            to_svg(pictures.stack(computed)),
        ],
        "Left: how much of the input of so many steps ago a linear readout recovers. Right: capacity of the plain "
        f"reservoir by degree of the function of past inputs; {100 * computed.details['completeness']:.0f} % of what "
        f"{UNITS} units can hold was found up to degree 3.",
        alt="Memory curves, and information processing capacity by degree",
    )


def _edge(steps: int, seeds: Sequence[int]) -> Figure:
    found = [pictures.across_the_edge(UNITS, steps, seed) for seed in seeds]
    return Figure(
        [to_svg(pictures.against_exponent(found, name)) for name in ("storage", "transfer")],
        "Reservoirs without bias, weakly driven, whose weights are scaled from order (left of 0) to chaos (right). "
        "Left: active information storage, mean over units. Right: transfer entropy, median over pairs of units.",
        alt="Active information storage and transfer entropy against the largest Lyapunov exponent",
    )


def _counting(steps: int) -> Figure:
    task = counting_task(steps + 200, REPEATS, seed=0)
    node = SORN(SHOWN_UNITS * 2, pool_size=5, seed=0)
    before = node.run(task.inputs[-120:])[-60:]
    node.adapt(task.inputs[:steps])
    after = node.run(task.inputs[-120:])[-60:]
    rasters = {"SORN, as drawn": before, "SORN, organised": after}
    return Figure(
        [
            to_svg(spike_raster(states[:, :SHOWN_UNITS], title=title, ylabel="unit"))
            for title, states in rasters.items()
        ],
        f"Binary units read words such as a{'b' * REPEATS}c. {steps:,} steps of threshold adaptation, plasticity of "
        f"spike timing and normalisation lie between the pictures; {SHOWN_UNITS} of {node.units} units.",
        alt="Raster of the units of SORN before and after self-organisation",
    )
