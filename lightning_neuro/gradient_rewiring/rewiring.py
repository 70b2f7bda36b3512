"""Grad R on any torch optimizer, without Lightning."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

from torch import nn
from torch.optim import Optimizer

from lightning_neuro.common import checks
from lightning_neuro.gradient_rewiring import functional
from lightning_neuro.gradient_rewiring.admission import PerTensor, per_tensor
from lightning_neuro.gradient_rewiring.control import Moving, SparsityController
from lightning_neuro.gradient_rewiring.functional import ZeroSign
from lightning_neuro.gradient_rewiring.in_place import Step, rewire_
from lightning_neuro.gradient_rewiring.projection import OnNonfinite, Projection

PriorScale: TypeAlias = Literal["reference", "lr"]


class Rewiring(Projection):
    """Learns connections and weights together: each weight is a fixed sign times a rectified parameter theta.

    `w = s max(theta, 0)`; the gradient moves theta of connected and dormant synapses alike, and a Laplacian prior of
    rate alpha pulls theta towards its centre, far below 0 unless alpha is large. With a number for alpha this is the
    published rule, in which alpha decides how sparse the net becomes and `sparsity` only places the centre; with a
    controller, ours, the pull follows the sparsity.

    Args:
        optimizer: any elementwise torch optimizer; build it first. `LBFGS` is refused.
        named_parameters: pairs of a name and a weight that the optimizer trains, or a mapping.
        alpha: rate of the prior, at least 0, one for all or one by name; may be changed between steps in `.alpha`.
        sparsity: mass of the prior below 0, from 0.5 to below 1, one for all or one by name.
        zero_sign: what a weight that starts at 0 becomes: a dormant synapse of `"random"` sign, or `"dead"` as in
            the authors' code.
        prior_scale: `"reference"` scales the pull by Adam's bias-corrected learning rate and leaves it out where
            alpha is not above Adam's eps, as in the authors' code; `"lr"` by the learning rate. The same without Adam.
        theta_min: lower bound of theta, below 0, which bounds how long regrowth takes; None for none, as published.
        controller: sets the pull in place of alpha.
        schedule: factor of alpha as a function of the optimizer step, from 0; not with a controller.
        freeze_after: optimizer steps after which connections stay and only their weights learn; None for never.
        trim: leave only the strongest connections that the target allows when freezing, or when `finish` is called;
            of each tensor where targets are given by name or the controller's scope is `"layer"`, else of all.
        on_nonfinite: for NaN and infinite gradients: `"raise"`, `"skip"` the step, or `"ignore"`.
        seed: of the random signs.
        owner: opens the messages; None for the name of the class.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or outside its range, or a weight is tied, sharded or
            not the optimizer's. Nothing has changed then.

    Source: arXiv 2105.04916. With `torch.optim.Adam`, `zero_sign="dead"` and `prior_scale="reference"` as in the
    authors' `GradRewiring`.

    >>> import torch
    >>> weight = nn.Parameter(torch.tensor([0.5, -0.05]))
    >>> optimizer = torch.optim.SGD([weight], lr=0.1)
    >>> rewiring = Rewiring(optimizer, [("w", weight)], alpha=1.0, sparsity=0.9)
    >>> weight.grad = torch.zeros(2)
    >>> optimizer.step()
    >>> [round(v, 3) + 0.0 for v in weight.tolist()], [round(v, 3) for v in rewiring.theta["w"].tolist()]
    ([0.4, 0.0], [0.4, -0.05])
    """

    def __init__(
        self,
        optimizer: Optimizer,
        named_parameters: Iterable[tuple[str, nn.Parameter]] | Mapping[str, nn.Parameter],
        *,
        alpha: PerTensor = 1e-3,
        sparsity: PerTensor = 0.95,
        zero_sign: ZeroSign = "random",
        prior_scale: PriorScale = "reference",
        theta_min: float | None = None,
        controller: SparsityController | None = None,
        schedule: Callable[[int], float] | None = None,
        freeze_after: int | None = None,
        trim: bool = False,
        on_nonfinite: OnNonfinite = "raise",
        seed: int = 0,
        owner: str | None = None,
    ) -> None:
        super().__init__(
            optimizer,
            named_parameters,
            zero_sign=zero_sign,
            on_nonfinite=on_nonfinite,
            seed=seed,
            freeze_after=freeze_after,
            owner=owner,
        )
        owner = self.owner
        self.prior_scale: PriorScale = checks.choice(owner, "prior_scale", prior_scale, ("reference", "lr"))
        low = 0.0 if controller is not None else 0.5
        self.alpha = {
            name: checks.number(owner, "alpha", value, at_least=0)
            for name, value in per_tensor(owner, "alpha", alpha, self.weights).items()
        }
        self.sparsity = {
            name: checks.number(owner, "sparsity", value, at_least=low, below=1)
            for name, value in per_tensor(owner, "sparsity", sparsity, self.weights).items()
        }
        self.theta_min = -math.inf if theta_min is None else checks.number(owner, "theta_min", theta_min, below=0)
        if controller is not None and schedule is not None:
            raise ValueError(f"{owner}: schedule scales alpha, which the controller sets. Give one of the two.")
        if schedule is not None and not callable(schedule):
            raise TypeError(f"{owner}: schedule must be a function of the optimizer step, got {schedule!r}.")
        if controller is not None and not isinstance(controller, SparsityController):
            raise TypeError(f"{owner}: controller must be a SparsityController, got {controller!r}.")
        self.controller, self.schedule, self.trim = controller, schedule, checks.flag(owner, "trim", trim)
        self._check_ramp()
        # With a number for alpha there is no scope; targets by name are then each tensor's own.
        self._trim_each = isinstance(sparsity, Mapping) if controller is None else controller.scope == "layer"
        self._attach()

    def _check_ramp(self) -> None:
        ramp = 0 if self.controller is None else self.controller.ramp_steps
        if self.freeze_after is not None and 0 < self.freeze_after < ramp:
            raise ValueError(
                f"{self.owner}: the ramp must end before connections are frozen, or the target is missed, got a ramp "
                f"of {ramp} optimizer steps and freeze_after of {self.freeze_after}. Shorten it or freeze later."
            )

    def centre(self, name: str) -> float:
        """Return where the prior of a tensor is centred; with a controller it is out of reach."""
        if self.controller is not None:
            return -math.inf
        return functional.laplace_centre(self.sparsity[name], self.alpha[name])

    def freeze(self) -> None:
        """Keep the connections as they are from now on, trimmed to the target if that was asked for."""
        self.finish()
        super().freeze()

    def finish(self) -> None:
        """Trim to the target, if that was asked for and connections are not frozen; over all tensors or in each."""
        if not self.trim or self.frozen:
            return
        scopes = [[name] for name in self.theta] if self._trim_each else [list(self.theta)]
        for names in scopes:
            sizes = {name: self.theta[name].numel() for name in names}
            keep = round(sum((1 - self.sparsity[name]) * size for name, size in sizes.items()))
            self.trim_(functional.strongest({name: self.theta[name] for name in names}, keep))

    def state_dict(self) -> dict[str, Any]:
        """Return theta, signs, alpha, step count and the controller's state."""
        control = None if self.controller is None else self.controller.state_dict()
        return {**super().state_dict(), "alpha": dict(self.alpha), "controller": control}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state.

        Raises:
            ValueError: it belongs to other tensors; nothing has changed then.
        """
        super().load_state_dict(state)
        if self.controller is not None and state.get("controller") is not None:
            self.alpha = dict(state["alpha"])
            self.controller.load_state_dict(state["controller"])

    def _update_(self, names: list[str]) -> None:
        if self.frozen:
            self._fine_tune_(names)
            return
        groups = self._groups()
        if self.controller is not None:
            self._control(self.controller, [name for name in names if groups[id(self.weights[name])]["lr"] != 0])
        rewire_([self._step(name, groups[id(self.weights[name])]) for name in names])

    def _control(self, controller: SparsityController, names: list[str]) -> None:
        """Set the pull on what this step moves; nothing else is pulled or counted."""
        controller.drift = dict.fromkeys(self.weights, 0.0)
        controller.update(
            {n: Moving(self.theta[n], self.sign[n], self.weights[n].detach(), self.sparsity[n]) for n in names}
        )

    def _step(self, name: str, group: Mapping[str, Any]) -> Step:
        weight, theta, sign = self.weights[name], self.theta[name], self.sign[name]
        return Step(weight, theta, sign, self._drift(name, group), self.centre(name), self.theta_min)

    def _drift(self, name: str, group: Mapping[str, Any]) -> float:
        step = self._rate(name, group, corrected=self.prior_scale == "reference")
        if self.controller is not None:
            drift = self.controller.drift[name]
            self.alpha[name] = drift / step if step else 0.0
            return drift
        threshold = group.get("eps", 0.0) if self.prior_scale == "reference" and "betas" in group else 0.0
        strength = 1.0 if self.schedule is None else self._scheduled(self.schedule)
        return step * strength * self.alpha[name] if self.alpha[name] > threshold else 0.0

    def _scheduled(self, schedule: Callable[[int], float]) -> float:
        return checks.number(self.owner, f"schedule({self.steps})", schedule(self.steps), at_least=0)
