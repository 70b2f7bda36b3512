"""Connections between two layers, as the linear maps that the backward pass needs of them."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from lightning_neuro.st_rsbp import kernels
from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.kernels import Backend
from lightning_neuro.st_rsbp.simulate import Neuron


class Synapses(Protocol):
    """Weights w_ij from neurons j of one layer to neurons i of the next; e is the spike-train potential."""

    def drive(self, counts: Tensor) -> Tensor:
        """Return `sum_j w_ij n_j` in the shape of the next layer; n `(B, ...)` in the shape of the first."""

    def pull(self, gains: Tensor) -> Tensor:
        """Return `sum_i c_i w_ij` in the shape of the first layer; c `(B, ...)` in the shape of the next."""

    def pull_potential(self, post: Activity, gains: Tensor, pre: Activity) -> Tensor:
        """Return `sum_i c_i w_ij e_ij` in the shape of the first layer."""

    def weight_gradient(self, post: Activity, gains: Tensor, pre: Activity) -> Tensor:
        """Return `sum_b c_i e_ij`, summed over synapses that share a weight, in the shape of the weight."""


@dataclass(frozen=True)
class DenseSynapses:
    """All-to-all connections.

    Args:
        weight: `(N, M)`.
        neuron: constants of the next layer.
        input_shape: shape of the first layer, M neurons in all.
        backend: see `kernels`.
    """

    weight: Tensor
    neuron: Neuron
    input_shape: tuple[int, ...]
    backend: Backend = "auto"

    def drive(self, counts: Tensor) -> Tensor:
        """See `Synapses`."""
        return counts.flatten(1) @ self.weight.T

    def pull(self, gains: Tensor) -> Tensor:
        """See `Synapses`."""
        return (gains @ self.weight).unflatten(1, self.input_shape)

    def pull_potential(self, post: Activity, gains: Tensor, pre: Activity) -> Tensor:
        """See `Synapses`."""
        traces = pre.trace(self.neuron).flatten(2)
        pulled = kernels.propagated(post.spikes, gains, self.weight, traces, self.neuron, backend=self.backend)
        return pulled.unflatten(1, self.input_shape)

    def weight_gradient(self, post: Activity, gains: Tensor, pre: Activity) -> Tensor:
        """See `Synapses`."""
        return kernels.weight_gradient(
            post.spikes,
            gains,
            pre.spikes.flatten(2),
            lambda: pre.trace(self.neuron).flatten(2),
            self.neuron,
            backend=self.backend,
        )
