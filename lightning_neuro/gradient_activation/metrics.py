"""What an activation did to a set of gradients, as numbers to log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lightning_neuro.gradient_activation import functional
from lightning_neuro.gradient_activation.activation import Activation
from lightning_neuro.gradient_activation.storage import stored


def activation_metrics(before: Tensor, after: Tensor, saturated: Tensor) -> dict[str, Tensor]:
    """Return how gradients changed, over all elements, as scalars on their device.

    `fraction_enlarged` of the elements grew; `fraction_saturated` lie where G is flat; `norm_before` and `norm_after`
    are Euclidean; `cosine` is that of the angle between the two.

    Args:
        before: gradients, flat.
        after: the same, activated.
        saturated: which elements lie on the flat part of their function.

    >>> before, after = torch.tensor([0.01, 1.0]), torch.tensor([0.02, 0.15])
    >>> values = activation_metrics(before, after, torch.tensor([False, True]))
    >>> values["fraction_enlarged"].item(), values["fraction_saturated"].item(), round(values["cosine"].item(), 4)
    (0.5, 0.5, 0.9925)
    """
    norm_before, norm_after = before.norm(), after.norm()
    return {
        "fraction_enlarged": (after.abs() > before.abs()).float().mean(),
        "fraction_saturated": saturated.float().mean(),
        "norm_before": norm_before,
        "norm_after": norm_after,
        "cosine": before.dot(after) / (norm_before * norm_after).clamp_min(torch.finfo(before.dtype).tiny),
    }


@contextmanager
def measure(
    groups: Sequence[tuple[dict[str, Any], list[Tensor]]], activation: Activation
) -> Iterator[dict[str, Tensor]]:
    """Look at the gradients, let the body activate them, and fill the dictionary that it was given with the metrics."""
    values: dict[str, Tensor] = {}
    gradients = [gradient for _, members in groups for gradient in members]
    if not gradients:
        yield values
        return
    before = _flat(gradients)
    flags = [
        functional.saturated(stored(gradient), *activation.for_group(group)).flatten()
        for group, members in groups
        for gradient in members
    ]
    yield values
    values.update(activation_metrics(before, _flat(gradients), torch.cat(flags)))


def _flat(gradients: Sequence[Tensor]) -> Tensor:
    return torch.cat([stored(gradient).detach().flatten().float() for gradient in gradients])
