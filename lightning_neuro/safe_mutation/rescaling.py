"""SM-R: a step along the noise, as long as a wanted change of the outputs allows.

`child = theta + a u`, `u = n / |n|`, with the scale a found such that `D(a) = mean_bk (f(theta + a u) - f(theta))^2`
meets a target.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.budget import DEFAULT_BYTES
from lightning_neuro.safe_mutation.divergence import Divergence
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.population_checks import check_genomes, check_population

FIRST_SCALE = 1e-4
DOUBLINGS = 20
BISECTIONS = 12


@dataclass(frozen=True)
class LineSearch:
    """Where the search of each parent has ended.

    Attributes:
        children: `(P, d)`.
        scale: a, `(P,)`.
        divergence: D(a), `(P,)`; never above the target.
        capped: `(P,)` bool, no scale in reach comes close to the target: even the largest changes too little (saturated
            outputs), or even the smallest too much.
    """

    children: Tensor
    scale: Tensor
    divergence: Tensor
    capped: Tensor


def rescale(
    policy: nn.Module | BatchedPolicy,
    params: Tensor,
    noise: Tensor,
    states: Tensor,
    target: float,
    *,
    valid: Tensor | None = None,
    max_bytes: int = DEFAULT_BYTES,
) -> Tensor:
    """Return children `theta + a u` of all parents, their divergence as near below the target as the search finds.

    Args:
        policy: a module, or a `BatchedPolicy` that also says which outputs count.
        params: `(P, d)`, finite.
        noise: `(P, d)`; only its direction counts. A parent without noise stays.
        states: shared or one archive each.
        target: wanted mean squared change of the outputs, at least 0; 0 returns the parents.
        valid: bool `(P, B')`, which output rows count; None: all.
        max_bytes: about how much memory to work in; the result does not depend on it.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: shapes do not fit, or a number is out of range.

    Differs from the authors' code, which minimises `(D(a) - target)^2` without bracket and may return any scale where
    outputs saturate.

    >>> line, states = nn.Linear(1, 1), torch.tensor([[1.0]])
    >>> child = rescale(line, torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, 4.0]]), states, target=1.96)
    >>> [round(weight, 3) for weight in child[0].tolist()]
    [2.6, 0.8]
    """
    return line_search(policy, params, noise, states, target, valid=valid, max_bytes=max_bytes).children


def line_search(
    policy: nn.Module | BatchedPolicy,
    params: Tensor,
    noise: Tensor,
    states: Tensor,
    target: float,
    *,
    valid: Tensor | None = None,
    max_bytes: int = DEFAULT_BYTES,
    owner: str = "rescale",
) -> LineSearch:
    """Return what `rescale` does, with scales, divergences and who was capped; arguments as there."""
    batched = BatchedPolicy.of(policy)
    check_population(owner, batched, params)
    check_genomes(owner, "noise", noise, like=params)
    target = checks.number(owner, "target", target, at_least=0)
    measure = Divergence(
        owner, batched, params, states, valid, checks.integer(owner, "max_bytes", max_bytes, at_least=1)
    )
    parents, direction = params.detach(), _unit(noise.detach())
    still = (direction == 0).all(1)

    def children(scale: Tensor) -> Tensor:
        kept = (scale == 0) | still
        return torch.where(kept.unsqueeze(1), parents, parents + scale.unsqueeze(1) * direction)

    def divergence(scale: Tensor) -> Tensor:
        return measure.of(children(scale))

    scale, capped = _largest_allowed(divergence, target, params.new_full((len(params),), FIRST_SCALE))
    found = children(scale)
    return LineSearch(found, scale, measure.of(found), capped & (target > 0))


def _largest_allowed(divergence: Callable[[Tensor], Tensor], target: float, first: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each parent about the largest scale of divergence at most `target`, and who has no bracket."""
    if target == 0:
        return torch.zeros_like(first), torch.zeros_like(first, dtype=torch.bool)
    low, high, bracketed = _bracket(divergence, target, first)
    for _ in range(BISECTIONS):
        middle = (low * high).sqrt()
        below = divergence(middle) <= target  # False where it is NaN
        low = torch.where(bracketed & below, middle, low)
        high = torch.where(bracketed & ~below, middle, high)
    return low, ~bracketed


def _bracket(divergence: Callable[[Tensor], Tensor], target: float, first: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Double the scale while the divergence allows it, or halve it until it does.

    Returns:
        A scale that is allowed (0 if even the smallest is not), twice it, and whether that is not allowed.
    """
    up = divergence(first) <= target
    low, high = torch.where(up, first, 0), first.clone()
    searching = torch.ones_like(up)
    for _ in range(DOUBLINGS):
        trial = torch.where(up, high * 2, high / 2)
        below = divergence(torch.where(searching, trial, low)) <= target
        low = torch.where(searching & below, trial, low)
        high = torch.where(searching, trial, high)
        searching &= below == up
        if not bool(searching.any()):
            break
    return low, torch.where(up, high, low * 2), ~searching


def _unit(noise: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(noise, dim=1, keepdim=True)
    return torch.where(length > 0, noise / length, 0)
