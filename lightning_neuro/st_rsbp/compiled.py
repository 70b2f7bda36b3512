"""The costly operations on CPU tensors as compiled loops that visit only the spikes, where numba is installed.

Arguments and results are those of `kernels`, which checks them: the loops do not. In double precision spikes are those
of the reference, one for one. Sums run in another order, so that in single precision a membrane that meets the
threshold to the last bit may fall on the other side of it; a recurrent net then takes another course from there.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_neuro.st_rsbp import potential, simulate
from lightning_neuro.st_rsbp.simulate import Neuron

# Where matrix products overtake the loops, measured on one and two threads of an AVX-512 processor.
DENSE_INPUT_RATE = 0.5
DENSE_GRADIENT_RATE = 0.2
WORTH_SHARING = 1 << 19


@cache
def loops() -> ModuleType | None:
    """Return the compiled loops, or None without numba."""
    try:
        from lightning_neuro.st_rsbp import loops
    except ImportError:
        return None
    return loops


def usable(tensors: tuple[Tensor, ...]) -> bool:
    """Tell whether these tensors can be worked on here."""
    return loops() is not None and all(each.device.type == "cpu" for each in tensors)


def dense_forward(
    inputs: Tensor, weight: Tensor, neuron: Neuron, recurrent: Tensor | None, with_trace: bool
) -> tuple[Tensor, Tensor | None]:
    """See `kernels.dense_forward`."""
    if _rate(inputs) > DENSE_INPUT_RATE:
        return current_forward(simulate.weighted_input(inputs, weight), neuron, recurrent, with_trace)
    shape = (*inputs.shape[:2], len(weight))
    nothing = np.empty((0, 0, 0), _array(weight).dtype)
    return _forward(_array(inputs), _columns(weight), nothing, neuron, recurrent, with_trace, shape)


def current_forward(
    current: Tensor, neuron: Neuron, recurrent: Tensor | None, with_trace: bool
) -> tuple[Tensor, Tensor | None]:
    """See `kernels.current_forward`."""
    array = _array(current)
    no_inputs, no_columns = np.empty((0, 0, 0), np.bool_), np.empty((0, 0), array.dtype)
    return _forward(no_inputs, no_columns, array, neuron, recurrent, with_trace, tuple(current.shape))


def _forward(
    inputs: Any,
    columns: Any,
    current: Any,
    neuron: Neuron,
    recurrent: Tensor | None,
    with_trace: bool,
    shape: tuple[int, ...],
) -> tuple[Tensor, Tensor | None]:
    dtype = torch.from_numpy(columns).dtype
    spikes = torch.empty(shape, dtype=torch.bool)
    traces = torch.empty(shape if with_trace else (0, 0, 0), dtype=dtype)
    own = np.empty((0, 0), columns.dtype) if recurrent is None else _columns(recurrent)
    constants = _constants(neuron, dtype)
    arrays = inputs, columns, current, own, constants, spikes.numpy(), traces.numpy()
    if spikes.numel():
        _share(shape[1], spikes.numel(), lambda first, last: loop("forward")(first, last, *arrays))
    return spikes, traces if with_trace else None


def input_trace(spikes: Tensor, tau_m: float, tau_s: float, dtype: torch.dtype) -> Tensor:
    """See `kernels.input_trace`."""
    traces = torch.empty(spikes.shape, dtype=dtype)
    if spikes.numel():
        constants = _constants(Neuron(tau_m=tau_m, tau_s=tau_s), dtype)
        rows = _array(spikes).reshape(len(spikes), -1), constants, traces.numpy().reshape(len(spikes), -1)
        _share(rows[0].shape[1], spikes.numel(), lambda first, last: loop("trace")(first, last, *rows))
    return traces


def weight_gradient(spikes: Tensor, gains: Tensor, traces: Tensor, neuron: Neuron) -> Tensor:
    """See `kernels.weight_gradient`."""
    if _rate(spikes) > DENSE_GRADIENT_RATE:
        return potential.weight_gradient_from(_coefficients(spikes, gains, traces, neuron), traces)
    out = torch.zeros(spikes.shape[2], traces.shape[2], dtype=traces.dtype)
    arrays = _array(spikes), _array(gains), _array(traces), *_resets(neuron, spikes, traces), out.numpy()
    _share(spikes.shape[2], spikes.numel(), lambda first, last: loop("weight_gradient")(first, last, *arrays))
    return out


def propagated(spikes: Tensor, gains: Tensor, weight: Tensor, traces: Tensor, neuron: Neuron) -> Tensor:
    """See `kernels.propagated`."""
    if _rate(spikes) > DENSE_GRADIENT_RATE:
        return potential.propagated_from(_coefficients(spikes, gains, traces, neuron), weight, traces)
    out = torch.empty(traces.shape[1:], dtype=traces.dtype)
    arrays = (
        _array(spikes),
        _array(gains),
        _array(weight),
        _array(traces),
        *_resets(neuron, spikes, traces),
        out.numpy(),
    )
    _share(spikes.shape[1], spikes.numel(), lambda first, last: loop("propagated")(first, last, *arrays))
    return out


def pairwise(spikes: Tensor, traces: Tensor, neuron: Neuron, out: Tensor | None) -> Tensor:
    """See `kernels.pairwise`."""
    if _rate(spikes) > DENSE_GRADIENT_RATE:
        ones = torch.ones(spikes.shape[1:], dtype=traces.dtype)
        return potential.pairwise_from(_coefficients(spikes, ones, traces, neuron), traces, out)
    if out is None:
        out = torch.empty(spikes.shape[1], spikes.shape[2], traces.shape[2], dtype=traces.dtype)
    written = out if out.is_contiguous() else torch.empty_like(out, memory_format=torch.contiguous_format)
    arrays = _array(spikes), _array(traces), *_resets(neuron, spikes, traces), written.numpy()
    _share(spikes.shape[1], spikes.numel(), lambda first, last: loop("pairwise")(first, last, *arrays))
    return out if written is out else out.copy_(written)


def _coefficients(spikes: Tensor, gains: Tensor, traces: Tensor, neuron: Neuron) -> Tensor:
    out = torch.zeros(spikes.shape, dtype=traces.dtype)
    arrays = _array(spikes), _array(gains), *_resets(neuron, spikes, traces), out.numpy()
    _share(spikes.shape[1], spikes.numel(), lambda first, last: loop("coefficients")(first, last, *arrays))
    return out


def loop(name: str) -> Callable[..., None]:
    """Return one compiled loop by name."""
    function: Callable[..., None] = getattr(loops(), name)
    return function


def _share(count: int, elements: int, run: Callable[[int, int], None]) -> None:
    """Run over `count` samples or neurons, on as many threads as torch uses.

    The threads live for one call: nothing global is set, and a process that forks later inherits none of them.
    """
    threads = min(count, torch.get_num_threads() if elements >= WORTH_SHARING else 1)
    if threads <= 1:
        return run(0, count)
    bounds = [count * k // threads for k in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, bounds[:-1], bounds[1:]))
    return None


def _rate(spikes: Tensor) -> float:
    return np.count_nonzero(_array(spikes)) / max(1, spikes.numel())


def _array(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


def _columns(weight: Tensor) -> Any:
    return _array(weight.detach().T)


def _constants(neuron: Neuron, dtype: torch.dtype) -> Any:
    values = neuron.membrane_decay, neuron.synapse_decay, 1 / neuron.tau_s, neuron.fires_above, neuron.refractory
    return torch.tensor(values, dtype=torch.float64).to(dtype).numpy()


def _resets(neuron: Neuron, spikes: Tensor, traces: Tensor) -> tuple[int, Any]:
    return neuron.refractory, potential.decay_powers(neuron.tau_m, len(spikes) + 1).to(traces.dtype).numpy()
