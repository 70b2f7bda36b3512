"""What `SafeMutation` accepts as policy, evaluator and operator."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from lightning_neuro.safe_mutation.experience import Kind
from lightning_neuro.safe_mutation.operators import MutationOperator, operator_named
from lightning_neuro.safe_mutation.population import BatchedPolicy


def as_batched(policy: nn.Module | BatchedPolicy, evaluator: Any) -> BatchedPolicy:
    """Return the policy as a `BatchedPolicy` that looks at the steps which the evaluator names in `output_steps`."""
    batched = BatchedPolicy.of(policy)
    steps: Any = getattr(evaluator, "output_steps", "last")
    if isinstance(policy, BatchedPolicy) or batched.interface.recurrence != "step" or steps == batched.output_steps:
        return batched
    return BatchedPolicy(batched.module, output_steps=steps)


def as_operator(owner: str, operator: str | MutationOperator, options: Mapping[str, Any]) -> MutationOperator:
    """Return an operator by its name, with the options that are given, or the operator itself.

    Raises:
        TypeError: it is neither, or an operator and options.
    """
    if isinstance(operator, str):
        return operator_named(operator, **options)
    if isinstance(operator, type) or not callable(operator) or not hasattr(operator, "needs_states"):
        raise TypeError(f"{owner}: operator must be a name or a mutation operator, got {operator!r}.")
    if options:
        raise TypeError(
            f"{owner}: {', '.join(options)} belong to operators given by name, got {type(operator).__name__}(...). "
            "Give them to that operator."
        )
    return operator


def check_evaluator(owner: str, evaluator: Any, *, overridden: bool) -> None:
    """Refuse what cannot be called.

    Raises:
        TypeError: how to say what is evaluated.
    """
    if evaluator is None and overridden:
        return
    if not callable(evaluator) or isinstance(evaluator, type):
        raise TypeError(
            f"{owner}: evaluator must be a function (policy, params) -> fitness or an evaluator, got {evaluator!r}. "
            "Pass one, or override evaluate."
        )


def as_archive(owner: str, archive: Kind | None, operator: MutationOperator) -> Kind:
    """Return which archive is kept: None stands for what the operator needs.

    Raises:
        ValueError: the operator looks at states, and none are to be kept.
    """
    if archive is None:
        return "per_individual" if operator.needs_states else "none"
    if archive == "none" and operator.needs_states:
        raise ValueError(
            f"{owner}: {type(operator).__name__} looks at states, but archive='none' keeps none. Use "
            "archive='per_individual' or 'shared', or operator='gaussian'."
        )
    return archive
