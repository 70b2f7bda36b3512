"""Boosting where several processes see a part of the samples each."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lightning_neuro.st_rsbp.boosting import Boosting


def share_record_(boosting: Boosting, largest: Callable[[Tensor], Tensor], device: torch.device) -> None:
    """Let every process know what the others have seen in this epoch.

    Args:
        boosting: of this process.
        largest: takes an integer tensor and returns the largest of all processes, element by element.
        device: where `largest` works.

    >>> boosting = Boosting(2)
    >>> other = torch.tensor([-1, 1])  # what the other process knows of targets, and then of right answers
    >>> share_record_(boosting, lambda mine: torch.maximum(mine, other), torch.device("cpu"))
    >>> boosting.state_dict()["targets"].tolist(), boosting.state_dict()["correct"].tolist()
    ([-1, 1], [False, True])
    """
    state: dict[str, Any] = boosting.state_dict()
    for name in ("targets", "correct"):
        mine = state[name].long().to(device, copy=True)
        state[name] = largest(mine).to(state[name])
    boosting.load_state_dict(state)
