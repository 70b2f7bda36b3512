"""The costly operations on CPU tensors as compiled loops that visit only the spikes, where numba is installed.

Arguments and results are those of `kernels`, which checks them: the loops do not. In double precision spikes are those
of the reference, one for one. Sums run in another order, so that in single precision a membrane that meets the
threshold to the last bit may fall on the other side of it; a recurrent net then takes another course from there.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
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
# What impacts take for each postsynaptic neuron, in additions; they are formed for at least so many at once.
IMPACT_COST, NARROW = 8, 64


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


def counts(spikes: Tensor, dtype: torch.dtype) -> Tensor:
    """See `kernels.counts`."""
    return torch.from_numpy(_counts(_array(spikes))).to(dtype)


def weight_gradient(spikes: Tensor, gains: Tensor, pre: Tensor, traces: Callable[[], Tensor], neuron: Neuron) -> Tensor:
    """See `kernels.weight_gradient`. By presynaptic spikes, postsynaptic ones or products, whichever adds least."""
    size, inputs = spikes.shape[2], pre.shape[2]
    by_inputs = (_rate(pre) + IMPACT_COST / max(1, inputs)) * max(1, NARROW / max(1, size))
    by_outputs = 2 * min(_rate(spikes), DENSE_GRADIENT_RATE)
    if by_inputs < by_outputs:
        return _weight_gradient_of_inputs(spikes, gains, pre, neuron)
    made = traces()
    if _rate(spikes) > DENSE_GRADIENT_RATE:
        return potential.weight_gradient_from(weighed(spikes, gains, neuron), made)
    out = torch.zeros(size, inputs, dtype=made.dtype)
    arrays = _array(spikes), _array(gains), _array(made), *_resets(neuron, spikes, made), out.numpy()
    _share(size, spikes.numel(), lambda first, last: loop("weight_gradient")(first, last, *arrays))
    return out


def _weight_gradient_of_inputs(spikes: Tensor, gains: Tensor, pre: Tensor, neuron: Neuron) -> Tensor:
    out = torch.empty(spikes.shape[2], pre.shape[2], dtype=gains.dtype)
    _, starts, times = _sorted(pre)
    constants = neuron.refractory, _constants(neuron, gains.dtype), starts, times
    arrays = _array(spikes), _array(gains), *constants, out.numpy()
    run = loop("weight_gradient_of_inputs", "impact_loops")
    _share(spikes.shape[2], spikes.numel(), lambda first, last: run(first, last, *arrays))
    return out


def adjoint(
    spikes: Tensor,
    weight: Tensor,
    diagonal: Tensor,
    error: Tensor,
    neuron: Neuron,
    silent_ratio: float,
    self_term: bool,
) -> Tensor:
    """See `kernels.adjoint`."""
    out = torch.empty_like(error, memory_format=torch.contiguous_format)
    coupling = torch.tensor([neuron.threshold, silent_ratio], dtype=error.dtype).numpy()
    arrays = (
        _array(spikes),
        *_sorted(spikes),
        _columns(weight),
        _array(diagonal),
        _array(error),
        neuron.refractory,
        _constants(neuron, error.dtype),
        coupling,
        self_term,
        out.numpy(),
    )
    run = loop("adjoint", "adjoint_loops")
    _share(spikes.shape[1], spikes.numel(), lambda first, last: run(first, last, *arrays))
    return out


def _sorted(spikes: Tensor) -> tuple[Any, Any, Any]:
    """Return counts `(B, M)`, and the spikes sorted by sample and neuron; see `impact_loops.sort_spikes`."""
    array = _array(spikes)
    counted = _counts(array)
    starts = np.zeros(counted.size + 1, np.int64)
    np.cumsum(counted, out=starts[1:])
    times = np.empty(starts[-1], np.int32)
    run = loop("sort_spikes", "impact_loops")
    _share(len(counted), spikes.numel(), lambda first, last: run(first, last, array, starts, times))
    return counted, starts, times


def _counts(spikes: Any) -> Any:
    out = np.empty(spikes.shape[1:], np.int32)
    run = loop("count_spikes", "impact_loops")
    _share(len(out), spikes.size, lambda first, last: run(first, last, spikes, out))
    return out


def propagated(spikes: Tensor, gains: Tensor, weight: Tensor, traces: Tensor, neuron: Neuron) -> Tensor:
    """See `kernels.propagated`."""
    if _rate(spikes) > DENSE_GRADIENT_RATE:
        return potential.propagated_from(weighed(spikes, gains, neuron), weight, traces)
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
        return potential.pairwise_from(weighed(spikes, ones, neuron), traces, out)
    if out is None:
        out = torch.empty(spikes.shape[1], spikes.shape[2], traces.shape[2], dtype=traces.dtype)
    written = out if out.is_contiguous() else torch.empty_like(out, memory_format=torch.contiguous_format)
    arrays = _array(spikes), _array(traces), *_resets(neuron, spikes, traces), written.numpy()
    _share(spikes.shape[1], spikes.numel(), lambda first, last: loop("pairwise")(first, last, *arrays))
    return out if written is out else out.copy_(written)


def weighed(spikes: Tensor, gains: Tensor, neuron: Neuron) -> Tensor:
    """See `kernels.weighed`."""
    out = torch.zeros(spikes.shape, dtype=gains.dtype)
    arrays = _array(spikes), _array(gains), *_resets(neuron, spikes, gains), out.numpy()
    _share(spikes.shape[1], spikes.numel(), lambda first, last: loop("coefficients")(first, last, *arrays))
    return out


def loop(name: str, module: str = "loops") -> Callable[..., None]:
    """Return one compiled loop by its name and that of its module."""
    function: Callable[..., None] = getattr(import_module(f"lightning_neuro.st_rsbp.{module}"), name)
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
