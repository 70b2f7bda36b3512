"""The states of one call, how much each counts, and what a look at one of them takes."""

from dataclasses import dataclass

from torch import Tensor

from lightning_neuro.safe_mutation.budget import Footprint, footprint
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.samples import Samples, filled, row_weights, samples_of


@dataclass(frozen=True)
class Measured:
    """Checked states.

    Attributes:
        samples: the states.
        weights: how much every output row counts, `(P, steps, B)`.
        footprint: of one parent at one sample.
    """

    samples: Samples
    weights: Tensor
    footprint: Footprint


def measured(
    owner: str,
    policy: BatchedPolicy,
    params: Tensor,
    states: Tensor,
    valid: Tensor | None,
    *,
    mean: bool = True,
    gradient: bool = True,
) -> Measured:
    """Check the states of P parents.

    Args:
        owner: who asks; opens the messages.
        policy: the population's one module.
        params: `(P, d)`.
        states: shared or one archive each.
        valid: bool `(P, B')`, which output rows count; None: all.
        mean: whether the weights of a parent add up to 1, or are 1 each.
        gradient: whether outputs without gradient are refused.

    Raises:
        TypeError: states or valid are of the wrong type.
        ValueError: their shapes do not fit, a parent has no valid state, or a gradient is wanted and there is none.
    """
    samples = samples_of(owner, policy, params, states)
    taken = footprint(owner, policy, params, samples, gradient=gradient)
    weights = row_weights(owner, valid, len(params), samples.count, taken.steps, params, mean=mean)
    return Measured(filled(samples, weights), weights, taken)
