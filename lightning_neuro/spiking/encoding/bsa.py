"""Ben's Spiker Algorithm: spikes whose sum of kernels is the signal."""

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.spiking.encoding.inputs import real_tensor

TAPS = 24
THRESHOLD = 0.6


def bsa_kernel(taps: int = TAPS, *, dtype: torch.dtype = torch.float64) -> Tensor:
    r"""Gaussian kernel of the ST-RSBP speech experiments: $h_i \propto e^{-(i - n/2)^2/25}$ with sum 1.

    Args:
        taps: length n.
        dtype: of the result.

    Returns:
        Kernel `(n,)`.

    >>> kernel = bsa_kernel()
    >>> len(kernel), int(kernel.argmax()), round(kernel.max().item(), 4)
    (24, 12, 0.1129)
    """
    checks.integer("bsa_kernel", "taps", taps, at_least=1)
    kernel = torch.exp(-((torch.arange(taps, dtype=torch.float64) - taps // 2) ** 2) / 25)
    return (kernel / kernel.sum()).to(dtype)


def bsa_encode(signal: Tensor, kernel: Tensor | None = None, *, threshold: float = THRESHOLD, delay: int = 1) -> Tensor:
    r"""Find spikes whose convolution with `kernel` follows `signal`.

    At each step t in turn, with the rest $r$ (at first the signal), a spike is set if taking the kernel away brings
    the window nearer to zero by more than the threshold,
    $\sum_i |r[t+i] - h_i| < \sum_i |r[t+i]| - \theta$, and then $r[t+i] \leftarrow r[t+i] - h_i$. Near the end the
    window is cut off with the signal. With a kernel of sum 1, one spike per step stands for a signal of 1. The
    published threshold of 0.6 follows the shape and overshoots by about a fifth; 0.9 follows the value.

    Args:
        signal: series `(T, ...)`, time first; what is negative cannot be told by spikes.
        kernel: `(n,)`; None means `bsa_kernel()`.
        threshold: $\theta$.
        delay: steps from t to the spike; those that would fall behind the end are lost.

    Returns:
        Spikes of the shape of `signal`, boolean.

    Raises:
        TypeError: `signal` is not a floating-point tensor.
        ValueError: `signal` is not finite, or an option is out of range.

    As in the ST-RSBP speech experiments. Source: Schrauwen and Van Campenhout, BSA, a fast and accurate spike train
    encoding scheme, IJCNN 2003.

    >>> bsa_encode(torch.full((200,), 0.5)).sum().item()
    112
    """
    owner = "bsa_encode"
    signal = real_tensor(owner, "signal", signal, least_dims=1, shape="(T, ...)")
    checks.number(owner, "threshold", threshold, at_least=0)
    checks.integer(owner, "delay", delay, at_least=0)
    column = _column(owner, kernel, signal)
    rest, steps = signal.detach().clone(), len(signal)
    spikes = torch.zeros(signal.shape, dtype=torch.bool, device=signal.device)
    for t in range(steps - delay):
        window = rest[t : t + len(column)]
        cut = column[: len(window)]
        less = window - cut
        fired = less.abs().sum(0) < window.abs().sum(0) - threshold
        window.sub_(cut * fired)
        spikes[t + delay] = fired
    return spikes


def bsa_decode(spikes: Tensor, kernel: Tensor | None = None, *, delay: int = 1) -> Tensor:
    r"""Signal that spikes stand for: $\hat x[t] = \sum_i h_i\, s[t - i + d]$.

    Args:
        spikes: `(T, ...)`, time first, boolean or 0 and 1.
        kernel: `(n,)`; None means `bsa_kernel()`.
        delay: d, as it was for `bsa_encode`.

    Returns:
        Signal of the shape of `spikes`, in the kernel's type (float32 without a kernel).

    Raises:
        TypeError: `kernel` is not a floating-point tensor.
        ValueError: `kernel` is not `(n,)`, or `delay` is negative.

    >>> spikes = bsa_encode(torch.full((400,), 0.8), threshold=0.9)
    >>> round(bsa_decode(spikes)[50:350].mean().item(), 3)
    0.8
    """
    owner = "bsa_decode"
    checks.integer(owner, "delay", delay, at_least=0)
    like = torch.zeros((), device=spikes.device, dtype=torch.float32 if kernel is None else kernel.dtype)
    taps = _column(owner, kernel, like).flatten()
    signal = like.expand(spikes.shape).clone()
    for i, tap in enumerate(taps[: len(spikes) + delay]):
        source = spikes[max(delay - i, 0) : len(spikes) + min(delay - i, 0)]
        start = max(i - delay, 0)
        signal[start : start + len(source)] += tap * source
    return signal


class BSAEncoder(nn.Module):
    """`bsa_encode` as a module.

    Args:
        kernel: `(n,)`; None means `bsa_kernel()`.
        threshold: as for `bsa_encode`.
        delay: as for `bsa_encode`.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range.

    >>> BSAEncoder()(torch.full((200, 2, 3), 0.5)).sum(0).tolist()
    [[112, 112, 112], [112, 112, 112]]
    """

    kernel: Tensor

    def __init__(self, kernel: Tensor | None = None, *, threshold: float = THRESHOLD, delay: int = 1) -> None:
        super().__init__()
        owner = type(self).__name__
        self.register_buffer("kernel", _column(owner, kernel, torch.zeros((), dtype=torch.float64)).flatten())
        self.threshold = checks.number(owner, "threshold", threshold, at_least=0)
        self.delay = checks.integer(owner, "delay", delay, at_least=0)

    def forward(self, signal: Tensor) -> Tensor:
        """Encode.

        Args:
            signal: series `(T, ...)`, time first.

        Returns:
            Spikes of the shape of `signal`, boolean.
        """
        return bsa_encode(signal, self.kernel, threshold=self.threshold, delay=self.delay)

    def extra_repr(self) -> str:
        """Options, for `print(encoder)`."""
        return f"{len(self.kernel)} taps, threshold={self.threshold:g}, delay={self.delay}"


def _column(owner: str, kernel: Tensor | None, signal: Tensor) -> Tensor:
    """The kernel `(n, 1, ...)` in the signal's type and on its device."""
    if kernel is None:
        kernel = bsa_kernel()
    kernel = real_tensor(owner, "kernel", kernel, least_dims=1, shape="(n,)")
    if kernel.dim() != 1 or len(kernel) == 0:
        raise ValueError(f"{owner}: kernel must have shape (n,) with n at least 1, got {tuple(kernel.shape)}.")
    return kernel.to(signal).reshape(-1, *[1] * (signal.dim() - 1))
