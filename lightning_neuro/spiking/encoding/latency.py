"""Intensities to the time of one spike."""

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.spiking.encoding.inputs import unit_interval


class LatencyEncoder(nn.Module):
    r"""One spike per input, the earlier the stronger: $t = t_0 + \mathrm{round}\big((1 - x)\,(T - 1 - t_0)\big)$.

    An input of 1 fires at the first step $t_0$, a weak one at the last step T - 1, and one of at most `threshold` (0 by
    default) stays silent. Halves are rounded to the even step.

    Args:
        num_steps: steps T.
        first_step: the earliest step $t_0$; step 0 of an ST-RSBP layer only decays.
        threshold: inputs up to this one are silent.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range.

    >>> spikes = LatencyEncoder(11)(torch.tensor([[1.0, 0.5, 0.01, 0.0]]))
    >>> [column.nonzero().flatten().tolist() for column in spikes[:, 0].T]
    [[1], [5], [10], []]
    """

    def __init__(self, num_steps: int, *, first_step: int = 1, threshold: float = 0.0) -> None:
        super().__init__()
        owner = type(self).__name__
        self.num_steps = checks.integer(owner, "num_steps", num_steps, at_least=1)
        self.first_step = checks.integer(owner, "first_step", first_step, at_least=0, at_most=self.num_steps - 1)
        self.threshold = checks.number(owner, "threshold", threshold, at_least=0, below=1)

    def forward(self, x: Tensor) -> Tensor:
        """Place the spikes.

        Args:
            x: intensities `(B, ...)` between 0 and 1.

        Returns:
            Spikes `(T, B, ...)`, boolean.

        Raises:
            TypeError: `x` is not a floating-point tensor.
            ValueError: `x` leaves 0..1.
        """
        x = unit_interval(type(self).__name__, "x", x)
        times = self.first_step + ((1 - x) * (self.num_steps - 1 - self.first_step)).round().long()
        spikes = torch.zeros((self.num_steps, *x.shape), dtype=torch.bool, device=x.device)
        return spikes.scatter_(0, times[None], (x > self.threshold)[None])

    def extra_repr(self) -> str:
        """Options, for `print(encoder)`."""
        return f"{self.num_steps}, first_step={self.first_step}, threshold={self.threshold:g}"
