"""The loss on counts that a module's hooks make up."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lightning_neuro.st_rsbp.loss import CountLoss


@dataclass(frozen=True)
class HookedLoss:
    """Loss of one hook and wanted counts of another, with the teacher forcing of a `CountLoss`.

    Args:
        loss_on_counts: returns the loss of each sample and its derivative.
        target_counts: returns the wanted counts.
        count_loss: says whether silent targets are made to fire.
        own_loss: whether a user has replaced the first hook.
        own_targets: whether a user has replaced the second.

    >>> import torch
    >>> plain = CountLoss(10, 1, 1)
    >>> HookedLoss(plain, plain.wanted, plain).intervals(torch.zeros(1, 2), torch.tensor([1]), 50).tolist()
    [[0, 5]]
    """

    loss_on_counts: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    target_counts: Callable[[Tensor, Tensor], Tensor]
    count_loss: CountLoss
    own_loss: bool = False
    own_targets: bool = False

    @property
    def desired_count(self) -> float:
        """Spikes wanted of the target's neuron, unless a hook has another mind."""
        return self.count_loss.desired_count

    def __call__(self, counts: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each sample (B,) and its derivative to the counts (B, K)."""
        return self.loss_on_counts(counts, targets)

    def wanted(self, counts: Tensor, targets: Tensor) -> Tensor | None:
        """Return the wanted counts (B, K), or None where a user's own loss may want something else."""
        return None if self.own_loss else self.target_counts(counts, targets)

    def intervals(self, counts: Tensor, targets: Tensor, steps: int) -> Tensor | None:
        """Return the steps between forced spikes of target neurons (B, K), or None to force none."""
        if not self.count_loss.teacher_forcing:
            return None
        if self.own_loss and not self.own_targets:
            try:
                wanted = self.target_counts(counts, targets)
            except (TypeError, ValueError):
                return None  # the user's loss has read them, and they are neither classes nor wanted counts
        else:
            wanted = self.target_counts(counts, targets)
        return self.count_loss.intervals(counts, wanted, steps)
