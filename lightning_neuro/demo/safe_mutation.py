"""Demonstration of SM-G: robots learn to drive through a maze by plain mutations, and by safe ones."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, cast

import torch

from lightning_neuro._lightning import Callback, LightningModule, Trainer
from lightning_neuro.common.plotting import curves, histograms, to_svg
from lightning_neuro.common.report import Figure, Section, Table
from lightning_neuro.demo.comparison import Comparison, Plan
from lightning_neuro.demo.results import paired_interval
from lightning_neuro.demo.training import make_trainer, quiet_lightning
from lightning_neuro.safe_mutation import SafeMutation, find_magnitude
from lightning_neuro.safe_mutation.sensitivity import sm_g_sum
from lightning_neuro.safe_mutation.tasks import BreadcrumbMaze, DeepPolicy, draw_maze, robot

if TYPE_CHECKING:
    import numpy as np

GENERATIONS, POPULATION, STATES = 30, 80, 32
HIDDEN, LAYERS = 16, 4
DIVERGENCE = 0.003
FLOOR = 0.01
MOST_SEEDS = 3
ENOUGH_EPOCHS = 5
NO_BREAK = "\N{NO-BREAK SPACE}"
PLAIN, SAFE = "plain mutations", "SM-G-SUM"
OPERATORS = {PLAIN: "gaussian", SAFE: "sm_g_sum"}


class Champions(Callback):
    """Keeps the fitness of the champion after each generation, and the time that generations take."""

    def __init__(self) -> None:
        self.fitness: list[float] = []
        self.seconds, self._started = 0.0, 0.0

    def on_train_batch_start(self, *arguments: Any) -> None:
        """Start."""
        self._started = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *arguments: Any) -> None:
        """Stop, and keep what was reached."""
        self.seconds += time.perf_counter() - self._started
        self.fitness.append(float(trainer.callback_metrics["fitness/champion"]))


@dataclass(frozen=True)
class Evolved:
    """What one run left behind: the module, its founders, and what was kept on the way."""

    model: SafeMutation
    founders: torch.Tensor
    champions: Champions


def demonstrate(comparison: Comparison) -> Section:
    """Evolve both ways and tell what came of it."""
    generations, population = _size(comparison.plan)
    seeds = range(min(comparison.plan.seeds, MOST_SEEDS))
    with quiet_lightning():
        evolved = {
            arm: [_evolve(comparison, arm, seed, generations, population) for seed in seeds] for arm in OPERATORS
        }
    return Section(
        "Safe mutations (SM-G)",
        [
            f"Nets with {LAYERS + 2} layers of weights steer a robot. The task has no gradient, so they evolve, "
            f"{population} at a time. Plain mutations move every weight by noise of one size. SM-G divides the noise "
            "of each weight by how much the outputs depend on it, at observations that the parent has met itself. Each "
            "arm's magnitude is the one at which the outputs of the median founder's child change by a mean square of "
            f"{DIVERGENCE:g} (find_magnitude, which is ours), the best of four for both arms on two other seeds.",
            _verdict(evolved),
            _results(evolved, generations, population),
            _progress(evolved),
            _paths(evolved),
        ],
    )


def _size(plan: Plan) -> tuple[int, int]:
    """Generations and individuals; a fast run is a short one of few."""
    return (GENERATIONS, POPULATION) if plan.epochs >= ENOUGH_EPOCHS else (GENERATIONS // 5, POPULATION // 4)


def _evolve(comparison: Comparison, arm: str, seed: int, generations: int, population: int) -> Evolved:
    comparison.tell(f"{arm}, seed {seed}")
    champions = Champions()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = DeepPolicy(robot.OBSERVATIONS, robot.ACTIONS, hidden=HIDDEN, layers=LAYERS)
    model = SafeMutation(
        policy,
        BreadcrumbMaze(),
        operator=OPERATORS[arm],
        magnitude=0.0,
        population_size=population,
        mutation_states=STATES,
        stop_when_solved=False,
        generations_per_epoch=generations,
        seed=seed,
    )
    founders = model.population.clone()
    model.magnitude = find_magnitude(
        model.batched_policy, founders, _met(model, founders), OPERATORS[arm], target_divergence=DIVERGENCE, seed=seed
    )
    make_trainer(max_epochs=1, callbacks=[champions]).fit(model)
    comparison.tell(f"{arm}: {-champions.fitness[-1]:.0f} steps left to the goal")
    return Evolved(model, founders, champions)


def _met(model: SafeMutation, params: torch.Tensor) -> torch.Tensor:
    """Observations that individuals meet, (P, S, 11)."""
    return cast("torch.Tensor", BreadcrumbMaze()(model.batched_policy, params, record=STATES).states)


def _left(runs: Sequence[Evolved]) -> list[float]:
    return [-run.champions.fitness[-1] for run in runs]


def _verdict(evolved: dict[str, list[Evolved]]) -> str:
    """Say how the arms compare, whichever way it came out, and how sure one can be."""
    fewer = [plain - safe for plain, safe in zip(_left(evolved[PLAIN]), _left(evolved[SAFE]), strict=True)]
    told = f"At the end the champions of SM-G-SUM had {fmean(fewer):.0f} steps fewer to go than those of the control"
    if len(fewer) == 1:
        return f"{told}: one seed, which says nothing about chance."
    low, high = paired_interval(fewer)
    judgement = (
        "No difference was shown."
        if low <= 0 <= high
        else f"So {SAFE if low > 0 else PLAIN} did better here, with these few seeds."
    )
    return (
        f"{told}, averaged over {len(fewer)} seeds; the 95 % interval of Student's t is {low:.0f} to {high:.0f}. "
        f"{judgement}"
    )


def _results(evolved: dict[str, list[Evolved]], generations: int, population: int) -> Table:
    rows = []
    for arm, runs in evolved.items():
        left, reached = _left(runs), sum(run.model.evolution.champion.solved for run in runs)
        spread = f"{NO_BREAK}±{NO_BREAK}{stdev(left):.0f}" if len(left) > 1 else ""
        seconds = fmean(run.champions.seconds for run in runs) / generations
        rows.append(
            (
                arm,
                f"{fmean(run.model.magnitude for run in runs):.4f}",
                f"{fmean(left):.0f}{spread}",
                f"{reached} of {len(runs)}",
                f"{seconds:.2f}",
            )
        )
    return Table(
        ["arm", "magnitude", "steps left", "reached the goal", "seconds per generation"],
        rows,
        f"After {generations} generations of {population}; mean ± standard deviation over seeds. Fitness is minus the "
        "steps of a flood fill that a champion's last place is away from the goal; from the start there are 521. An "
        "evaluation costs next to nothing here, and SM-G pays where it costs more than a few backward passes.",
    )


def _progress(evolved: dict[str, list[Evolved]]) -> Figure:
    fitness = {arm: [run.champions.fitness for run in runs] for arm, runs in evolved.items()}
    run = evolved[SAFE][0]
    before, after = (_above_floor(run.model, params) for params in (run.founders, run.model.population))
    return Figure(
        [
            to_svg(curves(fitness, title="Fitness of the champion", xlabel="generation")),
            to_svg(
                histograms(
                    {"founders": before, "last generation": after},
                    title="Sensitivity of the weights",
                    xlabel="powers of ten above the floor",
                )
            ),
        ],
        "Left, thick: mean over seeds; band: standard deviation; thin: every seed. Right: how much the outputs depend "
        f"on each weight, of all individuals of a run; 0 is the floor of {FLOOR:g}. Weights to the left of it are "
        "treated as if they were at it, lest they take enormous steps; those the outputs do not depend on at all are "
        "left out.",
        alt="Fitness of the champions by generation, and sensitivities before and after evolution",
    )


def _above_floor(model: SafeMutation, params: torch.Tensor) -> "np.ndarray[Any, Any]":
    sensitivity = sm_g_sum(model.batched_policy, params, _met(model, params))
    return (sensitivity[sensitivity > 0] / FLOOR).log10().numpy()


def _paths(evolved: dict[str, list[Evolved]]) -> Figure:
    pictures = []
    for arm, runs in evolved.items():
        best = max(runs, key=lambda run: run.champions.fitness[-1]).model
        (path,) = BreadcrumbMaze().trajectories(best.batched_policy, best.evolution.champion.genome[None])
        pictures.append(to_svg(draw_maze(path.numpy(), title=f"Best champion, {arm}")))
    return Figure(
        pictures,
        "The way of the best champion of all seeds through the maze, from the ring to the dot; the star is the goal. "
        "The darker a place, the shorter its way to the goal.",
        alt="The maze and the ways of the two best champions through it",
    )
