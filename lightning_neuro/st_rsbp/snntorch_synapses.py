"""The same layer in two packages: a spiking layer here, a module of torch and a snnTorch neuron there."""

from typing import Any

import torch
from snntorch import RSynaptic
from torch import Tensor, nn

from lightning_neuro.st_rsbp.conv_layers import SpikingConvLayer, SpikingPoolLayer
from lightning_neuro.st_rsbp.layers import DenseNeuronLayer, RecurrentSpikingLayer, SpikingLayer
from lightning_neuro.st_rsbp.neuron_layer import NeuronLayer
from lightning_neuro.st_rsbp.snntorch_neurons import FROM, constants, copied, linear_with, refuse

SYNAPSES = (nn.Linear, nn.Conv2d, nn.AvgPool2d)


def to_synapses(layer: NeuronLayer) -> tuple[nn.Module, float]:
    """Return the module that feeds a layer's neurons, and the factor by which it delivers more than the layer does.

    >>> to_synapses(SpikingPoolLayer(2, threshold=2.0))
    (AvgPool2d(kernel_size=2, stride=2, padding=0), 0.25)
    """
    if isinstance(layer, SpikingPoolLayer):
        return nn.AvgPool2d(layer.kernel_size, layer.stride), 1 / layer.kernel_size**2
    if not isinstance(layer, SpikingConvLayer):
        return linear_with(layer.weight), 1.0
    sizes = layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding
    convolution = nn.Conv2d(*sizes, bias=False, device="meta")
    convolution.weight = copied(layer.weight)
    return convolution, 1.0


def to_layer(name: str, synapses: nn.Module, neuron_name: str, neuron: nn.Module) -> NeuronLayer:
    """Return the layer that fires as neurons of snnTorch do, with a copy of their weights.

    Args:
        name: where the synapses are.
        synapses: one of `SYNAPSES`.
        neuron_name: where the neurons are.
        neuron: which neurons.

    Raises:
        ValueError: a property that ST-RSBP does not have.
    """
    options = constants(neuron_name, neuron)
    if isinstance(synapses, nn.AvgPool2d):
        layer: NeuronLayer = _pooling(name, synapses, options)
        layer.to(neuron.get_buffer("threshold"))
    elif isinstance(synapses, nn.Conv2d):
        layer = _convolution(name, synapses, options)
        _copy(name, synapses, layer, "weight")
    else:
        layer = _dense(name, synapses, neuron_name, neuron, options)
    layer.threshold += layer.tolerance
    if isinstance(neuron, RSynaptic) and not isinstance(layer, RecurrentSpikingLayer):
        refuse(FROM, neuron_name, "is recurrent, which ST-RSBP has for fully connected layers alone", "Use Synaptic.")
    return layer


def _dense(name: str, synapses: Any, neuron_name: str, neuron: Any, options: dict[str, Any]) -> DenseNeuronLayer:
    sizes = synapses.in_features, synapses.out_features
    if not isinstance(neuron, RSynaptic):
        layer: DenseNeuronLayer = SpikingLayer(*sizes, **options)
        _copy(name, synapses, layer, "weight")
        return layer
    feedback = neuron.recurrent
    if type(feedback) is not nn.Linear:
        what = f"feeds back through {type(feedback).__name__}, while ST-RSBP connects all neurons with all"
        refuse(FROM, neuron_name, what, "Build it with all_to_all=True and linear_features.")
    layer = RecurrentSpikingLayer(*sizes, **options)
    _copy(name, synapses, layer, "weight")
    _copy(f"{neuron_name}.recurrent", feedback, layer, "recurrent_weight")
    return layer


def _convolution(name: str, synapses: nn.Conv2d, options: dict[str, Any]) -> SpikingConvLayer:
    for option, plain in (("dilation", (1, 1)), ("groups", 1), ("padding_mode", "zeros")):
        value = getattr(synapses, option)
        if value != plain:
            refuse(FROM, name, f"has {option}={value!r}, which ST-RSBP does not have", f"It needs {plain!r}.")
    sizes = [_side(name, synapses, option) for option in ("kernel_size", "stride", "padding")]
    return SpikingConvLayer(
        synapses.in_channels, synapses.out_channels, sizes[0], stride=sizes[1], padding=sizes[2], **options
    )


def _pooling(name: str, synapses: nn.AvgPool2d, options: dict[str, Any]) -> SpikingPoolLayer:
    size, stride, padding = (_side(name, synapses, option) for option in ("kernel_size", "stride", "padding"))
    if padding or synapses.ceil_mode:
        refuse(FROM, name, "pools beyond the border, which ST-RSBP does not", "Use padding=0 and ceil_mode=False.")
    options = options | {"threshold": options["threshold"] * (synapses.divisor_override or size**2)}
    return SpikingPoolLayer(size, stride=stride, **options)


def _side(name: str, synapses: nn.Module, option: str) -> int:
    value = getattr(synapses, option)
    sides = set(value) if isinstance(value, tuple) else {value}
    if len(sides) > 1 or isinstance(value, str):
        refuse(FROM, name, f"has {option}={value!r}, while ST-RSBP has square windows", "Give one number.")
    return int(sides.pop())


def _copy(name: str, source: Any, layer: NeuronLayer, weight_name: str) -> None:
    """Replace a weight of `layer` by a copy of that of `source`."""
    if "weight" not in dict(source.named_parameters(recurse=False)):
        what = "computes its weight, by pruning or normalisation, which ST-RSBP would not go on with"
        refuse(FROM, name, what, "Make it permanent first, as with torch.nn.utils.prune.remove.")
    if source.bias is not None and source.bias.count_nonzero():
        refuse(FROM, name, "has a bias, which ST-RSBP does not have", "Build it with bias=False.")
    weight: Tensor = source.weight
    if weight.dtype not in (torch.float32, torch.float64):
        what = f"has weights of {weight.dtype}, in which membranes miss spikes"
        refuse(FROM, name, what, "Convert the module first, with .float().")
    old = layer.get_parameter(weight_name)
    if weight.shape != old.shape:
        refuse(FROM, name, f"has a weight of {tuple(weight.shape)}, expected {tuple(old.shape)}", "Adapt its sizes.")
    layer.to(weight.device)
    setattr(layer, weight_name, copied(weight))
