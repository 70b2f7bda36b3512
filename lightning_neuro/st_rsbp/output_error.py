"""From output counts and targets to the error that the backward pass starts from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_neuro.st_rsbp.loss import LossOnCounts, TeacherForcing

OWNER = "SpikingNetwork"


@dataclass(frozen=True)
class OutputError:
    """Loss of a batch and its derivative.

    Args:
        loss: mean over the batch, weighted.
        delta: derivative of the mean loss to the counts `(B, K)`.
        intervals: steps between forced spikes of target neurons `(B, K)`, 0 for others; None to force none.
        forced: silent target neurons that will be made to fire.
    """

    loss: Tensor
    delta: Tensor
    intervals: Tensor | None
    forced: Tensor


@torch.no_grad()
def output_error(
    loss: LossOnCounts, counts: Tensor, targets: Tensor, sample_weight: Tensor | None, steps: int
) -> OutputError:
    """Return the error of output counts `(B, K)` of a simulation of so many steps.

    Raises:
        TypeError, ValueError: targets, weights or a loss that do not fit the batch.
    """
    _check_targets(counts, targets, steps)
    targets = targets.to(counts.device)
    samples, delta = _loss(loss, counts, targets)
    weight = _weight(sample_weight, counts)
    intervals = _intervals(loss, counts, targets, steps)
    forced = counts.new_zeros(()) if intervals is None else ((intervals > 0) & (counts == 0)).sum()
    delta = delta.to(counts.dtype) * weight[:, None] / len(counts)
    return OutputError((samples * weight).mean(), delta, intervals, forced)


def _check_targets(counts: Tensor, targets: Tensor, steps: int) -> None:
    if not isinstance(targets, Tensor):
        raise TypeError(f"{OWNER}: targets must be a tensor, got {type(targets).__name__}.")
    batch = len(counts)
    if targets.ndim == 0 or len(targets) != batch:
        shape = tuple(targets.shape)
        hint = ""
        if targets.ndim and len(targets) == steps:
            hint = (
                f" The spikes had {steps} steps and a batch of {batch}: if they were batch-first, bring time first "
                "with spikes.transpose(0, 1)."
            )
        raise ValueError(f"{OWNER}: targets must hold one entry for each of {batch} samples, got shape {shape}.{hint}")


def _loss(loss: LossOnCounts, counts: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    if not callable(loss):
        raise TypeError(
            f"{OWNER}: loss must be a CountLoss or a function of counts and targets, got {type(loss).__name__}."
        )
    # A loss of one's own may differentiate itself.
    with torch.enable_grad():
        found: object = loss(counts, targets)
    wanted = (
        f"{OWNER}: loss must return the loss of each sample {tuple(counts.shape[:1])} and its derivative to the counts "
        f"{tuple(counts.shape)}"
    )
    if not isinstance(found, tuple | list) or len(found) != 2 or not all(isinstance(each, Tensor) for each in found):
        told = f"{len(found)} values" if isinstance(found, tuple | list) else type(found).__name__
        raise TypeError(f"{wanted}, two tensors, got {told}.")
    samples, delta = (each.detach() for each in found)
    if samples.shape != counts.shape[:1] or delta.shape != counts.shape:
        raise ValueError(f"{wanted}, got shapes {tuple(samples.shape)} and {tuple(delta.shape)}.")
    for what, values in (("losses", samples), ("derivatives", delta)):
        if not values.isfinite().all():
            raise ValueError(f"{OWNER}: loss returned {what} that are NaN or infinite. Counts are finite: look there.")
    return samples, delta


def _intervals(loss: LossOnCounts, counts: Tensor, targets: Tensor, steps: int) -> Tensor | None:
    intervals = loss.intervals(counts, targets, steps) if isinstance(loss, TeacherForcing) else None
    if intervals is not None and (intervals.shape != counts.shape or intervals.is_floating_point()):
        raise ValueError(
            f"{OWNER}: intervals of the loss must be integers {tuple(counts.shape)}, got {intervals.dtype} of shape "
            f"{tuple(intervals.shape)}."
        )
    return intervals


def _weight(given: Tensor | None, counts: Tensor) -> Tensor:
    if given is None:
        return torch.ones_like(counts[:, 0])
    if not isinstance(given, Tensor):
        raise TypeError(f"{OWNER}: sample_weight must be a tensor, got {type(given).__name__}.")
    weight = given.to(counts)
    if weight.shape != counts.shape[:1] or not (weight.isfinite() & (weight >= 0)).all():
        raise ValueError(
            f"{OWNER}: sample_weight must be {tuple(counts.shape[:1])}, finite and at least 0, "
            f"got shape {tuple(given.shape)}{' with values outside' if weight.shape == counts.shape[:1] else ''}."
        )
    return weight
