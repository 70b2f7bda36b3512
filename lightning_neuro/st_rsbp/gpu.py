"""The loops over time on CUDA tensors as one launch each, where triton is installed.

A loop of torch operations launches about ten kernels per step; here the steps run inside one. Sums over synapses
before the loop, and most of the backward pass, are matrix products of torch and follow its setting of float32
precision.
"""

from collections.abc import Callable
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from lightning_neuro.st_rsbp import potential
from lightning_neuro.st_rsbp.simulate import Neuron, weighted_input

BLOCK = 256
WEIGHED_BLOCK = 128
LARGEST_RECURRENT_LAYER = 4096
TILE_ELEMENTS = 8192
# Round after each operation, as torch does.
ROUNDING = {"enable_fp_fusion": False}


@cache
def loops() -> ModuleType | None:
    """Return the module of triton loops, or None without triton."""
    from lightning_neuro.st_rsbp import gpu_loops

    return gpu_loops if gpu_loops.INSTALLED else None


def usable(tensors: tuple[Tensor, ...], recurrent: Tensor | None = None) -> bool:
    """Tell whether these tensors can be worked on here: a recurrent layer must fit into one program."""
    fits = recurrent is None or len(recurrent) <= LARGEST_RECURRENT_LAYER
    return fits and all(each.device.type == "cuda" for each in tensors) and loops() is not None


def dense_forward(
    inputs: Tensor, weight: Tensor, neuron: Neuron, recurrent: Tensor | None, with_trace: bool
) -> tuple[Tensor, Tensor | None]:
    """See `kernels.dense_forward`."""
    return current_forward(weighted_input(inputs, weight), neuron, recurrent, with_trace)


def current_forward(
    current: Tensor, neuron: Neuron, recurrent: Tensor | None, with_trace: bool
) -> tuple[Tensor, Tensor | None]:
    """See `kernels.current_forward`."""
    current = current.detach().contiguous()
    steps, batch, size = current.shape
    spikes = torch.empty(current.shape, dtype=torch.bool, device=current.device)
    traces = torch.empty_like(current if with_trace else current[:0])
    if not spikes.numel():
        return spikes, traces if with_trace else None
    columns = current if recurrent is None else recurrent.detach().T.contiguous()
    listed = torch.empty(batch, size, dtype=torch.int32, device=current.device)
    block = _power_of_two(min(size, BLOCK) if recurrent is None else size)
    grid = batch, -(-size // block)
    arrays = current, columns, _constants(neuron, current), listed, spikes.view(torch.int8), traces
    tile = max(1, TILE_ELEMENTS // block)
    _loops().forward[grid](*arrays, steps, batch, size, recurrent is not None, with_trace, block, tile, **ROUNDING)
    return spikes, traces if with_trace else None


def input_trace(spikes: Tensor, tau_m: float, tau_s: float, dtype: torch.dtype) -> Tensor:
    """See `kernels.input_trace`."""
    spikes = spikes.contiguous()
    traces = torch.empty(spikes.shape, dtype=dtype, device=spikes.device)
    if traces.numel():
        width = spikes[0].numel()
        constants = _constants(Neuron(tau_m=tau_m, tau_s=tau_s), traces)
        grid = (-(-width // BLOCK),)
        _loops().trace[grid](spikes.view(torch.int8), constants, traces, len(spikes), width, BLOCK, **ROUNDING)
    return traces


def weighed(spikes: Tensor, gains: Tensor, neuron: Neuron) -> Tensor:
    """See `kernels.weighed`."""
    spikes, gains = spikes.contiguous(), gains.contiguous()
    out = torch.empty(spikes.shape, dtype=gains.dtype, device=gains.device)
    if out.numel():
        powers = potential.decay_powers(neuron.tau_m, len(spikes) + 1).to(gains)
        arrays = spikes.view(torch.int8), gains, powers, out
        grid = (-(-gains.numel() // WEIGHED_BLOCK),)
        _loops().weighed[grid](*arrays, len(spikes), gains.numel(), neuron.refractory, WEIGHED_BLOCK, **ROUNDING)
    return out


def weight_gradient(spikes: Tensor, gains: Tensor, pre: Tensor, traces: Callable[[], Tensor], neuron: Neuron) -> Tensor:
    """See `kernels.weight_gradient`."""
    return potential.weight_gradient_from(weighed(spikes, gains, neuron), traces())


def propagated(spikes: Tensor, gains: Tensor, weight: Tensor, traces: Tensor, neuron: Neuron) -> Tensor:
    """See `kernels.propagated`."""
    return potential.propagated_from(weighed(spikes, gains, neuron), weight, traces)


def pairwise(spikes: Tensor, traces: Tensor, neuron: Neuron, out: Tensor | None) -> Tensor:
    """See `kernels.pairwise`."""
    ones = torch.ones(spikes.shape[1:], dtype=traces.dtype, device=traces.device)
    return potential.pairwise_from(weighed(spikes, ones, neuron), traces, out)


def counts(spikes: Tensor, dtype: torch.dtype) -> Tensor:
    """See `kernels.counts`."""
    return spikes.sum(0, dtype=dtype)


def _loops() -> ModuleType:
    module = loops()
    if module is None:
        raise ImportError("st_rsbp.gpu: triton must be installed. Install it, or choose backend 'reference'.")
    return module


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


def _constants(neuron: Neuron, like: Tensor) -> Tensor:
    values = neuron.membrane_decay, neuron.synapse_decay, 1 / neuron.tau_s, neuron.fires_above, neuron.refractory
    return torch.tensor(values, dtype=torch.float64).to(like)
