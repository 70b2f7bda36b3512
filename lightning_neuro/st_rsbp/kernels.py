"""The costly operations on spike trains, each by the fastest way at hand.

`reference` is plain torch; with numba installed, CPU tensors take the loops of `compiled`, which visit only the spikes;
with triton, CUDA tensors take those of `gpu`. Nothing of size B N M is formed but by `pairwise`.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.st_rsbp import compiled, gpu, reference
from lightning_neuro.st_rsbp.simulate import Neuron

Backend: TypeAlias = Literal["auto", "reference", "compiled"]
BACKENDS = ("auto", "reference", "compiled")


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

    Raises:
        TypeError: spikes that are not bool, or weights neither in single nor in double precision.
        ValueError: shapes that do not fit, or a backend that is unknown or cannot be used here.

    >>> inputs = torch.ones(12, 1, 2, dtype=torch.bool)
    >>> spikes, _ = dense_forward(inputs, torch.tensor([[1.0, 2.0]]), Neuron(threshold=5.0))
    >>> spikes.flatten().nonzero().flatten().tolist()
    [6, 11]
    """
    size = len(weight)
    _check_spikes("dense_forward", "inputs", inputs)
    _check("dense_forward", "weight", weight, (size, inputs.shape[2]))
    if recurrent is not None:
        _check("dense_forward", "recurrent", recurrent, (size, size), weight.dtype)
    chosen = _choose("dense_forward", backend, inputs, weight, recurrent=recurrent)
    result: tuple[Tensor, Tensor | None] = chosen.dense_forward(inputs, weight, neuron, recurrent, with_trace)
    return result


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
        current: `(T, B, N)`; what arrives at step t stands at index t, and index 0 holds 0.
        neuron: constants.
        recurrent: `(N, N)` from column to row, or None.
        with_trace: whether to compute the trace as well.
        backend: `"auto"`, or one by name.

    Returns:
        bool spikes `(T, B, N)`; their trace `(T, B, N)` in the type of `current`, or None.

    Raises:
        TypeError: a current neither in single nor in double precision.
        ValueError: as `dense_forward`.
    """
    size = current.shape[-1]
    _check("current_forward", "current", current, (*current.shape[:2], size))
    if recurrent is not None:
        _check("current_forward", "recurrent", recurrent, (size, size), current.dtype)
    chosen = _choose("current_forward", backend, current, recurrent=recurrent)
    result: tuple[Tensor, Tensor | None] = chosen.current_forward(current, neuron, recurrent, with_trace)
    return result


def input_trace(spikes: Tensor, tau_m: float, tau_s: float, dtype: torch.dtype, *, backend: Backend = "auto") -> Tensor:
    """Return the free trace of given spikes, bool `(T, B, M)`, in `dtype`; see `simulate.trace`."""
    _check_spikes("input_trace", "spikes", spikes)
    result: Tensor = _choose("input_trace", backend, spikes).input_trace(spikes, tau_m, tau_s, dtype)
    return result


def counts(spikes: Tensor, dtype: torch.dtype, *, backend: Backend = "auto") -> Tensor:
    """Return how often each neuron of bool `(T, B, M)` fired, `(B, M)` in `dtype`."""
    _check_spikes("counts", "spikes", spikes)
    result: Tensor = _choose("counts", backend, spikes).counts(spikes, dtype)
    return result


def weight_gradient(
    spikes: Tensor,
    gains: Tensor,
    pre: Tensor,
    traces: Callable[[], Tensor],
    neuron: Neuron,
    *,
    backend: Backend = "auto",
) -> Tensor:
    """Return `sum_b gains[b, i] e[b, i, j]` without forming e.

    Args:
        spikes: bool `(T, B, N)` of the postsynaptic neurons.
        gains: `(B, N)`.
        pre: bool `(T, B, M)` of the presynaptic neurons.
        traces: returns their traces `(T, B, M)`; called only if they are needed.
        neuron: constants of the postsynaptic neurons.
        backend: `"auto"`, or one by name.

    Returns:
        `(N, M)`.
    """
    _check_spikes("weight_gradient", "spikes", spikes)
    _check_spikes("weight_gradient", "pre", pre)
    if pre.shape[:2] != spikes.shape[:2]:
        raise ValueError(
            f"weight_gradient: pre must have {spikes.shape[0]} steps and {spikes.shape[1]} samples, "
            f"got {tuple(pre.shape[:2])}."
        )
    _check("weight_gradient", "gains", gains, tuple(spikes.shape[1:]))

    def checked() -> Tensor:
        found = traces()
        _check("weight_gradient", "traces", found, tuple(pre.shape), gains.dtype)
        return found

    chosen = _choose("weight_gradient", backend, spikes, pre, gains)
    result: Tensor = chosen.weight_gradient(spikes, gains, pre, checked, neuron)
    return result


def weighed(spikes: Tensor, gains: Tensor, neuron: Neuron, *, backend: Backend = "auto") -> Tensor:
    """Return the coefficients A of `potential` times gains: `e` weighed by them is a product of this and traces.

    Args:
        spikes: bool `(T, B, N)` of the postsynaptic neurons.
        gains: `(B, N)`.
        neuron: their constants.
        backend: `"auto"`, or one by name.

    Returns:
        `(T, B, N)`.
    """
    _check_spikes("weighed", "spikes", spikes)
    _check("weighed", "gains", gains, tuple(spikes.shape[1:]))
    result: Tensor = _choose("weighed", backend, spikes, gains).weighed(spikes, gains, neuron)
    return result


def adjoint(
    spikes: Tensor,
    weight: Tensor,
    diagonal: Tensor,
    error: Tensor,
    neuron: Neuron,
    *,
    silent_ratio: float,
    self_term: bool,
    backend: Backend = "auto",
) -> Tensor | None:
    """Solve `(diag(D) - Theta)^T y = error` of a recurrent layer, one sample per thread in memory.

    Args:
        spikes: bool `(T, B, N)`.
        weight: v `(N, N)`.
        diagonal: D `(B, N)`.
        error: `(B, N)`.
        neuron: constants.
        silent_ratio: rho where one of two neurons is silent; see `recurrent_backward.coupling_`.
        self_term: whether Theta has a diagonal.
        backend: `"auto"`, or one by name.

    Returns:
        y `(B, N)`, not finite where a system is singular; None where the backend has no loop for this.
    """
    _check_spikes("adjoint", "spikes", spikes)
    size = spikes.shape[2]
    _check("adjoint", "error", error, tuple(spikes.shape[1:]))
    _check("adjoint", "diagonal", diagonal, tuple(spikes.shape[1:]), error.dtype)
    _check("adjoint", "weight", weight, (size, size), error.dtype)
    if _choose("adjoint", backend, spikes, weight, diagonal, error) is not compiled:
        return None
    return compiled.adjoint(spikes, weight, diagonal, error, neuron, silent_ratio, self_term)


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
    _check_pair("propagated", spikes, traces)
    _check("propagated", "gains", gains, tuple(spikes.shape[1:]), traces.dtype)
    _check("propagated", "weight", weight, (spikes.shape[2], traces.shape[2]), traces.dtype)
    result: Tensor = _choose("propagated", backend, spikes, traces).propagated(spikes, gains, weight, traces, neuron)
    return result


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
    _check_pair("pairwise", spikes, traces)
    if out is not None:
        _check("pairwise", "out", out, (*spikes.shape[1:], traces.shape[2]), traces.dtype)
    result: Tensor = _choose("pairwise", backend, spikes, traces).pairwise(spikes, traces, neuron, out)
    return result


def _choose(owner: str, backend: Backend, *tensors: Tensor, recurrent: Tensor | None = None) -> ModuleType:
    checks.choice(owner, "backend", backend, BACKENDS)
    if backend != "reference" and compiled.usable(tensors):
        return compiled
    if backend != "reference" and gpu.usable(tensors, recurrent):
        return gpu
    if backend == "compiled":
        raise ValueError(
            f"{owner}: backend 'compiled' must have numba for tensors on the CPU or triton for CUDA, got tensors on "
            f"{tensors[0].device} without. Install lightning-neuro[fast] or triton, or choose 'auto'."
        )
    return reference


def _check_spikes(owner: str, name: str, spikes: Tensor) -> None:
    if spikes.dtype != torch.bool:
        raise TypeError(f"{owner}: {name} must be bool, got {spikes.dtype}. Compare them with 0.5 or encode them.")
    if spikes.dim() != 3:
        raise ValueError(f"{owner}: {name} must have shape (T, B, neurons), got {tuple(spikes.shape)}.")


def _check_pair(owner: str, spikes: Tensor, traces: Tensor) -> None:
    _check_spikes(owner, "spikes", spikes)
    _check(owner, "traces", traces, (*spikes.shape[:2], traces.shape[-1]))


def _check(owner: str, name: str, tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> None:
    """The compiled loops look neither at shapes nor at types again: a wrong one would read beyond memory."""
    expected = (dtype,) if dtype else (torch.float32, torch.float64)
    if tensor.dtype not in expected:
        raise TypeError(f"{owner}: {name} must be {' or '.join(map(str, expected))}, got {tensor.dtype}. Convert it.")
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{owner}: {name} must have shape {shape}, got {tuple(tensor.shape)}.")
