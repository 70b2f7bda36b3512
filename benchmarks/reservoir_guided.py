"""Does self-organisation or guidance by a measure beat a plain reservoir that was tuned?

Tasks: NARMA-10, NARMA-30, one step ahead of the Santa Fe laser (root mean squared error over the standard deviation of
the test steps), and short-term memory capacity. The plain arm's spectral radius, leak rate, input scale and bias are
chosen on tuning seeds by validation steps; every other arm starts from that choice, and what is free in it is chosen on
the same tuning seeds. Then twenty other seeds of weights and inputs, each arm from the same draw as the plain one:

- "plain, ten seeds": radius of the plain arm chosen anew on ten tuning seeds, for what luck of two gives;
- "intrinsic plasticity": gains and shifts towards a Gaussian, four times through the adapting steps;
- "permutation": a permutation in the place of W, with a radius, input scale and bias of its own;
- "edge of chaos": W scaled to an exponent;  "most storage": W scaled to where units store the most;
- "transfer": couplings by transfer entropy, from a spectral radius of at most 0.95, which it asks for;
- "storage leak": leak rates by active information storage;
- "capacity match": radius, leak rate and input scale, from 0.1 to 1, whose memory is that of the task;
- "homeostatic rate": incoming weights scaled to one mean activity.

Controllers see the first adapting steps of the training inputs, and their targets where they ask for them; the laser
does not depend on the seed, its reservoirs do. The penalty of the readout is chosen for each run by validation steps.
For memory, controllers that need a target are given the sum of the last thirty inputs.

Paired Wilcoxon tests with Holm's correction over the arms of a task; d is the mean difference to the plain arm over its
standard deviation, above 0 where the arm is better. Runs found in `--out` are not repeated. From the top of the
checkout:

    OMP_NUM_THREADS=1 python benchmarks/reservoir_guided.py
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise, product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from recorded_runs import Record, RecordedRuns, planned
from reservoirpy.nodes import Reservoir
from scipy.stats import wilcoxon

from lightning_neuro.data.santa_fe import TRAIN, VAL, scaled
from lightning_neuro.reservoir import PermutationReservoir, SelfOrganizingReservoir
from lightning_neuro.reservoir.guided import (
    CapacityMatch,
    EdgeOfChaos,
    HomeostaticRate,
    InformationStorageLeak,
    TransferEntropyCoupling,
)
from lightning_neuro.reservoir.measures import memory_capacity
from lightning_neuro.reservoir.rules import Gaussian, IntrinsicPlasticity
from lightning_neuro.reservoir.tasks import narma

OUT = Path(__file__).parent / "results" / "reservoir_guided.json"
TASKS = ("NARMA-10", "NARMA-30", "Santa Fe", "memory")
TUNING_SEEDS = (1000, 1001)
MORE_TUNING_SEEDS = tuple(range(1000, 1010))
AGAIN = "plain, ten seeds"
SEEDS = tuple(range(20))
PENALTIES = (1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
WASHOUT = 100
LARGEST_RADIUS = 0.95
PLAIN_GRID = {
    "sr": (0.4, 0.7, 0.9, 1.0, 1.1, 1.3),
    "lr": (0.3, 0.6, 1.0),
    "input_scaling": (0.03, 0.1, 0.3, 1.0),
    "bias": (0.0, 0.5),
}
Array = np.ndarray
Options = dict[str, Any]
Guided = tuple[Any, Record]


@dataclass(frozen=True)
class Plan:
    """How much; results of different plans do not mix."""

    units: int = 100
    adapting_steps: int = 1_000
    training_steps: int = 2_000
    validation_steps: int = 800
    test_steps: int = 2_000
    memory_steps: int = 8_000


@dataclass(frozen=True, eq=False)
class Task:
    """Series of a task; `train`, `validation` and `test` are stretches of them."""

    inputs: Array
    targets: Array
    train: slice
    validation: slice
    test: slice


@lru_cache(maxsize=4)
def task_of(plan: Plan, name: str, seed: int) -> Task:
    if name == "Santa Fe":
        values = scaled()
        # Row t is intensity t, its target the next one.
        return Task(
            values[:-1, None],
            values[1:, None],
            slice(WASHOUT, TRAIN),
            slice(TRAIN, TRAIN + VAL),
            slice(TRAIN + VAL, None),
        )
    ends = np.cumsum([WASHOUT, plan.training_steps, plan.validation_steps, plan.test_steps])
    parts = [slice(int(a), int(b)) for a, b in pairwise(ends)]
    if name == "memory":
        u = np.random.default_rng(seed).uniform(-1, 1, (plan.memory_steps, 1))
        recent = np.convolve(u[:, 0], np.ones(30))[: len(u), None]
        return Task(u, recent, *parts)
    u, y = narma(int(ends[-1]), int(name.removeprefix("NARMA-")), seed=seed)
    return Task(4 * u - 1, y, *parts)


def plain(plan: Plan, choice: Options, seed: int, kind: Any = Reservoir, **more: Any) -> Any:
    return kind(plan.units, input_connectivity=1.0, seed=seed, **(choice | more))


def score(plan: Plan, name: str, node: Any, seed: int, part: str) -> float:
    """Return error, or minus the memory capacity: lower is better."""
    task = task_of(plan, name, seed)
    if name == "memory":
        half = slice(0, plan.memory_steps // 2) if part == "validation" else slice(None)
        return -float(memory_capacity(node, task.inputs[half], max_delay=plan.units, washout=WASHOUT))
    if node.initialized:
        node.reset()
    states = np.asarray(node.run(task.inputs))
    seen = np.hstack([states, np.ones((len(states), 1))])
    learned, known = seen[task.train], task.targets[task.train]
    gram, cross = learned.T @ learned / len(learned), learned.T @ known / len(learned)
    readouts = [np.linalg.solve(gram + penalty * np.eye(len(gram)), cross) for penalty in PENALTIES]
    errors = [distance(seen[task.validation] @ w, task.targets[task.validation]) for w in readouts]
    if part == "validation":
        return min(errors)
    return distance(seen[task.test] @ readouts[int(np.argmin(errors))], task.targets[task.test])


def distance(predicted: Array, values: Array) -> float:
    return float(np.sqrt(np.mean((predicted - values) ** 2)) / values.std())


def adapting(plan: Plan, name: str, seed: int) -> tuple[Array, Array]:
    task = task_of(plan, name, seed)
    return task.inputs[: plan.adapting_steps], task.targets[: plan.adapting_steps]


def guided(controller: Any, plan: Plan, name: str, node: Any, seed: int) -> Guided:
    u, v = adapting(plan, name, seed)
    report = controller.fit(node, u, v)
    numbers = {key: getattr(report, key) for key in ("value", "target", "error", "reached", "stopped")}
    return report.reservoir, numbers | {"epochs": len(report.history), "best": report.best}


def organised(plan: Plan, name: str, choice: Options, option: Options, seed: int) -> Guided:
    rule = IntrinsicPlasticity(Gaussian(mean=0.0, std=option["std"]))
    node = plain(plan, choice, seed, SelfOrganizingReservoir, rules=[rule])
    history = node.adapt(adapting(plan, name, seed)[0], epochs=4, washout=WASHOUT)
    return node, {"std": float(history["std"][-1])}


def chosen_again(plan: Plan, name: str, choice: Options, option: Options, seed: int) -> Guided:
    return plain(plan, choice | option, seed), {}


def permuted(plan: Plan, name: str, choice: Options, option: Options, seed: int) -> Guided:
    return plain(plan, choice, seed, PermutationReservoir, **option), {}


def by(controller: Callable[..., Any], **fixed: Any) -> Callable[..., Guided]:
    def arm(plan: Plan, name: str, choice: Options, option: Options, seed: int) -> Guided:
        start = dict(choice)
        if controller is TransferEntropyCoupling:
            start["sr"] = min(choice["sr"], LARGEST_RADIUS)
        if controller is CapacityMatch:
            start["input_scaling"] = 1.0
        return guided(controller(washout=WASHOUT, **fixed, **option), plan, name, plain(plan, start, seed), seed)

    return arm


def each(**values: Sequence[Any]) -> list[Options]:
    return [dict(zip(values, one, strict=True)) for one in product(*values.values())]


ARMS: Mapping[str, tuple[Callable[..., Guided], list[Options]]] = {
    "plain": (chosen_again, [{}]),
    "intrinsic plasticity": (organised, each(std=(0.1, 0.3))),
    "transfer": (by(TransferEntropyCoupling, epochs=15), [{}]),
    "storage leak": (by(InformationStorageLeak, epochs=25), each(target=("mean", "task"))),
    "permutation": (permuted, each(sr=(0.8, 0.95, 1.1), input_scaling=PLAIN_GRID["input_scaling"], bias=(0.0, 0.5))),
    "edge of chaos": (by(EdgeOfChaos, epochs=40), [{}]),
    "homeostatic rate": (by(HomeostaticRate, epochs=25), each(target=(0.1, 0.3))),
    "capacity match": (by(CapacityMatch, sr=(0.6, 0.9, 1.1), lr=(0.3, 1.0), rungs=2), [{}]),
    AGAIN: (chosen_again, each(sr=PLAIN_GRID["sr"])),
    "most storage": (by(EdgeOfChaos, target="storage", tolerance=0.1), [{}]),
}


def chosen_plain(plan: Plan, recorded: RecordedRuns, name: str) -> Options:
    """Return the grid's best choice for the plain arm on the tuning seeds."""

    def run() -> Record:
        grid = each(**PLAIN_GRID)
        means = [
            fmean(score(plan, name, plain(plan, one, seed), seed, "validation") for seed in TUNING_SEEDS)
            for one in grid
        ]
        best = int(np.argmin(means))
        return {"choice": grid[best], "validation": means[best], "tried": len(grid)}

    return dict(recorded.get({"step": "tune", "task": name, "arm": "plain"}, run)["choice"])


def chosen_option(plan: Plan, recorded: RecordedRuns, name: str, arm: str, choice: Options) -> Options:
    """Return the best option of an arm on the tuning seeds."""
    make, options = ARMS[arm]
    if len(options) == 1:
        return options[0]

    def run() -> Record:
        seeds = MORE_TUNING_SEEDS if arm == AGAIN else TUNING_SEEDS
        means = [
            fmean(score(plan, name, make(plan, name, choice, one, seed)[0], seed, "validation") for seed in seeds)
            for one in options
        ]
        best = int(np.argmin(means))
        return {"choice": options[best], "validation": means[best], "tried": len(options)}

    return dict(recorded.get({"step": "tune", "task": name, "arm": arm}, run)["choice"])


def tested(plan: Plan, name: str, arm: str, choice: Options, option: Options, seed: int) -> Record:
    start = time.process_time()
    node, numbers = ARMS[arm][0](plan, name, choice, option, seed)
    spent = time.process_time() - start
    found = score(plan, name, node, seed, "test")
    return {"score": -found if name == "memory" else found, "guide": numbers, "guiding_cpu_s": round(spent, 2)}


def compared(runs: Sequence[Record], name: str) -> list[Record]:
    """Return a row for each arm of a task: mean, difference to the plain arm, effect size, p after Holm."""
    scores = {
        arm: {one["seed"]: one for one in runs if (one["step"], one["task"], one["arm"]) == ("test", name, arm)}
        for arm in ARMS
    }
    sign = 1.0 if name == "memory" else -1.0
    rows: list[Record] = []
    for arm, known in scores.items():
        values = [one["score"] for one in known.values()]
        if len(values) < 2:
            continue
        row: Record = {"task": name, "arm": arm, "mean": fmean(values), "std": stdev(values), "seeds": len(values)}
        guides = [one["guide"] for one in known.values()]
        if "reached" in guides[0]:
            row |= {"reached": sum(guide["reached"] for guide in guides), "value": fmean(g["value"] for g in guides)}
        if arm != "plain":
            row |= paired(known, scores["plain"], sign)
        if arm not in ("plain", AGAIN) and scores[AGAIN]:
            row["again"] = paired(known, scores[AGAIN], sign)
        rows.append(row)
    return with_holm(rows)


def paired(known: Mapping[int, Record], baseline: Mapping[int, Record], sign: float) -> Record:
    """Return mean gain, its size, in how many seeds it is a gain, and p, over the seeds of both."""
    both = [seed for seed in known if seed in baseline]
    gains = np.array([sign * (known[seed]["score"] - baseline[seed]["score"]) for seed in both])
    spread = gains.std(ddof=1)
    return {
        "gain": float(gains.mean()),
        "d": float(gains.mean() / spread) if spread > 0 else 0.0,
        "better": int((gains > 0).sum()),
        "p": float(wilcoxon(gains).pvalue) if gains.any() else 1.0,
    }


def with_holm(rows: list[Record]) -> list[Record]:
    """Correct the p-values of a task for so many arms."""
    tested = sorted((row for row in rows if "p" in row), key=lambda row: float(row["p"]))
    largest = 0.0
    for place, row in enumerate(tested):
        largest = max(largest, min(1.0, row["p"] * (len(tested) - place)))
        row["p_holm"] = largest
    return rows


def table(rows: Sequence[Record]) -> str:
    heads = (
        "task",
        "arm",
        "mean ± std",
        "d",
        "better in",
        "p (Holm)",
        "better than ten seeds' in",
        "target reached in",
    )
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        digits, of = 2 if row["task"] == "memory" else 4, f" of {row['seeds']}"
        cells = [row["task"], row["arm"], f"{row['mean']:.{digits}f} ± {row['std']:.{digits}f}"]
        cells += [f"{row['d']:+.2f}", f"{row['better']}{of}", f"{row['p_holm']:.1g}"] if "p" in row else [""] * 3
        cells += [f"{row['again']['better']}{of}, p {row['again']['p']:.1g}" if "again" in row else ""]
        cells += [f"{row['reached']}{of}" if "reached" in row else ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    warnings.simplefilter("error", RuntimeWarning)
    plan, seeds, recorded = planned("Guided reservoirs.", Plan, OUT, arguments, seeds=SEEDS)
    for arm, name in product(ARMS, TASKS):
        choice = chosen_plain(plan, recorded, name)
        option = chosen_option(plan, recorded, name, arm, choice)
        for seed in seeds:
            key = {"step": "test", "task": name, "arm": arm, "seed": seed}
            recorded.get(key, partial(tested, plan, name, arm, choice, option, seed))
    print(table([row for name in TASKS for row in compared(recorded.runs, name)]))


if __name__ == "__main__":
    main()
