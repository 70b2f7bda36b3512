"""From batches of a data loader to the rows that a readout learns from."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

IGNORED_LABEL = -100
Pooling = Literal["none", "last", "mean"]
Unpacked: TypeAlias = tuple[Tensor, Tensor, Tensor | None]
Unpack: TypeAlias = Callable[[Any], Unpacked]


def unpack_batch(batch: Any) -> Unpacked:
    """Return inputs `(B, T, K)`, targets and lengths `(B,)` or None.

    Args:
        batch: `(x, y)` or `(x, y, lengths)` with x `(B, T, K)`; or `(padded, y)`, where `padded` has
            `.values (T, B, K)` and `.lengths (B,)`, as data modules of this package give series of unlike lengths.

    Raises:
        TypeError: the batch has another form.

    >>> x, y, lengths = unpack_batch((torch.zeros(2, 5, 3), torch.zeros(2, 5, 1)))
    >>> x.shape, lengths is None
    (torch.Size([2, 5, 3]), True)
    """
    if isinstance(batch, Sequence) and len(batch) in (2, 3) and isinstance(batch[1], Tensor):
        x, y = batch[:2]
        if isinstance(x, Tensor) and x.ndim == 3:
            return x, y, batch[2] if len(batch) == 3 else None
        values, lengths = getattr(x, "values", None), getattr(x, "lengths", None)
        if isinstance(values, Tensor) and isinstance(lengths, Tensor):
            return values.transpose(0, 1), y, lengths
    raise TypeError(
        "ReservoirModule: expected batches (x (B, T, K), y) or (x, y, lengths (B,)), got "
        f"{type(batch).__name__}. Give `unpack`, a function that makes this of a batch."
    )


def counted_steps(x: Tensor, lengths: Tensor | None, washout: int) -> Tensor:
    """Return `(B, T)`: which steps of series `(B, T, K)` are neither padding nor washout.

    >>> counted_steps(torch.zeros(2, 4, 1), torch.tensor([2, 4]), 1).int().tolist()
    [[0, 1, 0, 0], [0, 1, 1, 1]]
    """
    steps = torch.arange(x.shape[1], device=x.device)
    ends = torch.full((len(x),), x.shape[1], device=x.device) if lengths is None else lengths.to(x.device)
    return (steps >= washout) & (steps < ends[:, None])


def pooled(features: Tensor, counted: Tensor, how: Pooling) -> Tensor:
    """Return one row per series, `(B, F)`: features of its last counted step, or their mean over all such steps.

    Args:
        features: `(B, T, F)`; what is not counted may be anything.
        counted: `(B, T)`.
        how: "last" or "mean".

    Raises:
        ValueError: a series has no step that counts.

    >>> pooled(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]]), "mean").item()
    2.0
    """
    numbers = counted.sum(1)
    if bool((numbers == 0).any()):
        row = int((numbers == 0).nonzero()[0])
        raise ValueError(
            f"ReservoirModule: every series must outlast the washout, got series {row} of a batch that does not. "
            "Lower washout, or leave the series out."
        )
    if how == "mean":
        return features.masked_fill(~counted[..., None], 0).sum(1) / numbers[:, None]
    last = counted.shape[1] - 1 - counted.flip(1).int().argmax(1)
    return features[torch.arange(len(features), device=features.device), last]


def known_targets(y: Tensor, rows: torch.Size, outputs: int, *, labels: bool) -> Tensor:
    """Return which targets count, in the shape of `rows`: numbers without NaN, labels other than -100.

    Args:
        y: numbers `(*rows, O)`, or whole numbers `(*rows,)` for labels.
        rows: `(B, T)`, or `(B,)`.
        outputs: O.
        labels: which of the two is expected.

    Raises:
        ValueError: another shape or type, or a label that is not 0 to O - 1.

    >>> known_targets(torch.tensor([1, -100]), torch.Size([2]), 2, labels=True).tolist()
    [True, False]
    """
    wanted = (*rows,) if labels else (*rows, outputs)
    if tuple(y.shape) != wanted or (labels and y.is_floating_point()):
        kind = "labels" if labels else "targets"
        raise ValueError(
            f"ReservoirModule: expected {kind} {wanted}{' in whole numbers' if labels else ''}, got shape "
            f"{tuple(y.shape)} of {y.dtype}. One row for each {'step' if len(rows) == 2 else 'series'} follows from "
            "`pooling`; give one column as y[..., None]."
        )
    if not labels:
        return y.isfinite().all(-1)
    known = y != IGNORED_LABEL
    if bool((known & ((y < 0) | (y >= outputs))).any()):
        raise ValueError(
            f"ReservoirModule: labels must be 0 to {outputs - 1}, or {IGNORED_LABEL} for none, got {int(y.min())} to "
            f"{int(y.max())}."
        )
    return known
