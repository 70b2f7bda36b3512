"""One step of an `nn.Sequential` of layers and neurons that keep no state of their own.

A Sequential hands each part's output to the next, and a neuron with `init_hidden=False` needs its state beside it. So
the parts are called one by one, which is right only where calling the container would do just that.
"""

import inspect
from typing import Any

import torch
from snntorch import DeltaLeaky, RLeaky, RSynaptic, SpikingNeuron
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lightning_neuro.spiking.neurons import find_neurons, shells, unwrap
from lightning_neuro.spiking.state import reset_


def is_stack(module: nn.Module) -> bool:
    """Tell whether a module, wrapped or not, holds neurons and runs as `nn.Sequential` does.

    >>> import snntorch
    >>> is_stack(nn.Sequential(snntorch.Leaky(beta=0.9))), is_stack(nn.Sequential(nn.ReLU()))
    (True, False)
    """
    inner = unwrap(module)
    plain = isinstance(inner, nn.Sequential) and type(inner).forward is nn.Sequential.forward
    # Frameworks that wrap a network set the forward of the instance.
    return plain and "forward" not in inner.__dict__ and bool(find_neurons(inner))


def stateful_parts(stack: nn.Module, prefix: str = "") -> list[str]:
    """Name the neurons and blocks of a stack that have a state, and refuse what cannot be called part by part.

    Args:
        stack: a module for which `is_stack` holds.
        prefix: its name and a dot; empty for the outermost.

    Raises:
        TypeError: a container with neurons is compiled, data-parallel or has hooks that would be left out; or a block
            with neurons takes no state.

    >>> import snntorch
    >>> stateful_parts(nn.Sequential(nn.Linear(2, 2), nn.Sequential(snntorch.Leaky(beta=0.9))))
    ['1.0']
    """
    _refuse_what_would_be_left_out(stack, prefix.removesuffix("."))
    names = []
    for key, part in unwrap(stack)._modules.items():
        name = f"{prefix}{key}"
        if part is None or not find_neurons(part):
            continue
        if is_stack(part):
            names += stateful_parts(part, f"{name}.")
        else:
            refuse_without_state(part, name)
            names.append(name)
    return names


def step_stack(stack: nn.Module, signal: Any, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Pass one frame through a stack, each neuron with its own part of the state.

    Args:
        stack: a module for which `is_stack` holds.
        signal: the frame `(B, ...)`.
        state: by name of the stateful part; one that is absent starts afresh.

    Returns:
        `(spk, mem)` of a last neuron, or what the last layer gives; and the state after the step.

    >>> import snntorch
    >>> net = nn.Sequential(snntorch.Leaky(beta=0.5, reset_mechanism="none"))
    >>> step_stack(net, torch.tensor([[0.5]]), {"0": (torch.tensor([[1.0]]),)})
    ((tensor([[0.]]), tensor([[1.]])), {'0': (tensor([[1.]]),)})
    """
    after: dict[str, Any] = {}
    return _run(stack, "", signal, state, after), after


def refuse_without_state(block: nn.Module, name: str = "") -> None:
    """Refuse a module with neurons whose `forward` cannot be given a state.

    Raises:
        TypeError: the reason, and what to do.
    """
    # Signatures are out of reach inside a graph that torch.compile captures.
    inner = unwrap(block)
    if torch.compiler.is_compiling() or isinstance(inner, SpikingNeuron):
        return
    try:
        inspect.signature(inner.forward).bind(None, None)
    except TypeError:
        raise TypeError(
            f"unroll: {_label(name)} is a {type(inner).__name__} that holds neurons with init_hidden=False, and its "
            "forward takes no state. Write it as forward(x, state) -> (output, state), or build its neurons, and all "
            "others of the network, with init_hidden=True."
        ) from None


def _refuse_what_would_be_left_out(stack: nn.Module, name: str) -> None:
    *wrappers, inner = shells(stack)
    advice = ""
    if inner._compiled_call_impl is not None or any(not isinstance(each, AveragedModel) for each in wrappers):
        advice = "is compiled, and its parts would run uncompiled. Compile the function that calls unroll instead"
    elif any(_backward_hooks(each) or _forward_hooks(each) for each in wrappers) or _backward_hooks(inner):
        advice = "carries hooks that would not run. Register them on its layers and neurons"
    if advice:
        raise TypeError(
            f"unroll: {_label(name)}, an nn.Sequential of neurons with init_hidden=False, is called part by part, but "
            f"{advice}, or use neurons with init_hidden=True."
        )


def _label(name: str) -> str:
    return repr(name) if name else "net"


def _backward_hooks(module: nn.Module) -> bool:
    return bool(module._backward_hooks or module._backward_pre_hooks)


def _forward_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _run(stack: nn.Module, prefix: str, signal: Any, state: dict[str, Any], after: dict[str, Any]) -> Any:
    inner = unwrap(stack)
    output = signal = _before(inner, signal)
    for key, part in inner._modules.items():
        if part is not None:
            given = output[0] if isinstance(output, tuple) else output
            output = _run_part(part, f"{prefix}{key}", given, state, after)
    return _after(inner, signal, output)


def _run_part(part: nn.Module, name: str, signal: Any, state: dict[str, Any], after: dict[str, Any]) -> Any:
    if not find_neurons(part):
        return part(signal)
    if is_stack(part):
        return _run(part, f"{name}.", signal, state, after)
    neuron = unwrap(part)
    if not isinstance(neuron, SpikingNeuron):
        output, after[name] = part(signal, state.get(name))
        return output
    result = _call_neuron(part, neuron, signal, state.get(name))
    # The recurrent ones feed their own spikes back, so these belong to the state.
    after[name] = result if isinstance(neuron, RLeaky | RSynaptic) else result[1:]
    return result[0], result[-1]


def _call_neuron(part: nn.Module, neuron: nn.Module, x: Any, state: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if state is None:
        # Given no state, a neuron would go on from the one that its last call, perhaps on another batch, left in it.
        reset_(neuron)
        state = ((None, None),) if isinstance(neuron, DeltaLeaky) else ()
    result: tuple[Any, ...] = part(x, *state)
    return result


def _before(stack: nn.Module, signal: Any) -> Any:
    """Run a container's forward pre-hooks, as calling it would."""
    for key, hook in list(stack._forward_pre_hooks.items()):
        if key in stack._forward_pre_hooks_with_kwargs:
            given = hook(stack, (signal,), {})
            given = given if given is None else given[0]
        else:
            given = hook(stack, (signal,))
        if given is not None:
            signal = given[0] if isinstance(given, tuple) else given
    return signal


def _after(stack: nn.Module, signal: Any, output: Any) -> Any:
    """Run a container's forward hooks, as calling it would."""
    for key, hook in list(stack._forward_hooks.items()):
        extra: tuple[Any, ...] = ({},) if key in stack._forward_hooks_with_kwargs else ()
        given = hook(stack, (signal,), *extra, output)
        output = output if given is None else given
    return output
