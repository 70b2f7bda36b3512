"""What an activation did to a set of gradients, as numbers to log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from lightning_neuro.gradient_activation.activation import Activation
from lightning_neuro.gradient_activation.storage import stored

SATURATED_BEYOND = 3.0


def activation_metrics(before: Sequence[Tensor], after: Sequence[Tensor], beta: float) -> dict[str, Tensor]:
    """Return how gradients changed, taken over all elements of all tensors, as scalars on their device.

    `fraction_enlarged` of the elements grew; for `fraction_saturated`, `|beta * g| > 3`: there atan has lost nine
    tenths of its slope; `norm_before` and `norm_after` are Euclidean; `cosine` is that of the angle between the two.

    Args:
        before: gradients, any shapes.
        after: the same, activated.
        beta: the input scale of the function.

    >>> values = activation_metrics([torch.tensor([0.01, 1.0])], [torch.tensor([0.02, 0.15])], beta=20.0)
    >>> values["fraction_enlarged"].item(), values["fraction_saturated"].item(), round(values["cosine"].item(), 4)
    (0.5, 0.5, 0.9925)
    """
    g = torch.cat([_flat(tensor) for tensor in before])
    a = torch.cat([_flat(tensor) for tensor in after])
    norm_before, norm_after = g.norm(), a.norm()
    tiny = torch.finfo(g.dtype).tiny
    return {
        "fraction_enlarged": (a.abs() > g.abs()).float().mean(),
        "fraction_saturated": ((beta * g).abs() > SATURATED_BEYOND).float().mean(),
        "norm_before": norm_before,
        "norm_after": norm_after,
        "cosine": g.dot(a) / (norm_before * norm_after).clamp_min(tiny),
    }


@contextmanager
def measure(gradients: Sequence[Tensor], activation: Activation) -> Iterator[dict[str, Tensor]]:
    """Copy the gradients, let the body activate them, and fill the dictionary that it was given with the metrics."""
    values: dict[str, Tensor] = {}
    before = [_flat(gradient).clone() for gradient in gradients]
    yield values
    if before:
        values.update(activation_metrics(before, gradients, activation.beta))


def _flat(tensor: Tensor) -> Tensor:
    return stored(tensor).detach().flatten().float()
