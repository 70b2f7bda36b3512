"""The loss on spike counts: each output neuron is asked for a count, within a margin."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from lightning_neuro.common import checks

OWNER = "CountLoss"


class LossOnCounts(Protocol):
    """Any loss on output counts."""

    def __call__(self, counts: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each sample (B,) and its derivative to the counts (B, K)."""


@runtime_checkable
class TeacherForcing(Protocol):
    """A loss that makes silent output neurons fire during the backward pass."""

    def intervals(self, counts: Tensor, targets: Tensor, steps: int) -> Tensor | None:
        """Return the steps between forced spikes of target neurons (B, K), 0 for others, or None to force none."""


@runtime_checkable
class WantsCounts(Protocol):
    """A loss that asks each output neuron for a count."""

    def wanted(self, counts: Tensor, targets: Tensor) -> Tensor | None:
        """Return the wanted counts (B, K), or None if it asks for none after all."""


@dataclass(frozen=True)
class CountLoss:
    """Squared error of spike counts, without the errors inside the margin.

    `L = sum_i d_i^2` over the neurons with `|d_i| > margin`, d_i = counts_i - wanted_i, and delta_i = d_i there. As in
    the authors' code, delta is the derivative of L / 2.

    Args:
        desired_count: spikes wanted of the target's neuron.
        undesired_count: spikes wanted of all others, at most `desired_count`.
        margin: errors up to this many spikes cost nothing and give no gradient.
        teacher_forcing: let a silent target neuron learn as if it had fired regularly at the desired count; without
            spikes it has no potential and so no gradient.

    Raises:
        TypeError, ValueError: a number is of the wrong kind or outside its range.

    >>> loss, delta = CountLoss(desired_count=35, undesired_count=5, margin=5)(
    ...     torch.tensor([[25.0, 10.0, 11.0]]), torch.tensor([0])
    ... )
    >>> loss.tolist(), delta.tolist()
    ([136.0], [[-10.0, 0.0, 6.0]])
    """

    desired_count: float = 35
    undesired_count: float = 5
    margin: float = 5
    teacher_forcing: bool = True

    def __post_init__(self) -> None:
        checks.number(OWNER, "desired_count", self.desired_count, above=0)
        checks.number(OWNER, "undesired_count", self.undesired_count, at_least=0, at_most=self.desired_count)
        checks.number(OWNER, "margin", self.margin, at_least=0)
        checks.flag(OWNER, "teacher_forcing", self.teacher_forcing)

    def __call__(self, counts: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss (B,) and delta (B, K).

        Args:
            counts: output spike counts (B, K).
            targets: classes (B,) of an integer type, or the wanted counts (B, K) themselves.

        Raises:
            TypeError, ValueError: targets that are neither.
        """
        difference = counts - self.wanted(counts, targets)
        delta = difference * (difference.abs() > self.margin)
        return delta.square().sum(1), delta

    def wanted(self, counts: Tensor, targets: Tensor) -> Tensor:
        """Return the wanted counts (B, K) of targets.

        >>> CountLoss().wanted(torch.zeros(1, 3), torch.tensor([1])).tolist()
        [[5.0, 35.0, 5.0]]
        """
        if targets.ndim == 2:
            return _wanted_counts(counts, targets)
        check_classes(OWNER, targets, *counts.shape)
        wanted = torch.full_like(counts, self.undesired_count)
        return wanted.scatter_(1, targets.long()[:, None], self.desired_count)

    def intervals(self, counts: Tensor, targets: Tensor, steps: int) -> Tensor | None:
        """Return floor(T / wanted count) for neurons wanted above the undesired count, else 0; None if switched off.

        >>> CountLoss().intervals(torch.zeros(1, 3), torch.tensor([1]), steps=400).tolist()
        [[0, 11, 0]]
        """
        if not self.teacher_forcing:
            return None
        wanted = self.wanted(counts, targets)
        # At T itself nothing fires: one spike comes at the last step.
        interval = (steps / wanted.clamp_min(1)).floor().long().clamp(1, max(1, steps - 1))
        return interval * (wanted > self.undesired_count)


def forced(spikes: Tensor, intervals: Tensor) -> Tensor:
    """Return spikes (T, B, K) in which neurons with an interval (B, K) above 0 fire at its multiples instead.

    >>> forced(torch.zeros(400, 1, 2, dtype=torch.bool), torch.tensor([[11, 0]])).sum(0).tolist()
    [[36, 0]]
    """
    times = torch.arange(len(spikes), device=spikes.device)[:, None, None]
    regular = (times % intervals.clamp_min(1) == 0) & (times > 0)
    return torch.where(intervals > 0, regular, spikes)


def check_classes(owner: str, targets: Tensor, batch: int, classes: int) -> None:
    """Raise unless `targets` are `batch` class indices below `classes`.

    Raises:
        TypeError, ValueError: what is wrong, and what to do.
    """
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise TypeError(
            f"{owner}: targets must be class indices of an integer type, or wanted counts (B, K), "
            f"got {targets.dtype} of shape {tuple(targets.shape)}. Convert classes with .long()."
        )
    if targets.shape != (batch,):
        raise ValueError(
            f"{owner}: targets must be ({batch},), one class per sample, got shape {tuple(targets.shape)}. Spikes go "
            "time first, (T, B, ...): bring those with the batch first there by spikes.transpose(0, 1)."
        )
    low, high = torch.aminmax(targets)
    if low < 0 or high >= classes:
        raise ValueError(
            f"{owner}: targets must be from 0 to {classes - 1} for {classes} output neurons, "
            f"got {low.item()} to {high.item()}."
        )


def _wanted_counts(counts: Tensor, targets: Tensor) -> Tensor:
    if targets.shape != counts.shape:
        raise ValueError(f"{OWNER}: wanted counts must be {tuple(counts.shape)}, got shape {tuple(targets.shape)}.")
    if not targets.is_floating_point() and targets.shape[1] > 1 and _are_one_hot(targets):
        raise ValueError(
            f"{OWNER}: targets {tuple(targets.shape)} are the wanted counts, and these look like one-hot classes. "
            "Give classes (B,), such as targets.argmax(1), or floats if 0 and 1 spikes are meant."
        )
    wanted = targets.to(counts.dtype)
    if not (torch.isfinite(wanted) & (wanted >= 0)).all():
        raise ValueError(f"{OWNER}: wanted counts must be finite and at least 0; check the targets.")
    return wanted


def _are_one_hot(targets: Tensor) -> bool:
    return bool(((targets == 0) | (targets == 1)).all() and (targets != 0).sum(1).eq(1).all())
