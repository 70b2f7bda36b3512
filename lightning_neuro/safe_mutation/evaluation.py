"""What an evaluation of a population says, and the one way to ask for it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from lightning_neuro.safe_mutation.population import BatchedPolicy


@dataclass(frozen=True)
class Evaluation:
    """Fitness of P individuals, and what they met on the way.

    >>> Evaluation(torch.tensor([1.0, 3.0])).fitness.argmax().item()
    1

    Args:
        fitness: (P,), higher is better; NaN or infinity marks a broken individual.
        states: observations that decisions were made on: (P, S, *obs), those of each individual, or (S, *obs), shared
            by all. Recurrent policies: (P, T, S, *obs) or (T, S, *obs), whole segments from the zero state.
        valid: which of an individual's own states are filled, bool (P, S), recurrent (P, T, S). None: all.
        solved: (P,) bool, who reached the goal of the task. None: the task has no such thing.
        extras: further numbers by name, (P,) each.
    """

    fitness: Tensor
    states: Tensor | None = None
    valid: Tensor | None = None
    solved: Tensor | None = None
    extras: Mapping[str, Tensor] = field(default_factory=dict)


def evaluate(
    evaluator: Callable[..., Evaluation | Tensor],
    policy: "BatchedPolicy",
    params: Tensor,
    *,
    seeds: Tensor | None = None,
    record: int = 0,
    batch: Any = None,
) -> Evaluation:
    """Ask `evaluator` for the fitness of every row of `params`, and check the answer.

    An evaluator is called as `evaluator(policy, params)`, and with `seeds`, `record` and `batch` as far as its
    signature has them. It answers with an `Evaluation`, or with the fitness alone.

    >>> evaluate(lambda policy, params: -params.square().sum(1), None, torch.tensor([[1.0, 2.0], [0.0, 0.5]])).fitness
    tensor([-5.0000, -0.2500])

    Args:
        evaluator: the callable.
        policy: the population's one module.
        params: (P, d), one genome a row.
        seeds: (P,) int64, one per individual.
        record: how many states are wanted per individual; 0: none.
        batch: the Trainer's batch.

    Raises:
        TypeError: the answer is neither an `Evaluation` nor a tensor.
        ValueError: a tensor of the answer has the wrong shape or type.
    """
    offered = {"seeds": seeds, "record": record, "batch": batch}
    answer = evaluator(policy, params, **{name: offered[name] for name in accepted(evaluator) if name in offered})
    evaluation = Evaluation(answer) if isinstance(answer, Tensor) else answer
    owner = name_of(evaluator)
    if not isinstance(evaluation, Evaluation):
        raise TypeError(
            f"{owner}: must return an Evaluation or a tensor (P,) of fitness, got {type(answer).__name__}. "
            "Wrap numbers in torch.tensor([...])."
        )
    _check(owner, evaluation, policy, len(params))
    return replace(evaluation, fitness=_as_float(evaluation.fitness.detach()))


def accepted(evaluator: Callable[..., Any]) -> set[str]:
    """Names of the keywords that `evaluator` can be given.

    >>> sorted(accepted(lambda policy, params, *, seeds, record=0: None))
    ['record', 'seeds']
    """
    try:
        parameters = list(inspect.signature(evaluator).parameters.values())[2:]  # after policy and params
    except (TypeError, ValueError):  # compiled callables may have no signature
        return set()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return {"seeds", "record", "batch"}
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {parameter.name for parameter in parameters if parameter.kind in by_name}


def name_of(evaluator: Callable[..., Any]) -> str:
    """How messages call an evaluator.

    >>> name_of(evaluate)
    'evaluate'
    """
    return getattr(evaluator, "__name__", type(evaluator).__name__)


def _as_float(fitness: Tensor) -> Tensor:
    return fitness if fitness.is_floating_point() else fitness.to(torch.get_default_dtype())


def _check(owner: str, evaluation: Evaluation, policy: "BatchedPolicy", population: int) -> None:
    """Refuse shapes that would only fail generations later."""
    _check_one_each(owner, "fitness", evaluation.fitness, population)
    if evaluation.fitness.is_complex():
        raise ValueError(f"{owner}: fitness must be real, got {evaluation.fitness.dtype}.")
    if evaluation.solved is not None:
        _check_one_each(owner, "solved", evaluation.solved, population)
        if evaluation.solved.dtype != torch.bool:
            raise ValueError(f"{owner}: solved must be bool, got {evaluation.solved.dtype}. Compare with a threshold.")
    for name, values in evaluation.extras.items():
        _check_one_each(owner, f"extras[{name!r}]", values, population)
    states, valid = evaluation.states, evaluation.valid
    if states is None:
        if valid is not None:
            raise ValueError(f"{owner}: valid came without states. Return both, or neither.")
        return
    if policy.has_own_states(states) and len(states) != population:
        raise ValueError(f"{owner}: states must start with one row per individual, {population}, got {_shape(states)}.")
    if valid is not None and (valid.dtype != torch.bool or valid.shape != states.shape[: valid.ndim]):
        raise ValueError(
            f"{owner}: valid must be bool and of the leading dimensions of states {_shape(states)}, got {valid.dtype} "
            f"{_shape(valid)}."
        )


def _check_one_each(owner: str, name: str, values: Tensor, population: int) -> None:
    if not isinstance(values, Tensor):
        raise TypeError(f"{owner}: {name} must be a tensor, got {type(values).__name__}.")
    if values.shape != (population,):
        raise ValueError(f"{owner}: {name} must hold one value per individual, ({population},), got {_shape(values)}.")


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
