"""A mutation magnitude from the change of the outputs that one wants: ours, not the paper's."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.operators import MutationOperator, operator_named
from lightning_neuro.safe_mutation.population import BatchedPolicy

TRIES = 60
LARGEST, SMALLEST = 1e6, 1e-12


def find_magnitude(
    policy: nn.Module | BatchedPolicy,
    params: Tensor,
    states: Tensor,
    operator: str | MutationOperator = "sm_g_sum",
    *,
    target_divergence: float = 0.01,
    seed: int = 0,
    valid: Tensor | None = None,
    tolerance: float = 0.01,
) -> float:
    """Return the magnitude at which the median child's divergence on the states is the target.

    The divergence of a child is that of SM-R and of every operator's report, the mean over states and outputs of the
    squared change. All tries use the same noise. It grows with the square of a small magnitude, so each try leads
    close to the next; where that fails, the bracket is bisected.

    Args:
        policy: a module, or a `BatchedPolicy` that also says which outputs count.
        params: parents, `(P, d)`: a typical population, for instance the initial one.
        states: shared or one archive each.
        operator: a name or an operator with options.
        target_divergence: wanted median, in squared units of the output, greater than 0. The default is a root mean
            square change of 0.1.
        seed: of the noise.
        valid: bool `(P, B')`, which output rows count; None: all.
        tolerance: relative, of the divergence.

    Raises:
        ValueError: no magnitude reaches the target: the outputs saturate, do not depend on the weights that move, or
            jump past it.

    >>> policy, parents = nn.Linear(1, 1), torch.zeros(1001, 2)
    >>> round(find_magnitude(policy, parents, torch.ones(1, 1), "gaussian"), 1)
    0.1
    """
    target = checks.number("find_magnitude", "target_divergence", target_divergence, above=0)
    tolerance = checks.number("find_magnitude", "tolerance", tolerance, above=0)
    seed = checks.integer("find_magnitude", "seed", seed)
    batched = BatchedPolicy.of(policy)
    chosen = operator_named(operator) if isinstance(operator, str) else operator

    def median(magnitude: float) -> float:
        generator = torch.Generator().manual_seed(seed)
        made = chosen(batched, params, states, magnitude, generator, valid=valid)
        return made.report["divergence"].double().quantile(0.5).item()

    return _root(median, target, tolerance)


def _root(median: Callable[[float], float], target: float, tolerance: float) -> float:
    low, high, magnitude, largest = 0.0, math.inf, 1e-3, 0.0
    for _ in range(TRIES):
        found = median(magnitude)
        if abs(found - target) <= tolerance * target:
            return magnitude
        if found < target:
            low, largest = magnitude, max(largest, found)
        else:
            high = magnitude  # NaN too: broken outputs are too far
        if low > LARGEST or high < SMALLEST or high / max(low, SMALLEST) < 1 + 1e-6:
            break
        magnitude = _next(low, high, magnitude, found / target)
    raise ValueError(_no_root(low, high, target, largest))


def _next(low: float, high: float, magnitude: float, excess: float) -> float:
    """Follow the law of small steps, divergence ~ magnitude^2, as long as it stays well inside the bracket."""
    factor = excess**-0.5 if 0 < excess < math.inf else (100.0 if excess == 0 else 0.01)
    if high == math.inf:
        return magnitude * min(max(factor, 2.0), 100.0)
    if low == 0.0:
        return magnitude * min(max(factor, 0.01), 0.5)
    proposal = magnitude * factor
    ratio = high / low
    return proposal if low * ratio**0.1 < proposal < high / ratio**0.1 else low * ratio**0.5


def _no_root(low: float, high: float, target: float, largest: float) -> str:
    if high == math.inf or low > LARGEST:
        reason = (
            f"even magnitude {low:g} changes them by {largest:g} only: they saturate (softmax, sigmoid, tanh), or do "
            "not depend on the weights that move. Lower target_divergence, or look at logits instead"
        )
    else:
        reason = f"they jump past it near magnitude {high:g}. Use more states or parents, or another target_divergence"
    return f"find_magnitude: no magnitude gives a median divergence of {target:g} of the outputs: {reason}."
