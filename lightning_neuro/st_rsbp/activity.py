"""The spike trains of one layer, and what is computed from them at most once."""

import torch
from torch import Tensor

from lightning_neuro.st_rsbp import kernels
from lightning_neuro.st_rsbp.kernels import Backend
from lightning_neuro.st_rsbp.simulate import Neuron


class Activity:
    """Spikes of a layer with their counts and traces, made when first asked for.

    A trace depends on the constants of the neurons that receive the spikes, so there is one for each pair of time
    constants; layers that agree share it.

    Args:
        spikes: bool `(T, B, *features)`.
        dtype: of counts and traces.
        backend: see `kernels`.

    >>> activity = Activity(torch.ones(3, 1, 2, dtype=torch.bool), torch.float32)
    >>> activity.counts.tolist()
    [[3.0, 3.0]]
    """

    def __init__(self, spikes: Tensor, dtype: torch.dtype, backend: Backend = "auto") -> None:
        self.spikes, self.dtype, self.backend = spikes, dtype, backend
        self._counts: Tensor | None = None
        self._traces: dict[tuple[float, float], Tensor] = {}

    @property
    def features(self) -> torch.Size:
        """Shape of one time step of one sample."""
        return self.spikes.shape[2:]

    @property
    def counts(self) -> Tensor:
        """Spikes per neuron `(B, *features)`."""
        if self._counts is None:
            counts = kernels.counts(self.spikes.flatten(2), self.dtype, backend=self.backend)
            self._counts = counts.view(self.spikes.shape[1:])
        return self._counts

    def keep_trace(self, neuron: Neuron, trace: Tensor) -> None:
        """Keep a trace `(T, B, *features)` that is known already."""
        self._traces[neuron.tau_m, neuron.tau_s] = trace

    def trace(self, neuron: Neuron) -> Tensor:
        """Return the trace `(T, B, *features)` that `neuron` receives from these spikes."""
        key = neuron.tau_m, neuron.tau_s
        if key not in self._traces:
            made = kernels.input_trace(self.spikes.flatten(2), *key, self.dtype, backend=self.backend)
            self._traces[key] = made.view(self.spikes.shape)
        return self._traces[key]
