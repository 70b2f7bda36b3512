"""From snnTorch to ST-RSBP and back: the same weights, the same spikes.

`snntorch_neurons` tells how the constants correspond. Weights are copied as they are, so a network may be trained by
one of the two rules and go on with the other.
"""

from collections.abc import Iterator
from typing import Literal, NoReturn

from snntorch import SpikingNeuron
from torch import nn

from lightning_neuro.common import checks
from lightning_neuro.st_rsbp.conv_layers import SpikingConvLayer, SpikingPoolLayer
from lightning_neuro.st_rsbp.layers import RecurrentSpikingLayer, SpikingLayer
from lightning_neuro.st_rsbp.network import SpikingNetwork
from lightning_neuro.st_rsbp.neuron_layer import NeuronLayer
from lightning_neuro.st_rsbp.snntorch_neurons import FROM, TO, SpikeGradient, refuse, to_neuron
from lightning_neuro.st_rsbp.snntorch_synapses import SYNAPSES, to_layer, to_synapses

LAYERS = (SpikingLayer, RecurrentSpikingLayer, SpikingConvLayer, SpikingPoolLayer)


def to_snntorch(
    network: SpikingNetwork,
    *,
    refractory: Literal["error", "keep"] = "error",
    masks: Literal["error", "zeros"] = "error",
    init_hidden: bool = True,
    spike_grad: SpikeGradient | None = None,
) -> nn.Sequential:
    """Return a snnTorch network with the same weights and the same spikes, L steps earlier for L layers.

    snnTorch passes a spike on in the step in which it is fired, ST-RSBP one step later. So of T steps T - L agree:
    `ours[L:] == theirs[:T - L]`, step for step in float64; in float32 up to sums that rounding puts on the other side
    of a threshold. Fully connected layers become `nn.Linear` and `Synaptic` or `RSynaptic`, convolutions `nn.Conv2d`,
    pooling `nn.AvgPool2d`.

    Args:
        network: it is not changed.
        refractory: what to do with a refractory time that snnTorch does not have, which is any but 1, or 0 without
            recurrence: `"keep"` builds neurons of this package that keep it, `RefractorySynaptic` and
            `RefractoryRSynaptic`.
        masks: what to do where recurrent connections are missing: `"zeros"` writes weights of 0, which training may
            revive.
        init_hidden: whether neurons keep their state between calls, as in `net(x[t])`; `unroll` runs both kinds.
        spike_grad: surrogate gradient; by default an arc tangent as wide as the threshold of each layer.

    Raises:
        TypeError: `network` is no `SpikingNetwork`.
        ValueError: the first layer that does not map, and why.

    >>> net = SpikingNetwork(SpikingLayer(3, 2, threshold=5.0, refractory=1))
    >>> [type(part).__name__ for part in to_snntorch(net)]
    ['Linear', 'Synaptic']
    """
    if not isinstance(network, SpikingNetwork):
        raise TypeError(f"{TO}: network must be a SpikingNetwork, got {type(network).__name__}.")
    checks.choice(TO, "refractory", refractory, ("error", "keep"))
    checks.choice(TO, "masks", masks, ("error", "zeros"))
    parts: list[nn.Module] = []
    for name, module in network.layers.named_children():
        layer = _checked(name, module, keep=refractory == "keep", zeros=masks == "zeros")
        synapses, scale = to_synapses(layer)
        if isinstance(synapses, nn.Linear) and parts and not isinstance(parts[-2], nn.Linear):
            parts.append(nn.Flatten())
        parts += [synapses, to_neuron(layer, scale=scale, init_hidden=init_hidden, spike_grad=spike_grad)]
    return nn.Sequential(*parts)


def from_snntorch(module: nn.Module) -> SpikingNetwork:
    """Return a network for ST-RSBP with the weights of a snnTorch network and the same spikes, see `to_snntorch`.

    Args:
        module: an `nn.Sequential`, nested or not, of pairs of synapses (`nn.Linear`, `nn.Conv2d`, `nn.AvgPool2d`) and
            neurons (`Synaptic`, `RSynaptic`) with `reset_mechanism="zero"`, and `nn.Flatten` between pairs. It is not
            changed.

    Raises:
        TypeError: `module` is no `nn.Sequential`.
        ValueError: the first part that does not map, and why.

    >>> import snntorch
    >>> neuron = snntorch.Synaptic(alpha=0.875, beta=0.984375, threshold=40.0, reset_mechanism="zero")
    >>> from_snntorch(nn.Sequential(nn.Linear(3, 2, bias=False), neuron)).layers[0]
    SpikingLayer(3, 2, threshold=5, tau_m=64, tau_s=8, refractory=1)
    """
    if not isinstance(module, nn.Sequential):
        raise TypeError(
            f"{FROM}: module must be an nn.Sequential, got {type(module).__name__}: in which order another module "
            "calls its parts cannot be read. Put its layers and neurons into an nn.Sequential; they may be shared."
        )
    pairs = list(_pairs(module))
    layers = [to_layer(*pair) for pair in pairs]
    for (name, *_), before, layer in zip(pairs[1:], layers, layers[1:], strict=False):
        made, taken = getattr(before, "out_features", None), getattr(layer, "in_features", None)
        if made is not None and taken is not None and made != taken:
            refuse(FROM, name, f"takes {taken} features, while {made} neurons stand before it", "Adapt its sizes.")
    if not layers:
        raise ValueError(f"{FROM}: module is empty. Give pairs of synapses and neurons.")
    return SpikingNetwork(*layers)


def _checked(name: str, layer: nn.Module, *, keep: bool, zeros: bool) -> NeuronLayer:
    """Return a layer if snnTorch has one like it."""
    if not isinstance(layer, LAYERS) or type(layer) not in LAYERS:
        remedy = "Convert the layers before and after it as networks of their own."
        refuse(TO, name, f"is a {type(layer).__name__}, which has no counterpart in snnTorch", remedy)
    if layer.lateral_inhibition:
        remedy = (
            "Make the inhibition a part of the recurrent weights of a RecurrentSpikingLayer, with "
            "train_recurrent=False if it shall stay as it is."
        )
        refuse(TO, name, "has lateral inhibition, which snnTorch does not have", remedy)
    if not keep and layer.refractory != 1 and (layer.refractory or layer.recurrent is not None):
        kind = "recurrent neuron" if layer.recurrent is not None else "neuron"
        remedy = 'Pass refractory="keep" for neurons of this package that have it, or train with refractory=1.'
        refuse(TO, name, f"has a refractory time of {layer.refractory}, which no {kind} of snnTorch has", remedy)
    if isinstance(layer, RecurrentSpikingLayer) and not zeros and not layer.recurrent_mask.all():
        remedy = 'Pass masks="zeros" to write weights of 0 there, which training may revive.'
        refuse(TO, name, "lacks recurrent connections, and snnTorch has no masks", remedy)
    return layer


def _pairs(module: nn.Sequential) -> Iterator[tuple[str, nn.Module, str, nn.Module]]:
    """Yield synapses and the neurons that they feed, each after its name."""
    waiting: tuple[str, nn.Module] | None = None
    flat, seen = True, set[nn.Module]()
    for name, part in _parts(module):
        if part in seen:
            refuse(FROM, name, "stands in two places, while layers of ST-RSBP share nothing", "Copy it.")
        seen.add(part)
        if isinstance(part, nn.Flatten):
            _check_flatten(name, part, between=waiting is not None)
            flat = True
        elif type(part) in SYNAPSES:
            if waiting is not None:
                refuse(FROM, waiting[0], f"feeds {name!r} without neurons between", "Put a Synaptic there.")
            if isinstance(part, nn.Linear) and not flat:
                refuse(FROM, name, "follows maps of (C, H, W)", "Put an nn.Flatten() before it.")
            waiting, flat = (name, part), isinstance(part, nn.Linear)
        elif waiting is not None and isinstance(part, SpikingNeuron):
            yield *waiting, name, part
            waiting = None
        else:
            _refuse_part(name, part)
    if waiting is not None:
        refuse(FROM, waiting[0], "is the last part and feeds no neurons", "Outputs are spike counts: add a Synaptic.")


def _parts(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    # `named_children` would leave out a part that is there a second time.
    for key, part in module._modules.items():
        if type(part) is nn.Sequential:
            yield from _parts(part, f"{prefix}{key}.")
        elif part is not None:
            yield f"{prefix}{key}", part


def _check_flatten(name: str, part: nn.Flatten, *, between: bool) -> None:
    if between:
        refuse(FROM, name, "stands between synapses and their neurons", "Put it before the synapses.")
    if (part.start_dim, part.end_dim) != (1, -1):
        what = f"flattens dimensions {part.start_dim} to {part.end_dim}"
        refuse(FROM, name, what, "ST-RSBP flattens all but the batch: use nn.Flatten().")


def _refuse_part(name: str, part: nn.Module) -> NoReturn:
    if isinstance(part, SpikingNeuron):
        refuse(
            FROM, name, "is not fed by synapses of its own", "Put an nn.Linear, nn.Conv2d or nn.AvgPool2d before it."
        )
    what = f"is a {type(part).__name__}, which has no counterpart in ST-RSBP"
    refuse(FROM, name, what, "Build the network without it, or put it before the network, where inputs become spikes.")
