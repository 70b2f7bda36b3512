"""Series to spikes that tell of change."""

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.spiking.encoding.inputs import real_tensor


class DeltaEncoder(nn.Module):
    r"""Send on delta: a spike whenever the series has left the level last told by `threshold`.

    Each channel keeps a level, at first $l[0] = x[0]$. A step fires the channel's "on" spike if
    $x[t] - l[t-1] \ge \theta$ and its "off" spike if $x[t] - l[t-1] \le -\theta$, and the level moves by $\pm\theta$.
    So $x[0] + \theta\sum(\mathrm{on} - \mathrm{off})$ follows the series to within $\theta$ as long as it changes by
    no more than $\theta$ per step.

    Args:
        threshold: $\theta$, in the series' unit.

    Raises:
        TypeError: `threshold` is no number.
        ValueError: `threshold` is not above 0.

    >>> on, off = DeltaEncoder(0.5)(torch.tensor([0.0, 0.6, 0.4, 0.0]).reshape(4, 1, 1)).int().flatten(1).T.tolist()
    >>> on, off
    ([0, 1, 0, 0], [0, 0, 0, 1])
    """

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = checks.number(type(self).__name__, "threshold", threshold, above=0)

    def forward(self, x: Tensor) -> Tensor:
        """Fire at changes.

        Args:
            x: series `(T, B, ..., M)`, time first.

        Returns:
            Spikes `(T, B, ..., 2M)`, boolean: the "on" channels, then the "off" channels. Step 0 is silent.

        Raises:
            TypeError: `x` is not a floating-point tensor.
            ValueError: `x` has fewer than three dimensions, no steps, or values that are not finite.
        """
        owner = type(self).__name__
        x = real_tensor(owner, "x", x, least_dims=3, shape="(T, B, M)")
        if len(x) == 0:
            raise ValueError(f"{owner}: x must have at least one step, got shape {tuple(x.shape)}.")
        channels = x.shape[-1]
        spikes = torch.zeros((*x.shape[:-1], 2 * channels), dtype=torch.bool, device=x.device)
        level = x[0].clone()
        for value, fired in zip(x, spikes, strict=True):
            change = value - level
            on, off = change >= self.threshold, change <= -self.threshold
            level += self.threshold * (on.to(x.dtype) - off.to(x.dtype))
            fired[..., :channels], fired[..., channels:] = on, off
        return spikes

    def extra_repr(self) -> str:
        """Options, for `print(encoder)`."""
        return f"{self.threshold:g}"
