"""The costly operations on spike trains, each by the fastest way at hand.

Plain torch is the reference; with numba installed, CPU tensors take compiled loops that visit only the spikes.
"""

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from lightning_neuro.st_rsbp import potential, simulate
from lightning_neuro.st_rsbp.simulate import Neuron

Backend: TypeAlias = Literal["auto", "reference", "compiled"]


def dense_forward(
    inputs: Tensor,
    weight: Tensor,
    neuron: Neuron,
    recurrent: Tensor | None = None,
    *,
    with_trace: bool = True,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor | None]:
    """Return the spikes of a layer, and their free trace.

    Args:
        inputs: bool `(T, B, M)`.
        weight: `(N, M)`.
        neuron: constants.
        recurrent: `(N, N)` from column to row, or None.
        with_trace: whether to compute the trace as well.
        backend: `"auto"`, or one by name.

    Returns:
        bool spikes `(T, B, N)`; their trace `(T, B, N)` in the type of `weight`, or None.
    """
    return current_forward(
        simulate.weighted_input(inputs, weight), neuron, recurrent, with_trace=with_trace, backend=backend
    )


def current_forward(
    current: Tensor,
    neuron: Neuron,
    recurrent: Tensor | None = None,
    *,
    with_trace: bool = True,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor | None]:
    """Return the spikes, and their free trace, of neurons whose input is already weighted, as by a convolution.

    Args:
        current: `(T, B, N)`; what arrives at step t stands at index t.
        neuron: constants.
        recurrent: `(N, N)` from column to row, or None.
        with_trace: whether to compute the trace as well.
        backend: `"auto"`, or one by name.

    Returns:
        bool spikes `(T, B, N)`; their trace `(T, B, N)` in the type of `current`, or None.
    """
    spikes = simulate.spikes_from_current(current, neuron, recurrent)
    if not with_trace:
        return spikes, None
    return spikes, input_trace(spikes, neuron.tau_m, neuron.tau_s, current.dtype, backend=backend)


def input_trace(spikes: Tensor, tau_m: float, tau_s: float, dtype: torch.dtype, *, backend: Backend = "auto") -> Tensor:
    """Return the free trace of given spikes `(T, B, M)`, in `dtype`; see `simulate.trace`."""
    return simulate.trace(spikes, tau_m, tau_s, dtype)


def weight_gradient(
    spikes: Tensor, gains: Tensor, traces: Tensor, neuron: Neuron, *, backend: Backend = "auto"
) -> Tensor:
    """Return `sum_b gains[b, i] e[b, i, j]` without forming e.

    Args:
        spikes: bool `(T, B, N)` of the postsynaptic neurons.
        gains: `(B, N)`.
        traces: `(T, B, M)` of the presynaptic neurons.
        neuron: constants of the postsynaptic neurons.
        backend: `"auto"`, or one by name.

    Returns:
        `(N, M)`.
    """
    return potential.weight_gradient(spikes, gains, traces, neuron)


def propagated(
    spikes: Tensor, gains: Tensor, weight: Tensor, traces: Tensor, neuron: Neuron, *, backend: Backend = "auto"
) -> Tensor:
    """Return `sum_i gains[b, i] weight[i, j] e[b, i, j]` without forming e.

    Args:
        spikes: bool `(T, B, N)` of the postsynaptic neurons.
        gains: `(B, N)`.
        weight: `(N, M)`.
        traces: `(T, B, M)` of the presynaptic neurons.
        neuron: constants of the postsynaptic neurons.
        backend: `"auto"`, or one by name.

    Returns:
        `(B, M)`.
    """
    return potential.propagated(spikes, gains, weight, traces, neuron)


def pairwise(
    spikes: Tensor, traces: Tensor, neuron: Neuron, out: Tensor | None = None, *, backend: Backend = "auto"
) -> Tensor:
    """Return e for every pair of neurons, `(B, N, M)`: large, so give a part of the batch at a time.

    Args:
        spikes: bool `(T, B, N)` of the postsynaptic neurons.
        traces: `(T, B, M)` of the presynaptic neurons.
        neuron: constants of the postsynaptic neurons.
        out: where to write.
        backend: `"auto"`, or one by name.

    Returns:
        `(B, N, M)`; `out` if given.
    """
    return potential.pairwise(spikes, traces, neuron, out)
