"""Hidden state of snnTorch neurons: reset, detach, read, write.

All functions walk the module they are given and nothing else, so that nested networks, deep copies and several
networks in one process are safe. The hidden state of a neuron is its non-persistent buffers (`mem`, `syn`, ...).
"""

from collections.abc import Iterator, Mapping

import torch
from snntorch import SLSTM, Alpha, Lapicque, Leaky, RLeaky, RSynaptic, SConv2dLSTM, Synaptic
from torch import Tensor, nn

from lightning_neuro.spiking.neurons import find_neurons

STATE_NAMES = ("spk", "syn", "syn_exc", "syn_inh", "mem")
# These start from an empty tensor and give it the shape of the input that comes.
_SELF_SHAPING = (Alpha, Lapicque, Leaky, RLeaky, RSynaptic, SConv2dLSTM, SLSTM, Synaptic)
_SELF_SHAPING_RESETS = tuple(neuron.reset_mem for neuron in _SELF_SHAPING)


def reset_(module: nn.Module) -> None:
    """Put every neuron inside `module` back to where its constructor left it, outside any graph.

    The state becomes *empty*, not a zero tensor of the last batch's shape: so the next batch may have another size,
    and whatever copies or compares buffers between batches (weight averaging, data-parallel broadcast) sees one shape.

    Args:
        module: any module; without neurons nothing happens.

    >>> import snntorch
    >>> lif = snntorch.Leaky(beta=0.9, init_hidden=True)
    >>> spk = lif(torch.ones(3, 2))
    >>> reset_(lif)
    >>> lif.mem.shape
    torch.Size([0])
    """
    for neuron in find_neurons(module).values():
        own_reset = getattr(type(neuron), "reset_mem", None)
        if own_reset in _SELF_SHAPING_RESETS:
            for name, value in _state(neuron):
                setattr(neuron, name, torch.zeros(0, dtype=value.dtype, device=value.device))
        elif own_reset is not None:
            own_reset(neuron)
        _detach_neuron_(neuron)


def detach_(module: nn.Module) -> None:
    """Cut the state of every neuron inside `module` off the graph; its values stay.

    The neuron gets a new tensor, so tensors that were handed out before keep their graph.

    Args:
        module: any module; without neurons nothing happens.

    >>> import snntorch
    >>> lif = snntorch.Leaky(beta=0.9, init_hidden=True)
    >>> spk = lif(torch.ones(1, 1, requires_grad=True))
    >>> detach_(lif)
    >>> lif.mem
    tensor([[1.]])
    """
    for neuron in find_neurons(module).values():
        _detach_neuron_(neuron)


def holds_graph(module: nn.Module) -> list[str]:
    """Name the neurons that still hold a tensor of an autograd graph.

    A backward pass through such a neuron's next output runs into the earlier graph, and it cannot be deep-copied.

    Args:
        module: any module.

    Returns:
        Plain names in the order of `named_modules`.

    >>> import snntorch
    >>> net = nn.Sequential(nn.Linear(4, 2), snntorch.Leaky(beta=0.9, init_hidden=True))
    >>> spk = net(torch.ones(3, 4))
    >>> holds_graph(net)
    ['1']
    """
    neurons = find_neurons(module).items()
    return [name for name, neuron in neurons if any(value.requires_grad for _, value in _held(neuron))]


def hidden_state(module: nn.Module) -> dict[str, Tensor]:
    """Read the state of every neuron inside `module`.

    Args:
        module: any module.

    Returns:
        The live tensors (still in their graph; detach them before keeping them) by plain name, such as `"lif1.mem"`.
        Neurons in their initial state have no entry.

    >>> import snntorch
    >>> net = nn.Sequential(snntorch.Leaky(beta=0.9, init_hidden=True))
    >>> spk = net(torch.full((1, 2), 0.5))
    >>> hidden_state(net)
    {'0.mem': tensor([[0.5000, 0.5000]])}
    """
    return {
        f"{owner}.{name}" if owner else name: value
        for owner, neuron in find_neurons(module).items()
        for name, value in _state(neuron)
        if value.numel()
    }


def load_hidden_state_(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put a state that `hidden_state` read back into the neurons of `module`.

    Args:
        module: a module with the same neurons; each tensor moves to its neuron's device.
        state: tensors by plain name; neurons that are not named go to their initial state.

    Raises:
        ValueError: `state` names something that is not the state of a neuron of `module`.

    >>> import snntorch
    >>> net = nn.Sequential(snntorch.Leaky(beta=0.5, init_hidden=True, reset_mechanism="none"))
    >>> load_hidden_state_(net, {"0.mem": torch.tensor([[0.8]])})
    >>> spk = net(torch.zeros(1, 1))
    >>> net[0].mem
    tensor([[0.4000]])
    """
    neurons = find_neurons(module)
    for key in state:
        owner, _, name = key.rpartition(".")
        if owner not in neurons or not _is_state(neurons[owner], name):
            raise ValueError(
                f"load_hidden_state_: {key!r} is not the state of a neuron here; the neurons are "
                f"{', '.join(map(repr, neurons)) or 'none'}. Load it into the network it was read from."
            )
    reset_(module)
    for key, value in state.items():
        owner, _, name = key.rpartition(".")
        setattr(neurons[owner], name, value.to(_device(neurons[owner], value)))


def _is_state(neuron: nn.Module, name: str) -> bool:
    # Asked of the raw dict, because DeltaLeaky's initial state is the buffer `mem` that is None.
    return name in neuron._buffers and (name in STATE_NAMES or name in neuron._non_persistent_buffers_set)


def _buffers(neuron: nn.Module) -> list[tuple[str, Tensor]]:
    # torch.compile follows the raw dict, but not `named_buffers` of a module that its graph has changed.
    return [(name, value) for name, value in neuron._buffers.items() if value is not None]


def _state(neuron: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, value) for name, value in _buffers(neuron) if _is_state(neuron, name)]


def _held(neuron: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All tensors a neuron keeps but its parameters: buffers, and what a forward left as plain attributes."""
    yield from _buffers(neuron)
    yield from ((name, value) for name, value in vars(neuron).items() if isinstance(value, Tensor))


def _detach_neuron_(neuron: nn.Module) -> None:
    for name, value in list(_held(neuron)):
        if value.requires_grad:
            setattr(neuron, name, value.detach())


def _device(neuron: nn.Module, value: Tensor) -> torch.device:
    return next((own.device for own in (*neuron.buffers(), *neuron.parameters())), value.device)
