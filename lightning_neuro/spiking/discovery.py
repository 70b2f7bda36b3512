"""Which weights are synapses, and which neurons they feed.

The module tree does not say what feeds what. Two ways to find out: the *order rule* takes the last layer before each
neuron in the order of `named_modules`, right for `nn.Sequential` and for `fc1, lif1, fc2, lif2`; *tracing* follows one
real batch from layer to neuron, right for branches, shared layers and any order. Weights inside a neuron (recurrent,
gates) belong to it in either way, and so do those of a layer that is neurons and the synapses into them in one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from lightning_neuro.spiking.neurons import NEURONS, find_neurons, named_modules
from lightning_neuro.spiking.trace import trace_feeds

LAYERS = (
    nn.Linear,
    nn.Bilinear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
# As it stands; pruned or `spectral_norm`; `weight_norm`, of which the direction; with `parametrize`; its `weight_norm`.
WEIGHTS = (
    "weight",
    "weight_orig",
    "weight_v",
    "parametrizations.weight.original",
    "parametrizations.weight.original1",
)
How = Literal["internal", "masked", "order", "traced"]

__all__ = ["LAYERS", "Synapse", "find_neurons", "find_synapses", "synapse_table"]


@runtime_checkable
class NeuronsWithSynapses(Protocol):
    """A layer of neurons that holds the synapses into them, such as those of ST-RSBP: all its parameters are synapses.

    Where one of them, `x_weight`, has a buffer `x_mask`, connections exist only where that is True.
    """

    @property
    def neuron(self) -> Any:
        """Constants of the neurons."""

    def check_weights(self) -> None:
        """Raise if weights have values that the layer cannot work with."""


@dataclass(frozen=True, eq=False)
class Synapse:
    """One synaptic weight tensor.

    Args:
        name: its plain name, free of the prefixes of `torch.compile` and data-parallel wrappers.
        tensor: the parameter itself.
        owner: name of the module that holds it.
        feeds: names of the neurons it feeds; None for a readout, whose output reaches no neuron.
        how: found inside a neuron, by the order rule, or by tracing; `"masked"` inside a layer that fixes which of its
            connections exist.
        names: all names of a tied weight; just `name` otherwise.

    >>> weight = nn.Linear(3, 2).weight
    >>> Synapse("0.weight", weight, "0", ("1",), "order", ("0.weight",)).tensor.shape
    torch.Size([2, 3])
    """

    name: str
    tensor: nn.Parameter
    owner: str
    feeds: tuple[str, ...] | None
    how: How
    names: tuple[str, ...]


def find_synapses(module: nn.Module, batch: Tensor | tuple[Tensor, ...] | None = None) -> dict[str, Tensor]:
    """Find the synaptic weights of a spiking network: never biases, norms, leaks or thresholds.

    Args:
        module: the network; compiled and data-parallel ones are looked into.
        batch: inputs of one forward to trace; None for the order rule. The weights found are the same.

    Returns:
        Weights by plain name, readouts included, a tied weight once; empty for a module without neurons. Where a layer
        computes its weight (`prune`, `weight_norm`, `parametrize`), the parameter of the weight's shape that it is
        computed from, such as `"0.weight_orig"`; parametrized weights inside neurons are not found.

    >>> import snntorch
    >>> net = nn.Sequential(nn.Linear(4, 3), snntorch.RLeaky(beta=0.9, linear_features=3), nn.Linear(3, 2))
    >>> {name: tuple(weight.shape) for name, weight in find_synapses(net).items()}
    {'0.weight': (3, 4), '1.recurrent.weight': (3, 3), '2.weight': (2, 3)}
    """
    return {synapse.name: synapse.tensor for synapse in synapse_table(module, batch)}


def synapse_table(module: nn.Module, batch: Tensor | tuple[Tensor, ...] | None = None) -> list[Synapse]:
    """Describe every synaptic weight of a spiking network.

    Args:
        module: the network; compiled and data-parallel ones are looked into.
        batch: inputs of one forward, a tensor or the tuple of arguments. It is run once without gradients, in
            evaluation mode, and leaves modes and hidden state as they were. None for the order rule.

    Returns:
        One entry per weight tensor in the order of `named_modules`; empty for a module without neurons.

    >>> import snntorch
    >>> net = nn.Sequential(nn.Linear(4, 3), snntorch.Leaky(beta=0.9), nn.Linear(3, 2))
    >>> [(synapse.name, synapse.feeds, synapse.how) for synapse in synapse_table(net)]
    [('0.weight', ('1',), 'order'), ('2.weight', None, 'order')]
    """
    neurons = find_neurons(module)
    if not neurons and not any(isinstance(each, NeuronsWithSynapses) for _, each in named_modules(module)):
        return []
    layers = _outer_layers(module, neurons)
    if batch is None:
        return _merge_tied(_find(module, neurons, layers, _order_rule(module, layers), "order"))
    feeds = trace_feeds(module, layers, neurons, batch if isinstance(batch, tuple) else (batch,))
    return _merge_tied(_find(module, neurons, layers, feeds, "traced"))


def _outer_layers(module: nn.Module, neurons: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Layers with weights that are not parts of a neuron."""
    inside = {part for neuron in neurons.values() for part in neuron.modules()}
    return {name: each for name, each in named_modules(module) if isinstance(each, LAYERS) and each not in inside}


def _order_rule(module: nn.Module, layers: Mapping[str, nn.Module]) -> dict[str, set[str]]:
    """Let the last layer since the previous neuron feed the next one."""
    feeds: dict[str, set[str]] = {}
    last = None
    for name, each in named_modules(module):
        if name in layers:
            last = name
        elif isinstance(each, NEURONS):
            if last is not None:
                feeds[last] = {name}
            last = None
    return feeds


def _find(
    module: nn.Module,
    neurons: Mapping[str, nn.Module],
    layers: Mapping[str, nn.Module],
    feeds: Mapping[str, set[str]],
    how: How,
) -> Iterator[Synapse]:
    """Yield the synapses of each module; a weight that several modules share comes once for each."""
    inside = {part: neuron for neuron, each in neurons.items() for part in each.modules()}
    for owner, each in named_modules(module):
        if owner in layers:
            fed = tuple(neuron for neuron in neurons if neuron in feeds.get(owner, ()))
            for leaf, tensor in _weight(each):
                name = f"{owner}.{leaf}" if owner else leaf
                yield Synapse(name, tensor, owner, fed or None, how, (name,))
        elif each in inside:
            for leaf, tensor in each.named_parameters(recurse=False):
                if _is_synapse_in_neuron(leaf):
                    name = f"{owner}.{leaf}" if owner else leaf
                    yield Synapse(name, tensor, owner, (inside[each],), "internal", (name,))
        elif isinstance(each, NeuronsWithSynapses):
            for leaf, tensor in each.named_parameters(recurse=False):
                name = f"{owner}.{leaf}" if owner else leaf
                how_found: How = "masked" if _is_masked(each, leaf) else "internal"
                yield Synapse(name, tensor, owner, (owner,), how_found, (name,))


def _weight(layer: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Return the parameter that a layer's weight is or is computed from, with its name in the layer."""
    own = dict(layer.named_parameters())
    return [(leaf, own[leaf]) for leaf in WEIGHTS if leaf in own][:1]


def _is_synapse_in_neuron(leaf: str) -> bool:
    # `weight_hh_l0` of LeakyParallel is the leak written as a diagonal matrix; `V` is the one-to-one recurrence.
    return leaf == "V" or (leaf.startswith("weight") and leaf != "weight_hh_l0")


def _is_masked(layer: Any, leaf: str) -> bool:
    """Tell whether a weight has places where there may be no connection."""
    mask = getattr(layer, leaf.replace("weight", "mask"), None)
    return isinstance(mask, Tensor) and not bool(mask.all())


def _merge_tied(found: Iterator[Synapse]) -> list[Synapse]:
    """Make one entry per tensor: the first name leads, names and fed neurons are united."""
    merged: dict[nn.Parameter, Synapse] = {}
    for synapse in found:
        known = merged.get(synapse.tensor, synapse)
        feeds = dict.fromkeys((*(known.feeds or ()), *(synapse.feeds or ())))
        names = dict.fromkeys((*known.names, *synapse.names))
        merged[synapse.tensor] = replace(known, feeds=tuple(feeds) or None, names=tuple(names))
    return list(merged.values())
