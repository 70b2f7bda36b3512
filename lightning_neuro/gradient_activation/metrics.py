"""What an activation did to a set of gradients, as numbers to log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lightning_neuro.gradient_activation import in_place
from lightning_neuro.gradient_activation.activation import Activation
from lightning_neuro.gradient_activation.functional import ActivationFunction
from lightning_neuro.gradient_activation.storage import stored

SATURATED_BEYOND = 3.0


def saturated(gradient: Tensor, function: ActivationFunction, alpha: float, beta: float) -> Tensor:
    """Tell which elements lie on the flat part of G, where `|beta * g| > 3`; there atan has a tenth of its slope left.

    For `"atan_adaptive"` the input is scaled by the tensor's largest element; `"identity"` has no flat part.

    >>> saturated(torch.tensor([0.1, 0.2]), "atan", alpha=0.1, beta=20.0)
    tensor([False,  True])
    """
    if function == "identity":
        return torch.zeros_like(gradient, dtype=torch.bool)
    if function == "atan_adaptive" and gradient.numel():
        scale = in_place.adaptive_scale(gradient.abs().amax(), alpha)
        return (alpha * beta / scale * gradient).abs() > SATURATED_BEYOND
    return (beta * gradient).abs() > SATURATED_BEYOND


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
        saturated(stored(gradient), *activation.for_group(group)).flatten()
        for group, members in groups
        for gradient in members
    ]
    yield values
    values.update(activation_metrics(before, _flat(gradients), torch.cat(flags)))


def _flat(gradients: Sequence[Tensor]) -> Tensor:
    return torch.cat([stored(gradient).detach().flatten().float() for gradient in gradients])
