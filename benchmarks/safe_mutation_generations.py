"""Generations of `SafeMutation` in a Trainer beside those of evotorch, with the same policy, task and population."""

import logging
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import torch
from safe_mutation_pairs import deep, founders, products
from safe_mutation_work import Work
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lightning_neuro._lightning import Callback, Trainer
from lightning_neuro.safe_mutation.evaluators import GymnasiumEvaluator, SupervisedEvaluator
from lightning_neuro.safe_mutation.module import SafeMutation
from lightning_neuro.safe_mutation.operators import operator_named
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.tasks import DeepPolicy, parity_table

MAGNITUDES = {"gaussian": 0.03, "sm_g_sum": 0.001, "sm_g_abs": 0.001, "sm_g_so": 0.001, "sm_r": 0.01}
# An environment whose episodes last as long as they may, whatever the policy does.
ENVIRONMENT, EPISODE = "Pendulum-v1", 20


class TurnTaker(Callback):
    """A Trainer that does one generation per call: all of its loop is in the time of a call.

    It runs in a thread of its own, which waits between two generations.
    """

    def __init__(self, module: SafeMutation, warm_up: int = 0) -> None:
        self._mine, self._theirs = threading.Semaphore(0), threading.Semaphore(0)
        self._error: BaseException | None = None
        self._trainer = Trainer(
            max_epochs=-1,
            accelerator="cpu",
            enable_checkpointing=False,
            limit_val_batches=0,
            callbacks=[self],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        self._thread = threading.Thread(target=self._fit, args=(module,), daemon=True)
        self._thread.start()
        for _ in range(warm_up):
            self()

    def __call__(self) -> None:
        """Do a generation."""
        self._mine.release()
        self._theirs.acquire()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End the run; it cannot be called any more."""
        self._trainer.should_stop = True
        self._mine.release()
        self._thread.join()

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        """Wait for the next turn."""
        self._theirs.release()
        self._mine.acquire()

    def _fit(self, module: SafeMutation) -> None:
        self._mine.acquire()
        try:
            self._trainer.fit(module)
        except BaseException as error:  # it belongs to whoever waits
            self._error = error
        self._theirs.release()


def ours(policy: nn.Module, evaluator: Any, operator: str, population: int, warm_up: int = 0) -> TurnTaker:
    """Return a run of our own that is not ended by success, some generations old."""
    return TurnTaker(
        SafeMutation(
            policy,
            evaluator,
            magnitude=MAGNITUDES[operator],
            operator=operator,
            population_size=population,
            stop_when_solved=False,
        ),
        warm_up,
    )


def parity() -> tuple[nn.Module, Tensor, Tensor]:
    """Return a deep policy, and all words of four bits with their parity."""
    return DeepPolicy(4, 2, layers=16, output="identity"), *parity_table(4)


def genetic_algorithm(problem: Any, population: int) -> Callable[[], None]:
    """Return generations of evotorch: mutated copies compete with their parents, whose fitness is remembered.

    Without a crossover, which alone brings tournaments, this is the least that its `GeneticAlgorithm` can do.
    """
    from evotorch.algorithms import GeneticAlgorithm
    from evotorch.operators import GaussianMutation

    mutation = GaussianMutation(problem, stdev=MAGNITUDES["gaussian"])
    return GeneticAlgorithm(problem, operators=[mutation], popsize=population, re_evaluate=False).step


def vectorised_parity() -> Any:
    """Return the task as a vectorised problem of evotorch."""
    from evotorch import Problem
    from evotorch.neuroevolution.net import ModuleExpectingFlatParameters

    policy, words, labels = parity()
    net = ModuleExpectingFlatParameters(policy, disable_autograd_tracking=True)

    def loss(vector: Tensor) -> Tensor:
        return cross_entropy(net(vector, words), labels)

    bound = 15**-0.5
    return Problem(
        "min", torch.vmap(loss), solution_length=net.parameter_length, initial_bounds=(-bound, bound), vectorized=True
    )


def looped_parity() -> Any:
    """Return the task as a problem of evotorch that is given one module after another."""
    from evotorch.neuroevolution import NEProblem

    policy, words, labels = parity()

    @torch.no_grad()
    def loss(net: nn.Module) -> Tensor:
        return cross_entropy(net(words), labels)

    bound = 15**-0.5
    return NEProblem("min", policy, loss, initial_bounds=(-bound, bound))


def on_parity(population: int, peers: bool) -> tuple[dict[str, Work], list[TurnTaker]]:
    """Return generations on the parity of words that are presented at once, and what is to be stopped in the end."""
    work: dict[str, Work] = {}
    if peers:
        work["evotorch, vectorised problem"] = Work(genetic_algorithm(vectorised_parity(), population))
        work["evotorch, loop over modules"] = Work(genetic_algorithm(looped_parity(), population))
    policy, words, labels = parity()
    runs = {
        name: ours(policy, SupervisedEvaluator((words, labels), cross_entropy), name, population) for name in MAGNITUDES
    }
    for name, run in runs.items():
        work[f"SafeMutation, {name}"] = Work(run, target=1 if name == "gaussian" and peers else None)
    shapes = [(len(words), inner, columns) for _, inner, columns in deep(16, 15)]
    work["matrix products of the evaluation alone"] = Work(products(population, shapes))
    return work, list(runs.values())


def on_environment(population: int, peers: bool) -> tuple[dict[str, Work], list[TurnTaker]]:
    """Return generations on short episodes of an environment, and what is to be stopped in the end."""
    steps = population * EPISODE
    policy = DeepPolicy(3, 1, layers=2, output="tanh")
    work: dict[str, Work] = {}
    if peers:
        from evotorch.neuroevolution import GymNE, VecGymNE

        short = {"max_episode_steps": EPISODE}
        problems = {
            "evotorch VecGymNE": VecGymNE(f"gym::{ENVIRONMENT}", policy, env_config=short),
            "evotorch GymNE": GymNE(ENVIRONMENT, policy, env_config=short),
        }
        work |= {name: Work(genetic_algorithm(each, population), steps=steps) for name, each in problems.items()}
    evaluator = GymnasiumEvaluator(ENVIRONMENT, max_steps=EPISODE)
    # Its calls of the policy are replayed from the sixth generation on.
    runs = [ours(policy, evaluator, name, population, warm_up=7) for name in ("gaussian", "sm_g_sum")]
    for name, run in zip(("gaussian", "sm_g_sum"), runs, strict=True):
        work[f"SafeMutation, {name}"] = Work(run, target=1 if name == "gaussian" and peers else None, steps=steps)
    return work, runs


def operators(population: int) -> dict[str, Work]:
    """Return all operators on the same parents and states."""
    policy, words, _ = parity()
    batched, params = BatchedPolicy(policy, vectorize=True), founders(policy, population)

    def children(name: str) -> Callable[[], object]:
        operator, generator = operator_named(name), torch.Generator().manual_seed(0)
        states = words if operator.needs_states else None
        return lambda: operator(batched, params, states, MAGNITUDES[name], generator)

    return {name: Work(children(name)) for name in MAGNITUDES}


def quieten_evotorch() -> None:
    """Keep what evotorch tells of itself out of the tables."""
    from evotorch.tools import set_default_logger_config

    set_default_logger_config(logger_level=logging.WARNING, override=True)


def missing(packages: Sequence[str]) -> dict[str, str]:
    """Return why packages are left out."""
    found = {}
    for name in packages:
        try:
            import_module(name)
        except Exception as error:  # whatever a library does when it meets others that it does not know
            found[name] = f"{type(error).__name__}: {error}"
    return found
