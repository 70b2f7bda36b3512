"""The backward pass of one layer: its own gradient, and the error of the layer below."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from lightning_neuro.st_rsbp import kernels
from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.backward import denominators, pulled
from lightning_neuro.st_rsbp.lateral import lateral_weight
from lightning_neuro.st_rsbp.neuron_layer import NeuronLayer
from lightning_neuro.st_rsbp.post_derivative import Drive, PostDerivative
from lightning_neuro.st_rsbp.recurrent_backward import adjoint
from lightning_neuro.st_rsbp.rule import GradientRule
from lightning_neuro.st_rsbp.synapses import Synapses


@dataclass
class Tally:
    """What a backward pass had to repair, summed over layers."""

    neurons: int = 0
    clamped: list[Tensor] = field(default_factory=list)
    given_up: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class Gains:
    """Errors of the potentials of a layer's neurons `(B, ...)`: for its own weights, and for the layer below."""

    own: Tensor
    below: Tensor


def backward_layer(
    layer: NeuronLayer,
    pre: Activity,
    post: Activity,
    delta: Tensor,
    derivative: PostDerivative,
    rule: GradientRule,
    tally: Tally,
    *,
    own_factor: Tensor | None = None,
    to_below: bool = True,
) -> Tensor | None:
    """Add a layer's gradient to `.grad` and return the error of the counts below `(B, *features)`, or None.

    Args:
        layer: the layer.
        pre: activity below.
        post: activity of the layer.
        delta: error of its counts `(B, ...)`.
        derivative: estimates its post-derivative.
        rule: how gradients are formed.
        tally: what had to be repaired is added here.
        own_factor: scales the layer's own gradient `(B, ...)`.
        to_below: whether the error below is wanted.
    """
    synapses = layer.synapses(tuple(pre.features))
    recurrent = recurrent_in_backward(layer, rule)
    gains = _gains(layer, synapses, recurrent, pre, post, delta, derivative, rule, tally, to_below)
    own = gains.own if own_factor is None else gains.own * own_factor
    _accumulate_(layer, synapses, pre, post, own)
    return pulled(synapses, post, gains.below, pre, rule.silent_ratio) if to_below else None


def recurrent_in_backward(layer: NeuronLayer, rule: GradientRule) -> Tensor | None:
    """Return the recurrent weights that the backward pass sees: trained ones, and lateral ones if so treated."""
    if not layer.lateral_inhibition or rule.lateral_treatment != "recurrent":
        return layer.recurrent
    lateral = lateral_weight(layer.weight.shape[0], layer.lateral_inhibition, layer.weight.detach())
    return lateral if layer.recurrent is None else layer.recurrent + lateral


def _gains(
    layer: NeuronLayer,
    synapses: Synapses,
    recurrent: Tensor | None,
    pre: Activity,
    post: Activity,
    delta: Tensor,
    derivative: PostDerivative,
    rule: GradientRule,
    tally: Tally,
    to_below: bool,
) -> Gains:
    fixed = layer.fixed_gain(rule.kind)
    if fixed is not None:
        return Gains(delta * fixed, delta * fixed)
    drives: Sequence[Drive] = [(synapses.drive, pre.counts)]
    if recurrent is not None:
        drives = [*drives, (lambda counts: counts @ recurrent.T, post.counts)]
    slope = derivative(drives, post.counts, layer.threshold, recurrent is not None)
    diagonal, kept = denominators(slope, layer.threshold, rule.gain_floor)
    tally.neurons += kept.numel()
    tally.clamped.append(kept.sum())
    error = delta / layer.threshold
    alone = error / diagonal
    if recurrent is None or (rule.kind == "published" and not to_below):
        return Gains(alone, alone)
    solved, given_up = adjoint(post, layer.neuron, recurrent, diagonal, error, rule)
    tally.given_up.append(given_up)
    return Gains(solved if rule.kind == "adjoint" else alone, solved)


def _accumulate_(layer: NeuronLayer, synapses: Synapses, pre: Activity, post: Activity, gains: Tensor) -> None:
    if layer.weight.requires_grad:
        add_to_grad_(layer.weight, synapses.weight_gradient(post, gains, pre))
    recurrent, mask = getattr(layer, "recurrent_weight", None), getattr(layer, "recurrent_mask", None)
    if recurrent is not None and recurrent.requires_grad:
        gradient = kernels.weight_gradient(
            post.spikes, gains, post.spikes, lambda: post.trace(layer.neuron), layer.neuron, backend=layer.backend
        )
        add_to_grad_(recurrent, gradient if mask is None else gradient.mul_(mask))


def add_to_grad_(parameter: Tensor, gradient: Tensor) -> None:
    """Add to `.grad`, or set it where there is none; `gradient` must be nobody else's."""
    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
