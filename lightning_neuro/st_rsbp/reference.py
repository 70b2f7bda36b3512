"""The operations of `kernels` in plain torch: on any device, and what the others are tested against."""

import torch
from torch import Tensor

from lightning_neuro.st_rsbp.potential import pairwise, propagated, weighed, weight_gradient
from lightning_neuro.st_rsbp.simulate import Neuron, spikes_from_current, weighted_input
from lightning_neuro.st_rsbp.simulate import trace as input_trace


def dense_forward(
    inputs: Tensor, weight: Tensor, neuron: Neuron, recurrent: Tensor | None, with_trace: bool
) -> tuple[Tensor, Tensor | None]:
    """See `kernels.dense_forward`."""
    return current_forward(weighted_input(inputs, weight), neuron, recurrent, with_trace)


def current_forward(
    current: Tensor, neuron: Neuron, recurrent: Tensor | None, with_trace: bool
) -> tuple[Tensor, Tensor | None]:
    """See `kernels.current_forward`."""
    spikes = spikes_from_current(current, neuron, recurrent)
    return spikes, input_trace(spikes, neuron.tau_m, neuron.tau_s, current.dtype) if with_trace else None


def counts(spikes: Tensor, dtype: torch.dtype) -> Tensor:
    """See `kernels.counts`."""
    return spikes.sum(0, dtype=dtype)


__all__ = [
    "counts",
    "current_forward",
    "dense_forward",
    "input_trace",
    "pairwise",
    "propagated",
    "weighed",
    "weight_gradient",
]
