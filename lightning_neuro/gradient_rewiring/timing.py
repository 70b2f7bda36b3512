"""When things happen in a training: steps from fractions, ramps and warm-ups."""

import math
from collections.abc import Callable
from functools import partial

from lightning_neuro._lightning import Callback, Trainer
from lightning_neuro.common import checks

UNKNOWN_LENGTH_RAMP = 1000


def checked_freeze(owner: str, value: int | float | None) -> int | float | None:
    """Return `freeze_after` if it is a fraction, a number of steps or None.

    Raises:
        TypeError, ValueError: it is something else or out of range.
    """
    if value is None:
        return None
    if isinstance(value, float):
        return checks.number(owner, "freeze_after as a fraction", value, above=0, at_most=1)
    return checks.integer(owner, "freeze_after", value, at_least=0)


def checked_schedule(
    owner: str, warmup_steps: int, schedule: Callable[[int], float] | None
) -> Callable[[int], float] | None:
    """Return the factor of alpha as a function of the step, from either of two arguments.

    Raises:
        TypeError, ValueError: both are given, or one is of the wrong kind.
    """
    warmup_steps = checks.integer(owner, "warmup_steps", warmup_steps, at_least=0)
    if warmup_steps and schedule is not None:
        raise ValueError(f"{owner}: warmup_steps and schedule say the same thing in two ways. Give one of the two.")
    if schedule is not None and not callable(schedule):
        raise TypeError(f"{owner}: schedule must be a function of the optimizer step, got {schedule!r}.")
    return partial(_warmed_up, warmup_steps) if warmup_steps else schedule


def _warmed_up(warmup_steps: int, step: int) -> float:
    return min(1.0, step / warmup_steps)


def freezing_step(owner: str, trainer: Trainer, freeze_after: int | float | None) -> int | None:
    """Return the optimizer step after which to freeze.

    Raises:
        ValueError: a fraction of a training without end.
    """
    if freeze_after is None or isinstance(freeze_after, int):
        return freeze_after
    steps = trainer.estimated_stepping_batches
    if not math.isfinite(steps) or steps <= 0:
        raise ValueError(
            f"{owner}: freeze_after as a fraction needs a training of known length, got {freeze_after} of a training "
            "without end. Give it in optimizer steps, or set max_epochs or max_steps."
        )
    return max(1, round(freeze_after * steps))


def default_ramp(trainer: Trainer, freeze: int | None) -> int:
    """Return half of the training in optimizer steps, or less where connections are frozen before."""
    steps = trainer.estimated_stepping_batches
    half = int(steps) // 2 if math.isfinite(steps) and steps > 0 else UNKNOWN_LENGTH_RAMP
    return half if freeze is None else min(half, freeze)


def ends_with_this_batch(trainer: Trainer) -> bool:
    """Tell, after a batch, whether the training has had its last, as far as can be known."""
    if trainer.max_steps > 0 and trainer.global_step >= trainer.max_steps:
        return True
    epochs = trainer.max_epochs
    last = trainer.should_stop or (epochs is not None and 0 < epochs <= trainer.current_epoch + 1)
    return bool(last and trainer.is_last_batch)


def average_is_in_place(trainer: Trainer) -> bool:
    """Tell whether stochastic weight averaging has put its average into the module, for an epoch that counts norms."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return any(getattr(each, "swa_end", None) == trainer.current_epoch - 1 for each in callbacks)
