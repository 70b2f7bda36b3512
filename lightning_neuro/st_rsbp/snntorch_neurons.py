"""The same neuron in two packages: constants of a layer here, a `Synaptic` or `RSynaptic` of snnTorch there.

| here | snnTorch | why |
|---|---|---|
| `1 - 1/tau_s`, `1 - 1/tau_m` | `alpha`, `beta` | decay per step |
| `v` | `mem / tau_s` | here one spike's current has area 1, there it starts with 1 |
| `threshold - tolerance` | `threshold / tau_s` | the same scale; weights stay as they are |
| `refractory=1` | `reset_delay=True` | the reset of the next step drops what arrives in it |
| `refractory=0` | `reset_delay=False` | the reset acts at once |
| recurrent weights | `recurrent.weight` | both with a delay of one step |

Inputs arrive one step later here than there, so a stack of L layers fires L steps later.
"""

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from snntorch import Leaky, RLeaky, RSynaptic, Synaptic
from torch import Tensor, nn

from lightning_neuro.spiking.surrogate import ATan
from lightning_neuro.st_rsbp.neuron_layer import NeuronLayer
from lightning_neuro.st_rsbp.refractory_neurons import RefractoryRSynaptic, RefractorySynaptic

SpikeGradient = Callable[[Tensor], Tensor]
TO, FROM = "to_snntorch", "from_snntorch"
NEURONS = (Synaptic, RSynaptic, RefractorySynaptic, RefractoryRSynaptic)
# With reset to zero these are special cases of others. `Leaky` drops the old membrane alone, `RLeaky` the input too.
_SAME_AS = {Leaky: "Synaptic(alpha=0, reset_delay=False, ...)", RLeaky: "RSynaptic(alpha=0, ...)"}


def refuse(owner: str, name: str, what: str, remedy: str) -> NoReturn:
    """Raise the error that names the first part that does not map.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{owner}: {name!r} {what}. {remedy}")


def to_neuron(layer: NeuronLayer, *, scale: float, init_hidden: bool, spike_grad: SpikeGradient | None) -> nn.Module:
    """Return the snnTorch neuron that fires as the neurons of a layer do.

    Args:
        layer: without lateral inhibition; of its weights the recurrent ones are copied.
        scale: factor between the layer's weights and those of the module that will feed the neuron.
        init_hidden: whether the neuron keeps its state between calls.
        spike_grad: surrogate gradient; None for an arc tangent as wide as the threshold.

    >>> from lightning_neuro.st_rsbp.layers import SpikingLayer
    >>> neuron = to_neuron(SpikingLayer(2, 1, threshold=5.0, refractory=1), scale=1, init_hidden=True, spike_grad=None)
    >>> neuron.alpha.item(), neuron.beta.item(), round(neuron.threshold.item(), 4)
    (0.875, 0.984375, 40.0)
    """
    neuron = layer.neuron
    threshold = neuron.fires_above * neuron.tau_s * scale

    def like(value: float) -> Tensor:
        return torch.tensor(value, dtype=layer.weight.dtype, device=layer.weight.device)

    options: dict[str, Any] = {
        "alpha": like(neuron.synapse_decay),
        "beta": like(neuron.membrane_decay),
        "threshold": like(threshold),
        "init_hidden": init_hidden,
        "spike_grad": ATan(2 / threshold) if spike_grad is None else spike_grad,
    }
    if layer.recurrent is None:
        return _feed_forward(neuron.refractory, options)
    return _recurrent(layer, options)


def constants(name: str, neuron: nn.Module) -> dict[str, Any]:
    """Return threshold (without tolerance), time constants and refractory time of a snnTorch neuron.

    Args:
        name: where the neuron is.
        neuron: one of `NEURONS`.

    Raises:
        ValueError: a property that ST-RSBP does not have.

    >>> constants("1", Synaptic(0.5, 0.75, threshold=4.0, reset_mechanism="zero"))
    {'threshold': 2.0, 'tau_m': 4.0, 'tau_s': 2.0, 'refractory': 1}
    """
    if type(neuron) not in NEURONS:
        same = _SAME_AS.get(type(neuron))
        remedy = f"With reset to zero, {same} fires the same spikes." if same else "Use Synaptic or RSynaptic."
        refuse(FROM, name, f"is a {type(neuron).__name__}, which has no counterpart in ST-RSBP", remedy)
    _refuse_foreign(name, neuron)
    tau_m, tau_s = (_time_constant(name, neuron, constant) for constant in ("beta", "alpha"))
    return {
        "threshold": _scalar(name, neuron, "threshold") / tau_s,
        "tau_m": tau_m,
        "tau_s": tau_s,
        "refractory": _refractory(name, neuron),
    }


def _feed_forward(refractory: int, options: dict[str, Any]) -> nn.Module:
    if refractory > 1:
        return RefractorySynaptic(refractory=refractory, **options)
    neuron: nn.Module = Synaptic(reset_mechanism="zero", reset_delay=refractory == 1, **options)
    return neuron


def _recurrent(layer: NeuronLayer, options: dict[str, Any]) -> nn.Module:
    feedback = layer.get_parameter("recurrent_weight")
    options = options | {"linear_features": len(feedback), "learn_recurrent": feedback.requires_grad}
    # snnTorch draws weights from torch's global generator, although these are replaced.
    with torch.random.fork_rng(devices=[]):
        if layer.refractory == 1:
            neuron: nn.Module = RSynaptic(reset_mechanism="zero", **options)
        else:
            neuron = RefractoryRSynaptic(refractory=layer.refractory, **options)
    # snnTorch's own would bring a bias, which ST-RSBP does not have.
    neuron.recurrent = linear_with(feedback)
    return neuron


def linear_with(weight: Tensor) -> nn.Linear:
    """Return a linear layer without bias that holds a copy of `weight`, and is trained if that is."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    linear.weight = copied(weight)
    return linear


def copied(weight: Tensor) -> nn.Parameter:
    """Return a copy of a weight, which is trained if that is."""
    return nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)


def _refuse_foreign(name: str, neuron: Any) -> None:
    if neuron.reset_mechanism != "zero":
        what = f"has reset_mechanism={neuron.reset_mechanism!r}, while ST-RSBP resets to zero"
        refuse(FROM, name, what, 'Build it with reset_mechanism="zero".')
    for option in ("inhibition", "state_quant"):
        if getattr(neuron, option):
            refuse(FROM, name, f"has {option}, which ST-RSBP does not have", "Build it without.")
    if _scalar(name, neuron, "graded_spikes_factor") != 1:
        refuse(FROM, name, "has graded spikes, while ST-RSBP's are 0 or 1", "Move the factor into the next weights.")


def _time_constant(name: str, neuron: nn.Module, constant: str) -> float:
    value = max(0.0, _scalar(name, neuron, constant))
    if value >= 1:
        refuse(FROM, name, f"has {constant}={value:g}, and so no leak", f"ST-RSBP needs a {constant} below 1.")
    return 1 / (1 - value)


def _scalar(name: str, neuron: nn.Module, constant: str) -> float:
    value = getattr(neuron, constant)
    if value.requires_grad:
        remedy = f"Freeze it first: neuron.{constant}.requires_grad_(False)."
        refuse(FROM, name, f"learns its {constant}, while ST-RSBP trains weights alone", remedy)
    if (value != value.flatten()[0]).any():
        remedy = "ST-RSBP has one for each layer; build the neuron with a single number."
        refuse(FROM, name, f"has a {constant} for each neuron", remedy)
    return float(value.flatten()[0])


def _refractory(name: str, neuron: Any) -> int:
    if isinstance(neuron, RefractorySynaptic | RefractoryRSynaptic):
        return neuron.refractory
    if isinstance(neuron, RSynaptic) and not neuron.reset_delay:
        what = "has reset_delay=False, which RSynaptic of snnTorch 1.0 fails on or leaves without effect"
        refuse(FROM, name, what, "Build it with reset_delay=True, which is a refractory time of 1.")
    return int(neuron.reset_delay)
