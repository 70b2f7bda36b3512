"""Spike trains given by users: is this what the network can take?"""

import torch
from torch import Tensor


def as_spikes(owner: str, spikes: object) -> Tensor:
    """Return spikes `(T, B, ...)` as bool.

    Args:
        owner: who asks; opens the message.
        spikes: bool, or zeros and ones of any real type.

    Raises:
        TypeError: no tensor, or complex numbers.
        ValueError: a wrong rank, an empty batch, fewer than 2 steps, or something else than 0 and 1.

    >>> as_spikes("SpikingNetwork", torch.ones(2, 1, 1)).dtype
    torch.bool
    >>> as_spikes("SpikingNetwork", torch.full((2, 1, 1), 0.3))
    Traceback (most recent call last):
    ValueError: SpikingNetwork: spikes must hold only 0 and 1, got 0.3. Encode rates or currents as spikes first.
    """
    if not isinstance(spikes, Tensor):
        raise TypeError(f"{owner}: spikes must be a tensor, got {type(spikes).__name__}.")
    if spikes.is_complex():
        raise TypeError(f"{owner}: spikes must be bool, or zeros and ones of a real type, got {spikes.dtype}.")
    _check_shape(owner, spikes)
    if spikes.dtype == torch.bool:
        return spikes
    binary = spikes != 0
    odd = spikes[binary & (spikes != 1)]
    if odd.numel():
        value = odd[0].item()
        what = (
            "Something before the network makes NaN." if value != value else "Encode rates or currents as spikes first."
        )
        raise ValueError(f"{owner}: spikes must hold only 0 and 1, got {value:g}. {what}")
    return binary


def _check_shape(owner: str, spikes: Tensor) -> None:
    shape = tuple(spikes.shape)
    if spikes.ndim < 3:
        raise ValueError(
            f"{owner}: spikes must be time-first (T, B, neurons) or (T, B, C, H, W), got shape {shape}. "
            "Add the missing dimension with unsqueeze."
        )
    if shape[1] == 0:
        raise ValueError(f"{owner}: spikes must hold at least one sample, got shape {shape}, an empty batch.")
    if shape[0] < 2:
        raise ValueError(
            f"{owner}: spikes must have at least 2 steps, since a spike arrives one step later, got shape {shape}. "
            "The first dimension is time."
        )


def layout_hint(shape: tuple[int, ...], neurons: int) -> str:
    """Return what to do where the number of input neurons stands in another dimension than the last, else "".

    >>> layout_hint((32, 78, 300), 78)
    'Dimension 1 has 78 entries: if that is the neurons, bring it last and time first, (T, B, 78).'
    """
    places = [str(place) for place in range(len(shape) - 1) if shape[place] == neurons]
    if not places:
        return ""
    where = f"Dimension {places[-1]} has {neurons} entries"
    return f"{where}: if that is the neurons, bring it last and time first, (T, B, {neurons})."
