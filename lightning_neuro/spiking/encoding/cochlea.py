"""Lyon's passive ear: sound to the firing probability of auditory nerve channels."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.signal import lfilter, sosfilt
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.spiking.encoding.ear_filters import FRONT_STAGES, EarFilters, design_ear
from lightning_neuro.spiking.encoding.gain_control import gain_control_
from lightning_neuro.spiking.encoding.inputs import real_tensor

# Clips are heard in groups whose inner signals, channels x samples of float64, stay within this many bytes.
MEMORY = 1 << 25


def cochleagram(
    sound: Tensor,
    ear: EarFilters,
    *,
    decimation: int = 200,
    gain_control: bool = True,
    difference: bool = True,
    smoothing: float = 3.0,
    frame_gaps: bool = False,
) -> Tensor:
    """Hear sounds of one length.

    The sound runs down the cascade of `ear`; each section's output is rectified, adapted by the automatic gain control,
    taken from that of its upper neighbour and rectified again, smoothed by two equal poles and given every
    `decimation`-th sample. The two front sections take part as neighbours and are left out at the end.

    Args:
        sound: `(L,)` or `(B, L)`, about -1..1.
        ear: the filters, from `design_ear`.
        decimation: D, samples per frame; 1 gives every sample unsmoothed.
        gain_control: adapt.
        difference: subtract neighbours, which sharpens the channels.
        smoothing: time constant of the poles in frames.
        frame_gaps: hear nothing in the front sections at the first sample of each frame, as the `lyon` package does.

    Returns:
        Frames `(F, C)` or `(F, B, C)` with F = L // D, float32 for float32 sound and float64 otherwise, on the CPU.

    Raises:
        TypeError: `sound` is not a floating-point tensor.
        ValueError: `sound` is not finite or of another shape, or an option is out of range.

    With `frame_gaps` as in the `lyon` package 1.0.0, to 1e-11 of the largest value. The gaps are an artefact of its
    working frame by frame; at 200 samples per frame they change at most 1 % of the largest value.
    Source: M. Slaney, Lyon's cochlear model, Apple technical report 13, 1988.

    >>> click = torch.zeros(1000, dtype=torch.float64)
    >>> click[0] = 1
    >>> frames = cochleagram(click, design_ear(12500))
    >>> tuple(frames.shape), round(1e6 * frames.max().item(), 2)
    ((5, 78), 54.13)
    """
    owner = "cochleagram"
    sound = real_tensor(owner, "sound", sound, least_dims=1, shape="(L,) or (B, L)")
    if sound.dim() > 2:
        raise ValueError(f"{owner}: sound must have shape (L,) or (B, L), got {tuple(sound.shape)}.")
    checks.integer(owner, "decimation", decimation, at_least=1)
    checks.number(owner, "smoothing", smoothing, above=0)
    clips = sound.detach().double().cpu().reshape(-1, sound.shape[-1]).numpy()
    group = max(1, MEMORY // (8 * len(ear.sections) * max(clips.shape[1], 1)))
    frames = np.empty((len(clips), clips.shape[1] // decimation, len(ear.center_frequencies)))
    for start in range(0, len(clips), group):
        activity = _cascade(clips[start : start + group], ear)
        if frame_gaps:
            activity[:, ::decimation, :FRONT_STAGES] = 0
        if gain_control:
            gain_control_(activity, ear.sample_rate)
        frames[start : start + group] = _decimated(_channels(activity, difference), decimation, smoothing)
    result = torch.from_numpy(frames).transpose(0, 1).to(sound.dtype if sound.dtype == torch.float32 else torch.float64)
    return result[:, 0] if sound.dim() == 1 else result


def _cascade(clips: np.ndarray, ear: EarFilters) -> np.ndarray:
    """Rectified output of every section: `(B, L)` to `(B, L, 2 + C)`."""
    activity = np.empty((*clips.shape, len(ear.sections)))
    for place, section in enumerate(ear.sections):
        clips = sosfilt(section[None], clips)
        np.maximum(clips, 0, out=activity[..., place])
    return activity


def _channels(activity: np.ndarray, difference: bool) -> np.ndarray:
    if difference:
        return np.maximum(activity[..., FRONT_STAGES - 1 : -1] - activity[..., FRONT_STAGES:], 0)
    return activity[..., FRONT_STAGES:]


def _decimated(nerve: np.ndarray, decimation: int, smoothing: float) -> np.ndarray:
    if decimation == 1:
        return nerve
    pole = np.exp(-1 / (decimation * smoothing))
    poles = [1, -2 * pole, pole**2]
    return lfilter([0, 0, (1 - pole) ** 2], poles, nerve, axis=1)[:, decimation - 1 :: decimation]


class LyonEar(nn.Module):
    """`cochleagram` as a module that also takes clips of different lengths.

    Args:
        sample_rate: of the sound, in Hz. At 12.5 kHz there are 78 channels.
        decimation: samples per frame.
        quality: as for `design_ear`.
        step: as for `design_ear`.
        gain_control: as for `cochleagram`.
        difference: as for `cochleagram`.
        smoothing: as for `cochleagram`.
        frame_gaps: as for `cochleagram`.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range.

    >>> ear = LyonEar()
    >>> ear.num_channels, [len(frames) for frames in ear.hear([torch.zeros(2500), torch.zeros(1000)])]
    (78, [12, 5])
    """

    def __init__(
        self,
        sample_rate: float = 12500.0,
        *,
        decimation: int = 200,
        quality: float = 8.0,
        step: float | None = None,
        gain_control: bool = True,
        difference: bool = True,
        smoothing: float = 3.0,
        frame_gaps: bool = False,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.ear = design_ear(sample_rate, quality=quality, step=step)
        self.decimation = checks.integer(owner, "decimation", decimation, at_least=1)
        self.smoothing = checks.number(owner, "smoothing", smoothing, above=0)
        self.gain_control = gain_control
        self.difference = difference
        self.frame_gaps = frame_gaps

    @property
    def num_channels(self) -> int:
        """Channels C."""
        return len(self.ear.center_frequencies)

    def forward(self, sound: Tensor) -> Tensor:
        """Hear sounds of one length.

        Args:
            sound: `(L,)` or `(B, L)`.

        Returns:
            Frames `(F, C)` or `(F, B, C)`.
        """
        return cochleagram(
            sound,
            self.ear,
            decimation=self.decimation,
            gain_control=self.gain_control,
            difference=self.difference,
            smoothing=self.smoothing,
            frame_gaps=self.frame_gaps,
        )

    def hear(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Hear clips of different lengths together: each as if it were alone.

        Args:
            clips: sounds `(L_b,)`.

        Returns:
            Frames `(F_b, C)` of each clip.

        Raises:
            TypeError: a clip is not a floating-point tensor.
            ValueError: a clip is not one-dimensional.
        """
        for clip in clips:
            if real_tensor(type(self).__name__, "each clip", clip, least_dims=1, shape="(L,)").dim() != 1:
                raise ValueError(f"LyonEar: each clip must have shape (L,), got {tuple(clip.shape)}.")
        if not clips:
            return []
        # The ear is causal: the silence that fills a clip up changes none of its own frames.
        together = self(nn.utils.rnn.pad_sequence(list(clips), batch_first=True))
        return [together[: len(clip) // self.decimation, b] for b, clip in enumerate(clips)]
