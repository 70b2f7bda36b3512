"""SM-G operators: each weight's noise divided by how much the outputs depend on it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.budget import DEFAULT_BYTES
from lightning_neuro.safe_mutation.mutating import Mutating, Mutation
from lightning_neuro.safe_mutation.mutation import Normalize, ZeroRule, check_scaling, draw_noise, moved, scaled_steps
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.sensitivity import REDUCTIONS, Reduction, sm_g_abs, sm_g_so, sm_g_sum


@dataclass(frozen=True)
class ScaledMutation(ABC):
    """Noise divided by a sensitivity; the subclass says which.

    Args:
        floor: smallest sensitivity divided by.
        zero: what a sensitivity of exactly 0 stands for: "unit" (the authors'), "floor" or "freeze".
        clip: largest size of a weight's step. The authors use 10 in their illustrations and 0.2 in the maze.
        normalize: None (the authors'), "std" or "max"; see `mutation.scaled`.
        reduction: "mean" over states, or "reference", which for SM-G-SUM is the authors' sum.
        max_bytes: about how much memory to work in.
    """

    floor: float = 0.01
    zero: ZeroRule = "unit"
    clip: float | None = None
    normalize: Normalize | None = None
    reduction: Reduction = "mean"
    max_bytes: int = DEFAULT_BYTES

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_scaling(owner, self.floor, self.zero, self.clip, self.normalize)
        checks.choice(owner, "reduction", self.reduction, REDUCTIONS)
        checks.integer(owner, "max_bytes", self.max_bytes, at_least=1)

    @property
    def needs_states(self) -> bool:
        """True."""
        return True

    @abstractmethod
    def sensitivity(
        self, policy: BatchedPolicy, params: Tensor, states: Tensor, noise: Tensor, valid: Tensor | None
    ) -> Tensor:
        """Return how much the outputs depend on each weight, `(P, d)`."""

    def __call__(
        self,
        policy: nn.Module | BatchedPolicy,
        params: Tensor,
        states: Tensor | None,
        magnitude: float,
        generator: torch.Generator,
        *,
        valid: Tensor | None = None,
    ) -> Mutation:
        """Return children `parent + clip(magnitude * n / s)`; see `MutationOperator`."""
        task = Mutating(type(self).__name__, policy, params, magnitude)
        given = task.needed(states)
        noise = draw_noise(task.params, generator)
        steps, report = self.steps(task.policy, task.params, given, task.magnitude, noise, valid)
        children = moved(task.params, steps)
        return task.finished(children, **report, divergence=task.divergence(children, given, valid, self.max_bytes))

    def steps(
        self,
        policy: BatchedPolicy,
        params: Tensor,
        states: Tensor,
        magnitude: float,
        noise: Tensor,
        valid: Tensor | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the steps of all weights, and what there is to report of them."""
        raw = self.sensitivity(policy, params, states, noise, valid)
        unmeasured = raw.new_zeros(len(raw))
        if not bool(raw.sum().isfinite()):  # quick proof that there are none
            measured = raw.isfinite()
            unmeasured = (~measured).to(params.dtype).mean(1)
            raw = torch.where(measured, raw, torch.inf)  # a weight whose effect cannot be told does not move
        made = scaled_steps(magnitude * noise, raw, self.floor, self.zero, self.clip, self.normalize)
        return made.steps, {
            "zero_fraction": made.zero_fraction,
            "floored_fraction": made.floored_fraction,
            "clipped_fraction": made.clipped_fraction,
            "unmeasured_fraction": unmeasured,
        }


class SafeMutationSum(ScaledMutation):
    """SM-G-SUM: noise divided by the gradient summed over states, `sensitivity.sm_g_sum`.

    Args:
        floor: smallest divisor, as in `ScaledMutation`; so are the others.
        zero: what a weight without effect is divided by.
        clip: longest step of a weight; None for no limit.
        normalize: None, "std" or "max".
        reduction: "mean" or "reference".
        max_bytes: about how much memory to work in.

    >>> noise = torch.Generator().manual_seed(0)
    >>> made = SafeMutationSum()(nn.Linear(3, 2), torch.zeros(5, 8), torch.ones(4, 3), 0.01, noise)
    >>> made.children.shape
    torch.Size([5, 8])
    """

    def sensitivity(
        self, policy: BatchedPolicy, params: Tensor, states: Tensor, noise: Tensor, valid: Tensor | None
    ) -> Tensor:
        """Return how much the outputs depend on each weight, `(P, d)`."""
        return sm_g_sum(policy, params, states, reduction=self.reduction, valid=valid, max_bytes=self.max_bytes)


class SafeMutationAbs(ScaledMutation):
    """SM-G-ABS: noise divided by the mean magnitude of the gradient, `sensitivity.sm_g_abs`.

    Args:
        floor: smallest divisor, as in `ScaledMutation`; so are the others.
        zero: what a weight without effect is divided by.
        clip: longest step of a weight; None for no limit.
        normalize: None, "std" or "max".
        reduction: "mean" or "reference".
        max_bytes: about how much memory to work in.

    >>> noise = torch.Generator().manual_seed(0)
    >>> made = SafeMutationAbs()(nn.Linear(3, 2), torch.zeros(5, 8), torch.ones(4, 3), 0.01, noise)
    >>> made.children.shape
    torch.Size([5, 8])
    """

    def sensitivity(
        self, policy: BatchedPolicy, params: Tensor, states: Tensor, noise: Tensor, valid: Tensor | None
    ) -> Tensor:
        """Return how much the outputs depend on each weight, `(P, d)`."""
        return sm_g_abs(policy, params, states, reduction=self.reduction, valid=valid, max_bytes=self.max_bytes)


class SafeMutationSecondOrder(ScaledMutation):
    """SM-G-SO: noise divided by the root of the curvature along it, `sensitivity.sm_g_so`.

    Args:
        floor: smallest divisor, as in `ScaledMutation`; so are the others.
        zero: what a weight without effect is divided by.
        clip: longest step of a weight; None for no limit.
        normalize: None, "std" or "max".
        reduction: "mean" or "reference".
        max_bytes: about how much memory to work in.

    >>> noise = torch.Generator().manual_seed(0)
    >>> made = SafeMutationSecondOrder()(nn.Linear(3, 2), torch.zeros(5, 8), torch.ones(4, 3), 0.01, noise)
    >>> made.children.shape
    torch.Size([5, 8])
    """

    def sensitivity(
        self, policy: BatchedPolicy, params: Tensor, states: Tensor, noise: Tensor, valid: Tensor | None
    ) -> Tensor:
        """Return how much the outputs depend on each weight along the noise, `(P, d)`."""
        return sm_g_so(policy, params, states, direction=noise, valid=valid, max_bytes=self.max_bytes)
