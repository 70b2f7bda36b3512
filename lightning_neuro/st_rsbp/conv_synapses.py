"""Connections of convolution and pooling layers."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional, grad

from lightning_neuro.st_rsbp import kernels
from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.kernels import Backend
from lightning_neuro.st_rsbp.simulate import Neuron, chunk_elements


@dataclass(frozen=True)
class ConvSynapses:
    """Connections that share weights over positions; pooling is a convolution of each channel by itself.

    Args:
        weight: `(O, C / groups, k, k)`.
        neuron: constants of the next layer.
        input_shape: (C, H, W).
        stride: of the windows.
        padding: with silent neurons, on each side.
        groups: channels are split into this many independent groups.
        backend: see `kernels`.
    """

    weight: Tensor
    neuron: Neuron
    input_shape: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    groups: int = 1
    backend: Backend = "auto"

    def drive(self, counts: Tensor) -> Tensor:
        """See `Synapses`."""
        return functional.conv2d(counts, self.weight, None, self.stride, self.padding, groups=self.groups)

    def pull(self, gains: Tensor) -> Tensor:
        """See `Synapses`."""
        return grad.conv2d_input(
            (len(gains), *self.input_shape), self.weight, gains, self.stride, self.padding, groups=self.groups
        )

    def current(self, spikes: Tensor) -> Tensor:
        """Return what spikes bool `(T, B, C, H, W)` deliver one step later, `(T, B, O, H', W')`."""
        steps, batch = spikes.shape[:2]
        arriving: Tensor | None = None
        for some in _pieces(spikes[:-1]):
            delivered = self.drive(spikes[:-1][some].flatten(0, 1).to(self.weight.dtype)).unflatten(0, (-1, batch))
            if arriving is None:
                arriving = delivered.new_zeros(steps, *delivered.shape[1:])
            arriving[some.start + 1 : some.stop + 1] = delivered
        if arriving is None:
            raise ValueError("ConvSynapses: spikes must have at least 2 steps, got 1.")
        return arriving

    def pull_potential(self, post: Activity, gains: Tensor, pre: Activity) -> Tensor:
        """See `Synapses`."""
        weighed, traces = self._weighed(post, gains), pre.trace(self.neuron)
        total = torch.zeros_like(traces[0])
        for some in _pieces(traces):
            total += self.pull(weighed[some].flatten(0, 1)).view_as(traces[some]).mul_(traces[some]).sum(0)
        return total

    def weight_gradient(self, post: Activity, gains: Tensor, pre: Activity) -> Tensor:
        """See `Synapses`."""
        weighed, traces = self._weighed(post, gains), pre.trace(self.neuron)
        total = torch.zeros_like(self.weight)
        for some in _pieces(traces):
            total += grad.conv2d_weight(
                traces[some].flatten(0, 1),
                list(self.weight.shape),
                weighed[some].flatten(0, 1),
                self.stride,
                self.padding,
                groups=self.groups,
            )
        return total

    def _weighed(self, post: Activity, gains: Tensor) -> Tensor:
        found = kernels.weighed(post.spikes.flatten(2), gains.flatten(1), self.neuron, backend=self.backend)
        return found.view(post.spikes.shape)


def _pieces(tensor: Tensor) -> Iterator[slice]:
    """Yield runs of time steps that bound what one convolution holds."""
    size = max(1, chunk_elements(tensor.device) // max(1, tensor[:1].numel()))
    for start in range(0, len(tensor), size):
        yield slice(start, min(start + size, len(tensor)))
