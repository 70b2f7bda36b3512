"""Export to NIR, the exchange format of neuromorphic simulators and chips: `pip install 'lightning-neuro[neuro]'`.

NIR writes neurons as differential equations. Those of its current-based neuron `CubaLIF`,

    tau_syn dI/dt = -I + w_in S        tau_mem dv/dt = v_leak - v + r I

are ours where time goes in steps `dt`, the current is updated first, and then the membrane with the new current:

    I <- (1 - dt/tau_syn) I + (dt/tau_syn) w_in S        v <- (1 - dt/tau_mem) v + (dt/tau_mem) r I

| NIR | value | here |
|---|---|---|
| `tau_syn`, `tau_mem` | `tau_s dt`, `tau_m dt` | time constants are in steps |
| `w_in` | 1 | a spike's current has area 1: I is p / tau_s |
| `r` | `tau_m` | the membrane adds the current as it is |
| `v_threshold` | `threshold - tolerance` | |
| `v_leak`, `v_reset` | 0 | |

The delay of one step by which a layer hears the one before is not written: who reads the graph runs layers in the
order of its edges, each step through all of them, and fires L steps earlier for L layers. A recurrent layer is a cycle,
which needs a delay of one step in every reader, as here.
"""

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.st_rsbp.conv_layers import SpikingConvLayer, SpikingPoolLayer
from lightning_neuro.st_rsbp.layers import DenseNeuronLayer
from lightning_neuro.st_rsbp.network import SpikingNetwork
from lightning_neuro.st_rsbp.neuron_layer import NeuronLayer
from lightning_neuro.st_rsbp.snntorch_neurons import refuse

if TYPE_CHECKING:
    import nir

OWNER = "to_nir"


def to_nir(
    network: SpikingNetwork,
    *,
    input_shape: Sequence[int] | None = None,
    time_step: float = 1e-4,
    refractory: Literal["error", "drop"] = "error",
) -> "nir.NIRGraph":
    """Return the network as a NIR graph; `nir.write(path, graph)` writes a file.

    Nodes are named after layers: `layer0_weight`, `layer0_neuron`, `layer0_recurrent`, between `input` and `output`.
    Missing recurrent connections are written as weights of 0.

    Args:
        network: it is not changed.
        input_shape: neurons below the first layer, `(C, H, W)` for convolutions; `(M,)` by default.
        time_step: seconds per step; snnTorch reads graphs with 1e-4.
        refractory: what to do with a refractory time above 0, which NIR cannot write: `"drop"` leaves it out, and the
            graph fires more than the network.

    Raises:
        ModuleNotFoundError: nir is not installed.
        TypeError: `network` is no `SpikingNetwork`.
        ValueError: the first layer that NIR cannot write, and why; or an `input_shape` that does not fit.

    >>> from lightning_neuro.st_rsbp.layers import RecurrentSpikingLayer
    >>> graph = to_nir(SpikingNetwork(RecurrentSpikingLayer(3, 2, threshold=5.0, refractory=0)))
    >>> for edge in graph.edges:
    ...     print(*edge)
    input layer0_weight
    layer0_weight layer0_neuron
    layer0_neuron layer0_recurrent
    layer0_recurrent layer0_neuron
    layer0_neuron output
    """
    if not isinstance(network, SpikingNetwork):
        raise TypeError(f"{OWNER}: network must be a SpikingNetwork, got {type(network).__name__}.")
    checks.number(OWNER, "time_step", time_step, above=0)
    checks.choice(OWNER, "refractory", refractory, ("error", "drop"))
    nir = _import_nir()
    features = _input_shape(network, input_shape)
    nodes, edges, last = {"input": nir.Input(np.array(features))}, [], "input"
    for place, layer in enumerate(_checked(network, drop=refractory == "drop")):
        for kind, node in _chain(layer, features, time_step).items():
            name = f"layer{place}_{kind}"
            nodes[name] = node
            edges.append((last, name))
            last = name
        if layer.recurrent is not None:
            feedback = f"layer{place}_recurrent"
            nodes[feedback] = nir.Linear(_array(layer.recurrent))
            edges += [(last, feedback), (feedback, last)]
        features = layer.output_shape(features)
    nodes["output"] = nir.Output(np.array(features))
    return nir.NIRGraph(nodes, [*edges, (last, "output")], metadata={"time_step": time_step})


def _import_nir() -> ModuleType:
    try:
        import nir
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{OWNER}: NIR export needs nir. Install it with: pip install 'lightning-neuro[neuro]'."
        ) from error
    module: ModuleType = nir
    return module


def _input_shape(network: SpikingNetwork, given: Sequence[int] | None) -> tuple[int, ...]:
    """Return the shape of the network's inputs, or raise if it is unknown or does not fit."""
    layers = list(network.layers.children())
    first = layers[0]
    if given is None and not isinstance(first, DenseNeuronLayer):
        raise ValueError(
            f"{OWNER}: input_shape is needed where the first layer is a {type(first).__name__}. "
            "Give (C, H, W) of the inputs."
        )
    own = (first.in_features,) if given is None and isinstance(first, DenseNeuronLayer) else given or ()
    shape = features = tuple(checks.integer(OWNER, "input_shape", size, at_least=1) for size in own)
    for place, layer in enumerate(layers):
        try:
            features = cast(NeuronLayer, layer).output_shape(features)
        except ValueError as error:
            raise ValueError(f"{OWNER}: layer {place} does not fit input_shape {shape}. {error}") from error
    return shape


def _checked(network: SpikingNetwork, *, drop: bool) -> Iterator[NeuronLayer]:
    """Yield the layers, or raise at the first that NIR cannot write."""
    for name, layer in network.layers.named_children():
        if not isinstance(layer, DenseNeuronLayer | SpikingConvLayer | SpikingPoolLayer):
            refuse(OWNER, name, f"is a {type(layer).__name__}, which has no counterpart", "Export the others alone.")
        if layer.lateral_inhibition:
            remedy = (
                "Make the inhibition a part of the recurrent weights of a RecurrentSpikingLayer, with "
                "train_recurrent=False if it shall stay as it is."
            )
            refuse(OWNER, name, "has lateral inhibition, which NIR neurons do not have", remedy)
        if layer.refractory and not drop:
            what = f"has a refractory time of {layer.refractory}, which NIR neurons do not have"
            refuse(OWNER, name, what, 'Train with refractory=0, or pass refractory="drop" for a graph that fires more.')
        yield layer


def _chain(layer: NeuronLayer, features: tuple[int, ...], time_step: float) -> dict[str, Any]:
    """Return the nodes of a layer, without recurrence, in their order."""
    nir = _import_nir()
    chain: dict[str, Any] = {}
    weight = _array(layer.weight)
    if isinstance(layer, SpikingConvLayer):
        chain["weight"] = nir.Conv2d(
            features[1:], weight, layer.stride, layer.padding, 1, 1, np.zeros(len(weight), weight.dtype)
        )
    elif isinstance(layer, SpikingPoolLayer):
        size, stride = np.array([layer.kernel_size] * 2), np.array([layer.stride] * 2)
        chain["weight"] = nir.SumPool2d(size, stride, np.zeros(2, int))
    else:
        if len(features) > 1:
            chain["flatten"] = nir.Flatten(np.array(features), start_dim=0)
        chain["weight"] = nir.Linear(weight)
    return chain | {"neuron": _neuron(layer, layer.output_shape(features), time_step)}


def _neuron(layer: NeuronLayer, shape: tuple[int, ...], time_step: float) -> Any:
    def constant(value: float) -> NDArray[np.floating[Any]]:
        return np.full(shape, value, _array(layer.weight).dtype)

    neuron = layer.neuron
    return _import_nir().CubaLIF(
        tau_syn=constant(neuron.tau_s * time_step),
        tau_mem=constant(neuron.tau_m * time_step),
        r=constant(neuron.tau_m),
        v_leak=constant(0),
        v_threshold=constant(neuron.fires_above),
        v_reset=constant(0),
        w_in=constant(1),
    )


def _array(weight: Tensor) -> NDArray[np.floating[Any]]:
    # A copy, so that training on does not change the graph.
    array: NDArray[np.floating[Any]] = weight.detach().cpu().numpy().copy()
    return array
