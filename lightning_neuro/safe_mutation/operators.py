"""Mutation operators: parents in, children out, with a report.

Each is a frozen set of options and is called as `operator(policy, params, states, magnitude, generator)`; none needs
Lightning. What the magnitude means differs between them:

| name | operator | magnitude |
|---|---|---|
| gaussian | GaussianMutation | standard deviation of each weight's step |
| sm_r | SafeMutationRescale | mean squared change of the outputs |
| sm_g_sum, sm_g_abs | SafeMutationSum, SafeMutationAbs | change of the output that each weight's step makes, about |
| sm_g_so | SafeMutationSecondOrder | standard deviation times the root of a second-order sensitivity |
"""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.budget import DEFAULT_BYTES
from lightning_neuro.safe_mutation.divergence import Divergence
from lightning_neuro.safe_mutation.mutation import (
    Normalize,
    Steps,
    ZeroRule,
    check_scaling,
    draw_noise,
    moved,
    scaled_steps,
)
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.population_checks import check_population
from lightning_neuro.safe_mutation.rescaling import line_search
from lightning_neuro.safe_mutation.sensitivity import REDUCTIONS, Reduction, sm_g_abs, sm_g_so, sm_g_sum


@dataclass(frozen=True)
class Mutation:
    """What an operator has made.

    Attributes:
        children: `(P, d)`, one of each parent.
        report: `(P,)` each, as they apply. "divergence": mean squared change of the outputs on the states;
            "step_l2": length of the step; "zero_fraction", "floored_fraction", "clipped_fraction": of the weights,
            those whose sensitivity is 0, is raised to the floor, whose step is cut; "unmeasured_fraction": those
            whose sensitivity is not finite, and which stay; "capped" (bool): the line search found no scale.
    """

    children: Tensor
    report: dict[str, Tensor]


class MutationOperator(Protocol):
    """What makes children of parents."""

    @property
    def needs_states(self) -> bool:
        """Whether `states` may not be None."""

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
        """Return one child of each row of `params (P, d)`.

        Args:
            policy: what the genomes are weights of.
            params: the parents.
            states: what the outputs are compared on, shared or one archive each.
            magnitude: at least 0; 0 returns the parents, bit by bit.
            generator: noise is drawn from it as one block `(P, d)`.
            valid: bool `(P, B')`, which output rows count; None: all.
        """


@dataclass(frozen=True)
class GaussianMutation:
    """The control: every weight moves by normal noise of one size. With states it reports the divergence as well.

    >>> from lightning_neuro.safe_mutation.operators import GaussianMutation
    >>> parents = torch.zeros(250, 8)
    >>> made = GaussianMutation()(nn.Linear(3, 2), parents, None, 0.01, torch.Generator().manual_seed(0))
    >>> round(made.children.std().item(), 3)
    0.01
    """

    max_bytes: int = DEFAULT_BYTES

    @property
    def needs_states(self) -> bool:
        """False."""
        return False

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
        """Return children `parent + magnitude * n`; see `MutationOperator`."""
        task = _Mutating(self, policy, params, states, magnitude, valid)
        return task.finished(moved(params, task.magnitude * draw_noise(params, generator)))


@dataclass(frozen=True)
class _Scaled(ABC):
    """Noise divided by a sensitivity; the subclass says which."""

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
        task = _Mutating(self, policy, params, states, magnitude, valid)
        noise = draw_noise(params, generator)
        made, report = self.steps(task.policy, params, task.states, task.magnitude, noise, valid)
        return task.finished(moved(params, made.steps), **report)

    def steps(
        self,
        policy: BatchedPolicy,
        params: Tensor,
        states: Tensor,
        magnitude: float,
        noise: Tensor,
        valid: Tensor | None,
    ) -> tuple[Steps, dict[str, Tensor]]:
        """Return the steps of all weights, and what is to be reported of them."""
        raw = self.sensitivity(policy, params, states, noise, valid)
        measured = raw.isfinite()
        sensitivity = torch.where(measured, raw, torch.inf)  # a weight whose effect cannot be told does not move
        made = scaled_steps(magnitude * noise, sensitivity, self.floor, self.zero, self.clip, self.normalize)
        report = {name: getattr(made, name) for name in ("zero_fraction", "floored_fraction", "clipped_fraction")}
        return made, report | {"unmeasured_fraction": (~measured).to(params.dtype).mean(1)}


@dataclass(frozen=True)
class SafeMutationSum(_Scaled):
    """SM-G-SUM: noise divided by the gradient summed over states (`sensitivity.sm_g_sum`).

    Args:
        floor: smallest sensitivity divided by.
        zero: what a sensitivity of exactly 0 stands for: "unit" (the authors'), "floor" or "freeze".
        clip: largest size of a weight's step. The authors use 10 in their illustrations and 0.2 in the maze.
        normalize: None (the authors'), "std" or "max"; see `mutation.scaled`.
        reduction: "mean" over states, or "reference", their sum.
        max_bytes: about how much memory to work in.
    """

    def sensitivity(
        self, policy: BatchedPolicy, params: Tensor, states: Tensor, noise: Tensor, valid: Tensor | None
    ) -> Tensor:
        """Return how much the outputs depend on each weight, `(P, d)`."""
        return sm_g_sum(policy, params, states, reduction=self.reduction, valid=valid, max_bytes=self.max_bytes)


@dataclass(frozen=True)
class SafeMutationAbs(_Scaled):
    """SM-G-ABS: noise divided by the mean magnitude of the gradient (`sensitivity.sm_g_abs`); options of the others."""

    def sensitivity(
        self, policy: BatchedPolicy, params: Tensor, states: Tensor, noise: Tensor, valid: Tensor | None
    ) -> Tensor:
        """Return how much the outputs depend on each weight, `(P, d)`."""
        return sm_g_abs(policy, params, states, reduction=self.reduction, valid=valid, max_bytes=self.max_bytes)


@dataclass(frozen=True)
class SafeMutationSecondOrder(_Scaled):
    """SM-G-SO: noise divided by the curvature along it (`sensitivity.sm_g_so`); options as of `SafeMutationSum`."""

    def sensitivity(
        self, policy: BatchedPolicy, params: Tensor, states: Tensor, noise: Tensor, valid: Tensor | None
    ) -> Tensor:
        """Return how much the outputs depend on each weight along the noise, `(P, d)`."""
        return sm_g_so(
            policy,
            params,
            states,
            direction=noise,
            reduction=self.reduction,
            valid=valid,
            max_bytes=self.max_bytes,
        )


@dataclass(frozen=True)
class SafeMutationRescale:
    """SM-R: the whole step scaled until the outputs change by the magnitude, in the mean square (`rescaling.rescale`).

    Args:
        along: ours: an SM-G operator whose steps give the direction in place of plain noise.
        max_bytes: about how much memory to work in.

    >>> made = SafeMutationRescale()(
    ...     nn.Linear(3, 2), torch.zeros(2, 8), torch.ones(1, 3), 0.01, torch.Generator().manual_seed(0))
    >>> [round(divergence, 4) for divergence in made.report["divergence"].tolist()]
    [0.01, 0.01]
    """

    along: SafeMutationSum | SafeMutationAbs | SafeMutationSecondOrder | None = None
    max_bytes: int = DEFAULT_BYTES

    def __post_init__(self) -> None:
        if self.along is not None and not isinstance(self.along, _Scaled):
            raise TypeError(
                "SafeMutationRescale: along must be None, SafeMutationSum, SafeMutationAbs or SafeMutationSecondOrder, "
                f"got {self.along!r}."
            )
        checks.integer("SafeMutationRescale", "max_bytes", self.max_bytes, at_least=1)

    @property
    def needs_states(self) -> bool:
        """True."""
        return True

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
        """Return children whose divergence is the magnitude, or less; see `MutationOperator`."""
        task = _Mutating(self, policy, params, states, magnitude, valid, measure=False)
        steps = draw_noise(params, generator)
        report: dict[str, Tensor] = {}
        if self.along is not None:
            made, report = self.along.steps(task.policy, params, task.states, 1.0, steps, valid)
            steps = made.steps
        found = line_search(
            task.policy,
            params,
            steps,
            task.states,
            task.magnitude,
            valid=valid,
            max_bytes=self.max_bytes,
            owner=task.owner,
        )
        return task.finished(found.children, **report, divergence=found.divergence, capped=found.capped)


OPERATORS: dict[str, type[Any]] = {
    "gaussian": GaussianMutation,
    "sm_r": SafeMutationRescale,
    "sm_g_sum": SafeMutationSum,
    "sm_g_abs": SafeMutationAbs,
    "sm_g_so": SafeMutationSecondOrder,
}


def operator_named(name: str, **options: Any) -> MutationOperator:
    """Return an operator by name.

    Args:
        name: "gaussian", "sm_r", "sm_g_sum", "sm_g_abs" or "sm_g_so".
        options: of that operator.

    Raises:
        ValueError: no such name, or an option out of range.
        TypeError: the operator has no such option.

    >>> operator_named("sm_g_sum", clip=0.2)
    SafeMutationSum(floor=0.01, zero='unit', clip=0.2, normalize=None, reduction='mean', max_bytes=268435456)
    """
    kind = OPERATORS[checks.choice("operator_named", "name", name, OPERATORS)]
    known = [field.name for field in dataclasses.fields(kind)]
    for option in options:
        if option not in known:
            raise TypeError(f"operator_named: {name!r} has no option {option!r}; it has {', '.join(known)}.")
    made: MutationOperator = kind(**options)
    return made


class _Mutating:
    """One call of an operator: its checked arguments, and the report that all have in common."""

    def __init__(
        self,
        operator: MutationOperator,
        policy: nn.Module | BatchedPolicy,
        params: Tensor,
        states: Tensor | None,
        magnitude: float,
        valid: Tensor | None,
        *,
        measure: bool = True,
    ) -> None:
        self.owner = type(operator).__name__
        self.policy = BatchedPolicy.of(policy)
        check_population(self.owner, self.policy, params)
        self.magnitude = checks.number(self.owner, "magnitude", magnitude, at_least=0)
        if states is None and operator.needs_states:
            raise ValueError(
                f"{self.owner}: states are needed, got None. Record some from the environment, or use GaussianMutation."
            )
        self._params, self._states = params, states
        max_bytes: int = operator.max_bytes  # type: ignore[attr-defined]
        self._measure = None
        if states is not None and measure:
            self._measure = Divergence(self.owner, self.policy, params, states, valid, max_bytes)

    @property
    def states(self) -> Tensor:
        if self._states is None:
            raise ValueError(f"{self.owner}: states are needed, got None.")
        return self._states

    def finished(self, children: Tensor, **report: Tensor) -> Mutation:
        if self._measure is not None:
            report["divergence"] = self._measure.of(children)
        report["step_l2"] = torch.linalg.vector_norm(children - self._params, dim=1)
        return Mutation(children, report)
