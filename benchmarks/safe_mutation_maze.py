"""Episodes of the breadcrumb maze: a whole population at once, and one environment of gymnasium after another."""

from collections.abc import Callable, Iterator

import gymnasium
import torch
from safe_mutation_pairs import founders
from safe_mutation_work import Work
from torch import Tensor

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.tasks import HARD_MAZE, BreadcrumbMaze, DeepPolicy
from lightning_neuro.safe_mutation.tasks.robot import initial_state
from lightning_neuro.safe_mutation.tasks.simulation import Backend, advance, sense

ENVIRONMENT = "lightning_neuro/BreadcrumbMaze-v0"
STEPS, REPEAT = 400, 3
DECISIONS = -(-STEPS // REPEAT)
EVALUATED = 5


def moves() -> list[Tensor]:
    """Return one pair of actions for each decision, the same for all robots."""
    return list(torch.rand(DECISIONS, 2, generator=torch.Generator().manual_seed(0)))


def repeats() -> Iterator[int]:
    """Return how many steps each decision holds."""
    return (min(REPEAT, STEPS - first) for first in range(0, STEPS, REPEAT))


def simulated(population: int, backend: Backend) -> Callable[[], Tensor]:
    """Return an episode of a population without policies: all steps, and what is sensed at each decision."""
    tables, actions = HARD_MAZE.tables(torch.float32), [move.expand(population, 2).contiguous() for move in moves()]

    def run() -> Tensor:
        state = initial_state(HARD_MAZE, population, torch.float32)
        for action, count in zip(actions, repeats(), strict=True):
            for _ in range(count):
                state = advance(state, action, tables, backend=backend)
            sense(state, tables, backend=backend)
        return state

    return run


def stepped() -> Callable[[], dict[str, float]]:
    """Return the same episode of one robot in an environment of gymnasium; it moves by our own step function."""
    environment, actions = gymnasium.make(ENVIRONMENT), [move.numpy() for move in moves()]

    def run() -> dict[str, float]:
        environment.reset(seed=0)
        for action in actions:
            *_, info = environment.step(action)
        return info

    return run


def driven(policy: BatchedPolicy, params: Tensor) -> Callable[[], list[dict[str, float]]]:
    """Return episodes of some individuals, one after the other, each with its own module."""
    environment, modules = gymnasium.make(ENVIRONMENT), [policy.individual(vector) for vector in params]

    @torch.no_grad()
    def run() -> list[dict[str, float]]:
        ends = []
        for module in modules:
            observation, _ = environment.reset(seed=0)
            ended = False
            while not ended:
                observation, _, _, ended, info = environment.step(module(torch.from_numpy(observation)).numpy())
            ends.append(info)
        return ends

    return run


def mazes(population: int, *, compiled: bool) -> dict[str, dict[str, Work]]:
    """Return the ways to simulate a population of robots, without and with policies; steps are decisions."""
    steps = population * DECISIONS
    backends: tuple[Backend, ...] = ("compiled", "reference") if compiled else ("reference",)
    policy = BatchedPolicy(DeepPolicy(11, 2), vectorize=True)
    params = founders(policy.module, population)
    looped = params[:EVALUATED]

    def evaluated(backend: Backend) -> Callable[[], object]:
        task = BreadcrumbMaze(backend=backend)
        return lambda: task(policy, params, record=STEPS)

    return {
        "Breadcrumb maze, simulator": {
            "gymnasium, one environment": Work(stepped(), population, steps=steps),
            **{
                f"{population} robots at once, {backend}": Work(simulated(population, backend), target=20, steps=steps)
                for backend in backends
            },
        },
        "Breadcrumb maze, with policies of 8 layers of weights": {
            "gymnasium, one environment": Work(driven(policy, looped), population / len(looped), steps=steps),
            **{f"BreadcrumbMaze, {backend}": Work(evaluated(backend), target=20, steps=steps) for backend in backends},
        },
    }
