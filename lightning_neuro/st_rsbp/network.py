"""A stack of spiking layers that is trained at spike-train level."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.derivatives import Derivatives
from lightning_neuro.st_rsbp.exactness import exact
from lightning_neuro.st_rsbp.input_checks import as_spikes, layout_hint
from lightning_neuro.st_rsbp.lateral import lateral_factor
from lightning_neuro.st_rsbp.layer_backward import Tally, add_to_grad_, backward_layer
from lightning_neuro.st_rsbp.loss import CountLoss, LossOnCounts, WantsCounts, forced
from lightning_neuro.st_rsbp.neuron_layer import NeuronLayer
from lightning_neuro.st_rsbp.output_error import OutputError, output_error
from lightning_neuro.st_rsbp.post_derivative import PostDerivative
from lightning_neuro.st_rsbp.regulariser import ExponentialRegulariser, check_regulariser
from lightning_neuro.st_rsbp.rule import GradientRule, Kind, as_rule

OWNER = "SpikingNetwork"


@dataclass(frozen=True)
class BackwardResult:
    """What a backward pass found; tensors without dimensions unless said otherwise.

    Args:
        loss: weighted mean over the batch, without the regulariser.
        counts: output spike counts `(B, K)`, as fired.
        predictions: classes `(B,)`, the first of the largest counts.
        clamped: share of neurons whose D was kept at its bound, from 0 to 1.
        teacher_forced: output neurons that were made to fire.
        given_up: samples, summed over layers, whose linear system went beyond the rule's limit.
    """

    loss: Tensor
    counts: Tensor
    predictions: Tensor
    clamped: Tensor
    teacher_forced: Tensor
    given_up: Tensor


class SpikingNetwork(nn.Module):
    """Layers of spiking neurons, one after the other.

    `forward` simulates and returns output counts, without an autograd graph; `backward` forms the gradients from the
    spike trains. In training mode `forward` keeps what `backward` needs, and `backward` frees it; in evaluation mode
    nothing is kept.

    Args:
        layers: `SpikingLayer`, `RecurrentSpikingLayer`, `SpikingConvLayer`, `SpikingPoolLayer` in any order; fully
            connected layers flatten what comes from convolutions.
        seed: draws the weights of all layers anew, each from its own stream; None leaves them as they are.

    Raises:
        TypeError, ValueError: no layers, or something else than layers.

    >>> from lightning_neuro.st_rsbp.layers import RecurrentSpikingLayer, SpikingLayer
    >>> net = SpikingNetwork(RecurrentSpikingLayer(4, 6, threshold=2.0), SpikingLayer(6, 2, threshold=2.0))
    >>> spikes = torch.rand(50, 3, 4, generator=torch.Generator().manual_seed(0)) < 0.2
    >>> net(spikes).shape
    torch.Size([3, 2])
    >>> result = net.backward(torch.tensor([0, 1, 1]), loss=CountLoss(10, 2, 1))
    >>> net.layers[0].recurrent_weight.grad.shape
    torch.Size([6, 6])
    """

    def __init__(self, *layers: NeuronLayer, seed: int | None = None) -> None:
        super().__init__()
        if not layers:
            raise ValueError(f"{OWNER}: at least one layer is needed, got none.")
        for place, layer in enumerate(layers):
            if not isinstance(layer, NeuronLayer):
                raise TypeError(
                    f"{OWNER}: layer {place} must be a spiking layer of this package, got {type(layer).__name__}. "
                    "from_snntorch converts models of snnTorch."
                )
        self.layers = nn.ModuleList(layers)
        self._derivatives = Derivatives()
        self._activities: list[Activity] | None = None
        self._rates: dict[str, Tensor] = {}
        self._warned: set[tuple[str, float | None, int]] = set()
        if seed is not None:
            self.reset_parameters(seed)

    def reset_parameters(self, seed: int) -> None:
        """Draw all weights anew, each layer's from its own stream."""
        seeds = torch.randint(1 << 62, (len(self.layers),), generator=torch.Generator().manual_seed(seed))
        for layer, own in zip(self._stack(), seeds.tolist(), strict=True):
            layer.reset_parameters(torch.Generator().manual_seed(own))

    def forward(self, spikes: Tensor) -> Tensor:
        """Return the output spike counts `(B, K)`.

        Args:
            spikes: time-first `(T, B, M)`, or `(T, B, C, H, W)` for convolutions; bool, or zeros and ones.

        Raises:
            TypeError, ValueError: spikes or weights that the network cannot take; what was kept before is kept still.
        """
        spikes = as_spikes(OWNER, spikes)
        self._check(spikes)
        return self._simulate(spikes)

    def backward(
        self,
        targets: Tensor,
        *,
        loss: LossOnCounts | None = None,
        rule: Kind | GradientRule = "adjoint",
        sample_weight: Tensor | None = None,
        regulariser: ExponentialRegulariser | None = None,
    ) -> BackwardResult:
        """Add the gradient of the batch's mean loss to `.grad` of every trained weight.

        Args:
            targets: classes `(B,)`, or wanted counts `(B, K)`; whatever `loss` takes.
            loss: `CountLoss()` by default, or a function of counts and targets that returns the loss of each sample
                `(B,)` and its derivative to the counts `(B, K)`.
            rule: `"adjoint"`, `"published"`, or a `GradientRule`.
            sample_weight: `(B,)`, at least 0; scales loss and gradient of each sample.
            regulariser: its gradient is added once per call.

        Raises:
            RuntimeError: there was no forward in training mode since the last backward.
            TypeError, ValueError: what does not fit the batch or the network; nothing has changed, and `backward` may
                be called again.
        """
        if self._activities is None:
            raise RuntimeError(
                f"{OWNER}: backward needs a forward in training mode before it, and uses it up. Call the network once "
                "for each backward, after .train()."
            )
        loss, rule = CountLoss() if loss is None else loss, as_rule(OWNER, "rule", rule)
        steps, counts = len(self._activities[0].spikes), self._activities[-1].counts.flatten(1)
        self._check_weights()
        error = output_error(loss, counts, targets, sample_weight, steps)
        derivatives = self._post_derivatives(rule, self._activities[0].spikes)
        penalties = self._penalties(regulariser)
        self._warn_unreachable(loss, counts, targets, steps)
        # From here on nothing that a user has given can fail.
        activities, self._activities = self._activities, None
        for weight, gradient in penalties:
            add_to_grad_(weight, gradient)
        return self._backward(counts, activities, error, rule, derivatives)

    def rates(self) -> dict[str, Tensor]:
        """Return the mean spikes per neuron and step of each layer in the last forward, by the layer's place."""
        return dict(self._rates)

    def _stack(self) -> list[NeuronLayer]:
        return [layer for layer in self.layers if isinstance(layer, NeuronLayer)]

    def _check(self, spikes: Tensor) -> None:
        features = tuple(spikes.shape[2:])
        dtypes = set()
        self._check_weights()
        for place, layer in enumerate(self._stack()):
            dtypes.add(layer.weight.dtype)
            try:
                features = layer.output_shape(features)
            except ValueError as error:
                hint = "" if place else layout_hint(tuple(spikes.shape), getattr(layer, "in_features", -1))
                raise ValueError(f"{OWNER}: layer {place} does not fit. {error} {hint}".rstrip()) from error
        if len(dtypes) > 1:
            raise TypeError(f"{OWNER}: layers must agree in type, got {sorted(map(str, dtypes))}. Convert with .to().")

    def _check_weights(self) -> None:
        for place, layer in enumerate(self._stack()):
            try:
                layer.check_weights()
            except (TypeError, ValueError) as error:
                raise type(error)(f"{OWNER}: layer {place} cannot be used. {error}") from error

    @exact
    def _simulate(self, spikes: Tensor) -> Tensor:
        stack = self._stack()
        activity = Activity(spikes, stack[0].weight.dtype, stack[0].backend)
        activities = [activity]
        for place, layer in enumerate(stack):
            activity = layer.simulate(activity, with_trace=self.training and _trace_is_used(stack, place))
            self._rates[str(place)] = activity.spikes.count_nonzero() / activity.spikes.numel()
            if self.training:
                activities.append(activity)
        self._activities = activities if self.training else None
        return activity.counts.flatten(1)

    @exact
    def _backward(
        self,
        counts: Tensor,
        activities: list[Activity],
        error: OutputError,
        rule: GradientRule,
        derivatives: list[PostDerivative],
    ) -> BackwardResult:
        stack, tally = self._stack(), Tally()
        factor, activities[-1] = _prepare_output(stack[-1], activities[-1], error.intervals, rule)
        delta: Tensor | None = error.delta.view_as(activities[-1].counts)
        while stack and delta is not None:
            layer, post, derivative = stack.pop(), activities.pop(), derivatives.pop()
            delta = backward_layer(
                layer, activities[-1], post, delta, derivative, rule, tally, own_factor=factor, to_below=bool(stack)
            )
            factor = None
        return BackwardResult(
            loss=error.loss,
            counts=counts,
            predictions=counts.argmax(1),
            clamped=_total(tally.clamped, counts) / max(1, tally.neurons),
            teacher_forced=error.forced,
            given_up=_total(tally.given_up, counts),
        )

    def _warn_unreachable(self, loss: LossOnCounts, counts: Tensor, targets: Tensor, steps: int) -> None:
        wanted = loss.wanted(counts, targets.to(counts.device)) if isinstance(loss, WantsCounts) else None
        told = type(loss).__name__, getattr(loss, "desired_count", None), steps
        if wanted is None or told in self._warned:
            return
        refractory, most = self._stack()[-1].refractory, float(wanted.max())
        reachable = (steps - 1 + refractory) // (refractory + 1)  # step 0 never fires
        if most <= reachable:
            return
        self._warned.add(told)
        warnings.warn(
            f"{OWNER}: a desired count of {most:g} cannot be reached in {steps} steps with a refractory time of "
            f"{refractory}: at most {reachable} spikes fit. Lower the counts in CountLoss or targets, or give more "
            "steps.",
            UserWarning,
            stacklevel=3,
        )

    @exact
    def _post_derivatives(self, rule: GradientRule, spikes: Tensor) -> list[PostDerivative]:
        return [self._derivatives.of(rule, layer.neuron, len(spikes)) for layer in self._stack()]

    def _penalties(self, regulariser: ExponentialRegulariser | None) -> list[tuple[Tensor, Tensor]]:
        """Return trained weights and what a regulariser adds to the gradient of each."""
        if regulariser is None:
            return []
        check_regulariser(OWNER, regulariser)
        found: list[tuple[Tensor, Tensor]] = []
        for place, layer in enumerate(self._stack()):
            weights = list(layer.parameters(recurse=False))
            if weights:
                mask = getattr(layer, "recurrent_mask", None)
                gradients = regulariser.gradients([w.detach() for w in weights], mask)
                if not all(gradient.isfinite().all() for gradient in gradients):
                    raise ValueError(
                        f"{OWNER}: what the regulariser adds to layer {place} is not finite. Lower its beta, or raise "
                        "its limit."
                    )
                found += zip(weights, gradients, strict=True)
        return [(weight, gradient) for weight, gradient in found if weight.requires_grad]


def _trace_is_used(stack: list[NeuronLayer], place: int) -> bool:
    """Tell whether the trace that a layer's own constants give will be needed by itself or the next layer."""
    layer = stack[place]
    following = stack[place + 1].neuron if place + 1 < len(stack) else None
    shared = following is not None and (following.tau_m, following.tau_s) == (layer.tau_m, layer.tau_s)
    return shared or layer.recurrent is not None or layer.lateral_inhibition > 0


def _prepare_output(
    layer: NeuronLayer, fired: Activity, intervals: Tensor | None, rule: GradientRule
) -> tuple[Tensor | None, Activity]:
    """Return the lateral factor of the output as fired, and the output with silent targets made to fire."""
    factor = None
    if layer.lateral_inhibition and rule.lateral_treatment == "factor":
        targets = None if intervals is None else intervals > 0
        factor = lateral_factor(fired, layer.neuron, layer.lateral_inhibition, targets, rule.silent_ratio)
    if intervals is None:
        return factor, fired
    silent = intervals * (fired.counts.flatten(1) == 0)
    if not silent.any():
        return factor, fired
    spikes = forced(fired.spikes.flatten(2), silent).view(fired.spikes.shape)
    return factor, Activity(spikes, fired.dtype, fired.backend)


def _total(parts: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack(parts).sum() if parts else like.new_zeros(())
