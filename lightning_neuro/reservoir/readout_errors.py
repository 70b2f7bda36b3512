"""How well readouts do: errors and accuracies of several candidates at once, as a torchmetrics metric."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class ReadoutErrors(Metric):
    """Loss, and normalised error or accuracy, of R readouts over all rows and processes, in double precision.

        nrmse = sqrt(sum |y - o|^2 / sum |y - mean(y)|^2)

    Args:
        outputs: O.
        candidates: R.
        labels: whether targets are classes.

    >>> errors = ReadoutErrors(1)
    >>> errors.update(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[1.0], [4.0]]))
    >>> {name: round(value.item(), 4) for name, value in errors.compute().items()}
    {'loss': 2.0, 'nrmse': 0.9428}
    """

    is_differentiable = False
    full_state_update = False
    count: Tensor
    losses: Tensor
    right: Tensor
    targets: Tensor
    squares: Tensor

    def __init__(self, outputs: int, candidates: int = 1, *, labels: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels = labels
        shapes = {"count": (), "losses": (candidates,), "right": (candidates,), "targets": (outputs,), "squares": ()}
        for name, shape in shapes.items():
            self.add_state(name, torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, y: Tensor, losses: Tensor | None = None) -> None:
        """Count rows.

        Args:
            outputs: `(R, n, O)`.
            y: numbers `(n, O)`, or labels `(n,)`.
            losses: mean loss of each candidate over these rows, `(R,)`; the mean squared error where left out, for
                labels against rows of ones and zeros.
        """
        if len(y) == 0:
            return
        found = outputs.detach().double()
        wanted = torch.nn.functional.one_hot(y.long(), found.shape[-1]).double() if self.labels else y.double()
        given = (found - wanted).square().mean((1, 2)) if losses is None else losses.detach().double()
        self.losses += len(y) * given
        self.count += len(y)
        if self.labels:
            self.right += (found.argmax(-1) == y).sum(-1)
        else:
            self.targets += wanted.sum(0)
            self.squares += wanted.square().sum()

    def compute(self) -> dict[str, Tensor]:
        """Return "loss", and "accuracy" or else "nrmse", each `(R,)`, or `()` if R is 1; NaN where nothing counts."""
        loss = self.losses / self.count
        if self.labels:
            return {"loss": loss, "accuracy": self.right / self.count}
        variation = (self.squares - self.targets.square().sum() / self.count).clamp(min=0)
        return {"loss": loss, "nrmse": (self.losses * len(self.targets) / variation).sqrt()}
