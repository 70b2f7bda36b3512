"""Do safe mutations solve tasks in fewer evaluations than plain ones? Printed whichever way it comes out.

The five operators evolve the same policies on the same tasks. The magnitude of each is tuned on seeds of its own: a
grid a factor of about 3 apart, extended while the best lies at its end; more runs solved is better, then fewer
evaluations, then higher fitness. Ten other seeds then run with it, until a task is solved or the evaluations are spent.

Each task has a file of its own in `--out`, written after every run; runs found there are not repeated, so that tasks
can be run by several processes. From the top of the checkout:

    OMP_NUM_THREADS=1 python benchmarks/safe_mutation_evolution.py --tasks medium washout deep_parity
    python benchmarks/safe_mutation_evolution.py --summarise
"""

import argparse
import functools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from recorded_runs import Record, RecordedRuns
from scipy.stats import mannwhitneyu
from torch import nn

from lightning_neuro._lightning import Callback, LightningModule, Trainer
from lightning_neuro.demo.training import make_trainer, quiet_lightning
from lightning_neuro.safe_mutation import SafeMutation, tasks
from lightning_neuro.safe_mutation.evaluators import GymnasiumEvaluator, SupervisedEvaluator

RESULTS = Path(__file__).parent / "results" / "safe_mutation_evolution"
MAGNITUDES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0)
CONTROL = "gaussian"
OPERATORS = (CONTROL, "sm_r", "sm_g_sum", "sm_g_abs", "sm_g_so")
CURVE_EVERY = 4


@dataclass(frozen=True)
class Plan:
    """What the runs of a task follow; results of different plans do not mix."""

    task: str
    evaluations: int
    tuning_evaluations: int
    population_size: int = 250
    tuning_seeds: tuple[int, ...] = (100, 101, 102)
    seeds: tuple[int, ...] = tuple(range(10))


@dataclass(frozen=True)
class Task:
    """A policy and what evaluates it.

    Args:
        plan: how much to run.
        policy: makes one, freshly initialised.
        evaluator: makes one.
        guess: the magnitude at which the search for the best begins, of each operator.
        options: of `SafeMutation`.
    """

    plan: Plan
    policy: Callable[[], nn.Module]
    evaluator: Callable[[], Any]
    guess: dict[str, float]
    options: tuple[tuple[str, Any], ...] = ()


def guesses(gaussian: float, sm_r: float, sm_g: float, sm_g_so: float) -> dict[str, float]:
    return dict(zip(OPERATORS, (gaussian, sm_r, sm_g, sm_g, sm_g_so), strict=True))


def maze(layers: int, evaluations: int) -> Task:
    plan = Plan(f"maze_{layers}", evaluations, evaluations // 2, tuning_seeds=(100, 101))
    policy = functools.partial(tasks.DeepPolicy, 11, 2, layers=layers)
    return Task(plan, policy, tasks.BreadcrumbMaze, guesses(3e-2, 1e-2, 1e-3, 1e-2))


def deep_parity() -> SupervisedEvaluator:
    return SupervisedEvaluator(tasks.parity_table(4), nn.functional.cross_entropy, accuracy=True, solved_at=1.0)


def control_task(name: str, observations: int, actions: int, evaluations: int) -> Task:
    plan = Plan(name, evaluations, evaluations // 2, population_size=100, tuning_seeds=(100, 101))
    policy = functools.partial(tasks.DeepPolicy, observations, actions, layers=2, output="identity")
    evaluator = functools.partial(GymnasiumEvaluator, name, episodes=3)
    return Task(plan, policy, evaluator, guesses(1e-1, 1e-2, 1e-2, 3e-2))


TASKS = {
    task.plan.task: task
    for task in (
        Task(
            Plan("deep_parity", 30_000, 30_000),
            functools.partial(tasks.DeepPolicy, 4, 2, layers=16, output="identity"),
            deep_parity,
            guesses(3e-2, 1e-2, 1e-3, 1e-2),
        ),
        Task(
            Plan("recurrent_parity", 50_000, 30_000),
            tasks.RecurrentParity.policy,
            tasks.RecurrentParity,
            guesses(3e-2, 1e-2, 1e-3, 1e-2),
        ),
        maze(6, 12_500),
        maze(16, 12_500),
        maze(64, 12_500),
        Task(
            Plan("topdown_maze", 12_500, 6_250, tuning_seeds=(100, 101)),
            functools.partial(tasks.TopdownMaze().policy),
            tasks.TopdownMaze,
            guesses(3e-2, 1e-2, 1e-3, 1e-2),
        ),
        control_task("CartPole-v1", 4, 2, 5_000),
        control_task("MountainCar-v0", 2, 3, 2_500),
    )
}
DOMAINS = ("medium", "washout")


class BestCurve(Callback):
    """Keeps the best fitness of every few generations."""

    def __init__(self) -> None:
        self.best: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Look at the population."""
        if trainer.global_step % CURVE_EVERY == 0:
            self.best.append(round(float(trainer.callback_metrics["fitness/best"]), 4))


def evolve(task: Task, operator: str, magnitude: float, seed: int, evaluations: int, accelerator: str) -> Record:
    """Evolve until the task is solved or the evaluations are spent."""
    with torch.random.fork_rng(devices=[]), quiet_lightning():
        torch.manual_seed(seed)
        module = SafeMutation(
            task.policy(),
            task.evaluator(),
            operator=operator,
            magnitude=magnitude,
            population_size=task.plan.population_size,
            seed=seed,
            **dict(task.options),
        )
        curve, births = BestCurve(), task.plan.population_size - 1
        generations = 1 + (evaluations - task.plan.population_size) // births
        trainer = make_trainer(
            accelerator=accelerator, max_steps=generations, callbacks=[curve], enable_progress_bar=False
        )
        started, processor = time.perf_counter(), time.process_time()
        trainer.fit(module)
        wall, spent = time.perf_counter() - started, time.process_time() - processor
        (checked,) = trainer.validate(module, verbose=False)
    return {
        "solved": module.evolution.champion.solved,
        "evaluations": module.evaluations,
        "fitness": round(float(module.champion_fitness), 4),
        "other_seeds": round(checked["val/fitness"], 4),
        "cpu_s": round(spent, 2),
        "wall_s": round(wall, 2),
        "accelerator": accelerator,
        "curve": curve.best,
    }


def better(runs: Sequence[Record]) -> tuple[float, float, float]:
    """Return what orders magnitudes: runs solved, few evaluations, fitness."""
    return (
        sum(run["solved"] for run in runs),
        -fmean(run["evaluations"] for run in runs),
        fmean(run["fitness"] for run in runs),
    )


def tuned(task: Task, operator: str, runs: RecordedRuns, run_one: Callable[..., Record]) -> float:
    """Return the best magnitude of the grid, which grows while the best is at its end."""
    found: dict[float, tuple[float, float, float]] = {}
    around = MAGNITUDES.index(task.guess[operator])
    while True:
        for magnitude in MAGNITUDES[max(0, around - 1) : around + 2]:
            key = {"stage": "tuning", "operator": operator, "magnitude": magnitude}
            run = functools.partial(run_one, task, operator, magnitude, evaluations=task.plan.tuning_evaluations)
            found[magnitude] = better(
                [runs.get(key | {"seed": s}, functools.partial(run, seed=s)) for s in task.plan.tuning_seeds]
            )
        best = max(found, key=lambda magnitude: found[magnitude])
        if best not in (min(found), max(found)) or best in (MAGNITUDES[0], MAGNITUDES[-1]):
            return best
        around = MAGNITUDES.index(best)


def compare(task: Task, operators: Sequence[str], out: Path, accelerator: str) -> None:
    """Tune and run every operator whose runs are not in the file yet."""
    runs = RecordedRuns(out / f"{task.plan.task}.json", json.loads(json.dumps(asdict(task.plan))))
    run_one = functools.partial(evolve, accelerator=accelerator)
    for operator in operators:
        magnitude = tuned(task, operator, runs, run_one)
        for seed in task.plan.seeds:
            key = {"stage": "final", "operator": operator, "magnitude": magnitude, "seed": seed}
            runs.get(key, functools.partial(run_one, task, operator, magnitude, seed, task.plan.evaluations))


def climb(name: Any, operators: Sequence[str], out: Path) -> None:
    """Let twenty hill climbers run on an illustrative domain; the best of four magnitudes, tuned on others."""
    grid, iterations = (1e-3, 1e-2, 1e-1, 1.0), 2000
    runs = RecordedRuns(out / f"{name}.json", {"task": name, "iterations": iterations, "climbers": 20})

    def climbers(operator: str, magnitude: float, seed: int) -> Record:
        started = time.process_time()
        at = tasks.illustrative.climb(name, operator, magnitude, iterations=iterations, seed=seed).solved_at
        return {"solved_at": at.tolist(), "cpu_s": round(time.process_time() - started, 2)}

    for operator in operators:
        reached = {}
        for magnitude in grid:
            key = {"stage": "tuning", "operator": operator, "magnitude": magnitude, "seed": 100}
            at = runs.get(key, functools.partial(climbers, operator, magnitude, 100))["solved_at"]
            solved = [step for step in at if step >= 0]
            reached[magnitude] = (len(solved), -sum(solved))
        best = max(reached, key=lambda magnitude: reached[magnitude])
        key = {"stage": "final", "operator": operator, "magnitude": best, "seed": 0}
        runs.get(key, functools.partial(climbers, operator, best, 0))


def domain_table(runs: Sequence[Record]) -> str:
    lines = ["| operator | magnitude | solved | median iterations of those |", "|---|---|---|---|"]
    for run in runs:
        if run["stage"] == "final":
            solved = [step for step in run["solved_at"] if step >= 0]
            steps = f"{median(solved):.0f}" if solved else ""
            lines.append(
                f"| {run['operator']} | {run['magnitude']:g} | {len(solved)} of {len(run['solved_at'])} | {steps} |"
            )
    return "\n".join(lines)


def task_table(runs: Sequence[Record]) -> str:
    """Return the final runs as a markdown table, with an exact rank test of evaluations against the control."""
    finals = [run for run in runs if run["stage"] == "final"]
    spent = {
        operator: [run["evaluations"] for run in finals if run["operator"] == operator]
        for operator in dict.fromkeys(run["operator"] for run in finals)
    }
    lines = [
        "| operator | magnitude | solved | evaluations, median | p against gaussian | fitness, mean | CPU s per run |",
        "|---|---|---|---|---|---|---|",
    ]
    for operator, evaluations in spent.items():
        group = [run for run in finals if run["operator"] == operator]
        p = ""
        if operator != CONTROL and CONTROL in spent:
            p = f"{mannwhitneyu(evaluations, spent[CONTROL], method='exact').pvalue:.2g}"
        words = [operator, f"{group[0]['magnitude']:g}", f"{sum(run['solved'] for run in group)} of {len(group)}"]
        words += [f"{median(evaluations):.0f}", p, f"{fmean(run['fitness'] for run in group):.4g}"]
        words.append(f"{fmean(run['cpu_s'] for run in group):.3g}")
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def summarise(out: Path) -> None:
    """Print what is recorded."""
    for name in (*DOMAINS, *TASKS):
        path = out / f"{name}.json"
        if path.exists():
            runs = json.loads(path.read_text())["runs"]
            print(f"\n### {name}\n\n{domain_table(runs) if name in DOMAINS else task_table(runs)}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Evaluations to solve tasks, by mutation operator.")
    parser.add_argument("--tasks", nargs="+", choices=(*DOMAINS, *TASKS), default=(*DOMAINS, *TASKS))
    parser.add_argument("--operators", nargs="+", choices=OPERATORS, default=OPERATORS)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--summarise", action="store_true", help="only print what is recorded")
    options = parser.parse_args(arguments)
    for name in [] if options.summarise else options.tasks:
        if name in DOMAINS:
            climb(name, options.operators, options.out)
        else:
            compare(TASKS[name], options.operators, options.out, options.accelerator)
    summarise(options.out)


if __name__ == "__main__":
    main()
