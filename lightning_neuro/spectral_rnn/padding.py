"""Series of unlike lengths in one tensor: which steps are padding, and how to turn only the others round."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def within(lengths: Tensor, steps: int) -> Tensor:
    """Return `(B, steps)`: whether a step is no padding.

    >>> within(torch.tensor([1, 2]), 2).tolist()
    [[True, False], [True, True]]
    """
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def kept_steps(owner: str, lengths: Tensor | None, x: Tensor) -> Tensor | None:
    """Return `(B, T, 1)` on the device of x `(B, T, D)`: whether a step is no padding; None if all are.

    Raises:
        ValueError: lengths are not one number per series.

    >>> kept_steps("PolynomialRNN", torch.tensor([1]), torch.zeros(1, 2, 3)).ravel().tolist()
    [True, False]
    """
    if lengths is None:
        return None
    if lengths.shape != (len(x),):
        raise ValueError(f"{owner}: lengths must have shape ({len(x)},), one per series, got {tuple(lengths.shape)}.")
    return within(lengths.to(x.device), x.shape[1]).unsqueeze(-1)


def reversed_series(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return series `(B, T, D)` turned round, padding left where it is.

    >>> reversed_series(torch.tensor([[[1.0], [2.0], [0.0]]]), torch.tensor([2])).ravel().tolist()
    [2.0, 1.0, 0.0]
    """
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device).expand(len(x), -1)
    turned = lengths.to(x.device).unsqueeze(1) - 1 - steps
    places = torch.where(turned >= 0, turned, steps)
    return x.gather(1, places.unsqueeze(-1).expand_as(x))


def batched(owner: str, x: Tensor, hidden: Tensor | None, width: int) -> tuple[Tensor, Tensor | None]:
    """Return x `(B, T, D)` and the state `(B, H)` or None, of a batch or of one series.

    Raises:
        TypeError: x is a `PackedSequence`.
        ValueError: x has other than two or three axes, or another width.
    """
    if isinstance(x, PackedSequence):
        raise TypeError(f"{owner}: expected a tensor, got PackedSequence. Give the padded series and `lengths`.")
    if x.ndim not in (2, 3) or x.shape[-1] != width:
        raise ValueError(f"{owner}: expected series (B, T, {width}) or (T, {width}), got shape {tuple(x.shape)}.")
    if x.ndim == 3:
        return x, hidden
    return x.unsqueeze(0), None if hidden is None else hidden.unsqueeze(0)


def without_padding(outputs: Tensor, kept: Tensor | None) -> Tensor:
    """Return outputs `(B, T, D)`, zero where `kept (B, T, 1)` says padding, whatever stood there."""
    return outputs if kept is None else outputs.masked_fill(~kept, 0)


def last_states(states: Tensor, start: Tensor | None, lengths: Tensor | None) -> Tensor:
    """Return the state after the last step of each series, `(B, H)`."""
    begin = states.new_zeros(len(states), states.shape[2]) if start is None else start
    every = torch.cat([begin.unsqueeze(1), states], dim=1)
    if lengths is None:
        return every[:, -1]
    return every[torch.arange(len(states), device=states.device), lengths.to(states.device)]
