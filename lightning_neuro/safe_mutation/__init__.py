"""SM-G: safe mutations that evolve deep and recurrent torch modules inside a Trainer (arXiv 1712.06563).

Mutations are scaled by how much each weight moves the outputs, so that deep nets survive them. Operators work without
Lightning as well; tasks are in `safe_mutation.tasks`.
"""

from lightning_neuro.safe_mutation import mutation, sensitivity
from lightning_neuro.safe_mutation.calibration import find_magnitude
from lightning_neuro.safe_mutation.evaluators import Evaluation, GymnasiumEvaluator, SupervisedEvaluator
from lightning_neuro.safe_mutation.module import SafeMutation
from lightning_neuro.safe_mutation.nested import state_rows
from lightning_neuro.safe_mutation.operators import (
    GaussianMutation,
    Mutation,
    MutationOperator,
    SafeMutationAbs,
    SafeMutationRescale,
    SafeMutationSecondOrder,
    SafeMutationSum,
    operator_named,
)
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.recurrent import vmap_safe

__all__ = [
    "BatchedPolicy",
    "Evaluation",
    "GaussianMutation",
    "GymnasiumEvaluator",
    "Mutation",
    "MutationOperator",
    "SafeMutation",
    "SafeMutationAbs",
    "SafeMutationRescale",
    "SafeMutationSecondOrder",
    "SafeMutationSum",
    "SupervisedEvaluator",
    "find_magnitude",
    "mutation",
    "operator_named",
    "sensitivity",
    "state_rows",
    "vmap_safe",
]
