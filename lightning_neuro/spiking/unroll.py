"""The time loop of a spiking network, with its state made explicit."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from snntorch import LeakyParallel
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from lightning_neuro.common import checks
from lightning_neuro.spiking.neurons import find_neurons, shells
from lightning_neuro.spiking.stack import is_stack, refuse_without_state, stateful_parts, step_stack
from lightning_neuro.spiking.state import hidden_state, load_hidden_state_
from lightning_neuro.spiking.trace import tensors_in

Step = Callable[[Tensor, Any], tuple[Any, Any]]
Run = Callable[[Sequence[Tensor], Any], tuple[list[Any], Any]]


def unroll(
    net: nn.Module, x: Tensor, num_steps: int | None = None, *, state: Any = None, checkpoint_every: int | None = None
) -> tuple[Any, Any]:
    """Run `net` over time: `output[t], state = step(x[t], state)`.

    Three kinds of network are understood:

    - an `nn.Sequential` of layers and neurons with `init_hidden=False`, plain as one writes it. A step gives
      `(spk, mem)` of a last neuron, or the last layer's tensor; the state is a dict by neuron name. Blocks that hold
      neurons, subclasses of `nn.Sequential` with a `forward` of their own among them, are called as
      `block(x, state) -> (output, state)`, and their first output goes on; their state may be anything. The stack and
      those inside it are called part by part: their forward hooks run, with what the last part gave as output, and a
      compiled one is refused: compile the function that calls `unroll`;
    - any network whose neurons have `init_hidden=True`, called as `net(x_t)`. It starts from reset neurons; the state
      is a dict as `hidden_state` gives it, so pass `state=hidden_state(net)` to go on where it stands;
    - any other module, called as `net(x_t, state) -> (output, state)`; at the first step its state is `state`.

    Args:
        net: the network of one time step; also an `AveragedModel` and, but for stacks, a compiled one.
        x: input `(T, B, ...)`, time first; with `num_steps` a static input `(B, ...)` that every step sees.
        num_steps: number of steps for a static input.
        state: the state to start from, as an earlier call returned it; None starts afresh.
        checkpoint_every: keep the activations of this many steps only and recompute the others in the backward pass
            (`torch.utils.checkpoint`): the same gradients to the last bit, for less memory and a second forward pass.

    Returns:
        The outputs of all steps, each tensor stacked to `(T, B, ...)` in the tuples or dicts that a step gives them in,
        and the state after the last step, in its graph (cut it with `.detach()` for truncated backpropagation).

    Raises:
        TypeError: `net` is data-parallel, a compiled stack or one with backward hooks, or holds a neuron that takes
            whole sequences or a block that takes no state; or a step gives something that cannot be stacked.
        ValueError: `x` has no steps, a number is out of range, or `state` was made for another batch size or names
            something that is not here.

    >>> import snntorch
    >>> net = nn.Sequential(snntorch.Leaky(beta=0.5, reset_mechanism="none"))
    >>> (spk, mem), state = unroll(net, torch.tensor([[0.8]]), num_steps=3)
    >>> spk.flatten().tolist(), mem.shape
    ([0.0, 1.0, 1.0], torch.Size([3, 1, 1]))
    """
    frames = _frames(x, num_steps)
    run, state = _prepare(net, frames[0], state)
    if checkpoint_every is None:
        outputs, state = run(frames, state)
        return _stack(outputs), state
    size = checks.integer("unroll", "checkpoint_every", checkpoint_every, at_least=1)
    outputs = []
    for start in range(0, len(frames), size):
        chunk = frames[start : start + size]
        more, state = checkpoint(
            run, chunk, state, use_reentrant=False, context_fn=lambda: (nullcontext(), _UntouchedNeurons(net))
        )
        outputs += more
    return _stack(outputs), state


class _UntouchedNeurons:
    """Leaves the neurons as they were before a chunk is computed once more, in the middle of a backward pass."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.state: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        self.state = hidden_state(self.net)

    def __exit__(self, *exception: object) -> None:
        load_hidden_state_(self.net, self.state)
        self.state = {}


def _frames(x: Tensor, num_steps: int | None) -> Sequence[Tensor]:
    if num_steps is not None:
        return [x] * checks.integer("unroll", "num_steps", num_steps, at_least=1)
    if x.dim() < 2 or not len(x):
        raise ValueError(
            f"unroll: x must have shape (T, B, ...) with at least one step, got {tuple(x.shape)}. "
            "Give num_steps to repeat a static input (B, ...)."
        )
    return x.unbind(0)


def _stack(outputs: Sequence[Any]) -> Any:
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.stack(list(outputs))
    if isinstance(first, dict):
        return {key: _stack([output[key] for output in outputs]) for key in first}
    if isinstance(first, tuple | list):
        return tuple(_stack(parts) for parts in zip(*outputs, strict=True))
    raise TypeError(f"unroll: a step must give tensors, or tuples or dicts of them, got {type(first).__name__}.")


def _prepare(net: nn.Module, frame: Tensor, state: Any) -> tuple[Run, Any]:
    """Choose how `net` is run over some steps and give the state of the first one."""
    _refuse_data_parallel(net)
    neurons = find_neurons(net)
    _refuse_whole_sequence(neurons)
    hidden = [bool(neuron.init_hidden) for neuron in neurons.values()]
    if any(hidden):
        if not all(hidden):
            raise ValueError("unroll: all neurons of a network must have the same init_hidden, got True and False.")
        _check_batch_size(frame, state or {})
        return partial(_run_hidden, net), state or {}
    if not is_stack(net):
        if neurons:
            refuse_without_state(net)
        return partial(_run_step, net), state
    names = stateful_parts(net)
    _check_names(state or {}, names)
    _check_batch_size(frame, state or {}, [name for name in names if name not in neurons])
    return partial(_run_step, partial(step_stack, net)), state or {}


def _refuse_data_parallel(net: nn.Module) -> None:
    for name, each in [("net", each) for each in shells(net)] + list(net.named_modules()):
        if isinstance(each, DataParallel | DistributedDataParallel) and find_neurons(each):
            raise TypeError(
                f"unroll: {name!r} is a {type(each).__name__}, which joins gradients and splits batches per call, not "
                "per sequence. Unroll inside the forward of a module of your own, and wrap that one."
            )


def _run_step(step: Step, frames: Sequence[Tensor], state: Any) -> tuple[list[Any], Any]:
    outputs = []
    for frame in frames:
        output, state = step(frame, state)
        outputs.append(output)
    return outputs, state


def _run_hidden(net: nn.Module, frames: Sequence[Tensor], state: dict[str, Tensor]) -> tuple[list[Any], Any]:
    load_hidden_state_(net, state)
    return [net(frame) for frame in frames], hidden_state(net)


def _refuse_whole_sequence(neurons: dict[str, nn.Module]) -> None:
    for name, neuron in neurons.items():
        # Neurons that work step by step are those that can be reset between sequences.
        if isinstance(neuron, LeakyParallel) or not hasattr(neuron, "reset_mem"):
            raise TypeError(
                f"unroll: {name!r} is a {type(neuron).__name__}, which takes the whole sequence (T, B, ...) at once. "
                "Call the network on the sequence instead of unrolling it."
            )


def _check_batch_size(frame: Tensor, state: Mapping[str, Any], blocks: Collection[str] = ()) -> None:
    """Refuse what snnTorch would answer by silently starting from zero."""
    for name, value in state.items():
        tensors = [tensor for tensor in tensors_in(value) if tensor.dim()]
        # Neurons have the batch first. A block decides where, or whether, each of its tensors has it.
        fits = [len(frame) in tensor.shape if name in blocks else len(tensor) == len(frame) for tensor in tensors]
        if tensors and not (any(fits) if name in blocks else all(fits)):
            raise ValueError(
                f"unroll: the state of {name!r} is for batch size {len(tensors[0])}, the input has {len(frame)}. "
                "Start afresh with state=None, or keep the batch size (drop_last=True in a DataLoader)."
            )


def _check_names(state: Mapping[str, Any], names: Collection[str]) -> None:
    for name in state:
        if name not in names:
            raise ValueError(
                f"unroll: state names {name!r}, which is no neuron or block here; these are "
                f"{', '.join(map(repr, names))}. Pass a state that an earlier call on this network returned."
            )
