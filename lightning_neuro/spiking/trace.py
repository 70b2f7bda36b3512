"""Follow one batch through a network to see which layers reach which neurons."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lightning_neuro.spiking.neurons import unwrap
from lightning_neuro.spiking.state import hidden_state, load_hidden_state_

# Kept on the tensors themselves, so that it lives exactly as long as they do.
_MARK = "_lightning_neuro_layers"


def trace_feeds(
    module: nn.Module, layers: Mapping[str, nn.Module], neurons: Mapping[str, nn.Module], arguments: tuple[Any, ...]
) -> dict[str, set[str]]:
    """Run `module(*arguments)` once and record which layers' outputs arrive at which neurons.

    A layer's output is marked with its name; every torch operation hands the marks of its inputs to its output; the
    next layer or neuron on the way replaces them. Nothing stays behind: no gradients, modes and hidden state restored.

    Args:
        module: the network.
        layers: layers by name, outside of neurons.
        neurons: neurons by name.
        arguments: inputs of one forward.

    Returns:
        Names of the neurons fed, by layer name; layers that feed none are absent.

    >>> import snntorch
    >>> fc, lif = nn.Linear(2, 2), snntorch.Leaky(beta=0.9, init_hidden=True)
    >>> trace_feeds(nn.Sequential(fc, nn.ReLU(), lif), {"0": fc}, {"2": lif}, (torch.ones(1, 2),))
    {'0': {'2'}}
    """
    feeds: dict[str, set[str]] = defaultdict(set)

    def mark_output(name: str) -> Callable[..., None]:
        return lambda layer, inputs, output: _mark(output, frozenset([name]))

    def record_input(name: str) -> Callable[..., None]:
        def hook(neuron: nn.Module, inputs: tuple[Any, ...]) -> None:
            # Only the first input arrives through synapses, the others are the neuron's own state.
            for layer in _marks(inputs[:1]):
                feeds[layer].add(name)

        return hook

    with ExitStack() as stack:
        stack.enter_context(_undisturbed(module))
        for name, layer in layers.items():
            stack.callback(layer.register_forward_hook(mark_output(name)).remove)
        for name, neuron in neurons.items():
            stack.callback(neuron.register_forward_pre_hook(record_input(name)).remove)
            stack.callback(neuron.register_forward_hook(lambda each, inputs, output: _mark(output, frozenset())).remove)
        stack.enter_context(_PassOnMarks())
        unwrap(module)(*arguments)
    return dict(feeds)


@contextmanager
def _undisturbed(module: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients and without compiled code, where hooks would not run; all put back after."""
    training = [each for each in module.modules() if each.training]
    state = hidden_state(module)
    try:
        module.eval()
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for each in training:
            each.training = True
        load_hidden_state_(module, state)


class _PassOnMarks(TorchFunctionMode):
    """Gives the outputs of every torch function the marks of its inputs."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        _mark(result, _marks((args, kwargs)))
        return result


def _marks(value: Any) -> frozenset[str]:
    return frozenset().union(*(getattr(tensor, _MARK, frozenset()) for tensor in tensors_in(value)))


def _mark(value: Any, marks: frozenset[str]) -> None:
    for tensor in tensors_in(value):
        # Parameters outlive the batch; what enters a neuron or layer is never a bare one.
        if not isinstance(tensor, nn.Parameter) and (marks or hasattr(tensor, _MARK)):
            setattr(tensor, _MARK, marks)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors inside nested tuples, lists and mappings; anything else holds none."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors_in(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors_in(each)
