"""Sound to spikes as in the speech experiments of ST-RSBP: ear, hold, scale, BSA."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.spiking.encoding.bsa import BSAEncoder
from lightning_neuro.spiking.encoding.cochlea import LyonEar


class SpeechEncoder(nn.Module):
    """Hear with Lyon's ear, hold each frame, scale, and encode by Ben's Spiker Algorithm.

    A clip is cut off, or followed by silence, at T steps; what happens to one clip does not depend on those encoded
    with it. One step stands for `decimation / hold` samples: 1.6 ms by default, so 700 steps are 1.12 s.

    Args:
        num_steps: T.
        hold: steps that each frame lasts.
        gain: factor that brings frames to the range of the spikes' rate.
        ear: the ear; None means `LyonEar()`, 78 channels at 12.5 kHz.
        spiker: the encoder; None means `BSAEncoder()`.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range.

    >>> encoder = SpeechEncoder()
    >>> spikes = encoder([torch.sin(torch.arange(12500) / 3), torch.zeros(5000)])
    >>> tuple(spikes.shape), spikes.any(2).any(0).tolist()
    ((700, 2, 78), [True, False])
    """

    def __init__(
        self,
        *,
        num_steps: int = 700,
        hold: int = 10,
        gain: float = 2000.0,
        ear: LyonEar | None = None,
        spiker: BSAEncoder | None = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.num_steps = checks.integer(owner, "num_steps", num_steps, at_least=1)
        self.hold = checks.integer(owner, "hold", hold, at_least=1)
        self.gain = checks.number(owner, "gain", gain, above=0)
        self.ear = LyonEar() if ear is None else ear
        self.spiker = BSAEncoder() if spiker is None else spiker

    def forward(self, clips: Sequence[Tensor] | Tensor) -> Tensor:
        """Encode clips.

        Args:
            clips: sounds `(L_b,)` of different lengths, or `(B, L)`.

        Returns:
            Spikes `(T, B, C)`, boolean.

        Raises:
            TypeError: a clip is not a floating-point tensor.
            ValueError: a clip is not one-dimensional.
        """
        frames = self.ear.hear(list(clips))
        signal = torch.zeros(self.num_steps, len(frames), self.ear.num_channels, dtype=torch.float64)
        for b, each in enumerate(frames):
            held = each.repeat_interleave(self.hold, dim=0)[: self.num_steps]
            signal[: len(held), b] = self.gain * held
        return self.spiker(signal)

    def extra_repr(self) -> str:
        """Options, for `print(encoder)`."""
        return f"num_steps={self.num_steps}, hold={self.hold}, gain={self.gain:g}"
