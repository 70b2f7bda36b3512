"""A gradient activation function around any torch optimizer."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import LBFGS, SGD, Optimizer

from lightning_neuro.common import checks
from lightning_neuro.common.selection import Selector, reusable, select_tensors
from lightning_neuro.gradient_activation import functional
from lightning_neuro.gradient_activation.activation import Activation
from lightning_neuro.gradient_activation.functional import ActivationFunction
from lightning_neuro.gradient_activation.nonfinite import NonfiniteGuard, OnNonfinite

STATE_KEY = "gradient_activation_step"


class GradientActivationOptimizer(Optimizer):
    """An optimizer that activates gradients, or its updates, with a function G.

    With `placement="gradient"` the wrapped optimizer steps on G(g), in place in `.grad`: weight decay and momentum
    see activated gradients and are not activated themselves. With `placement="update"` the wrapped optimizer steps as
    ever and its update u, with momentum and weight decay in it, becomes G(u): no weight moves further than
    `lr * alpha * pi / 2` (atan) in a step, and `.grad` is not touched. In Lightning the order is clip, then activate.

    For `torch.optim.SGD` the update is read from the momentum buffer exactly; for other optimizers it is the change
    of the weights over the learning rate, to rounding. Adam's updates are all near 1 already, so G would flatten
    them: a warning says so. For Adam with `placement="gradient"`, alpha has no effect; only beta matters.

    The parameter groups, state and `state_dict` are those of the wrapped optimizer, so schedulers, scalers and
    checkpoints work, and a checkpoint loads with or without the wrapper. A group's entries `gradient_activation`,
    `gradient_activation_alpha` and `gradient_activation_beta` win over the arguments.

    Args:
        optimizer: any optimizer but `LBFGS`, whose line search needs the true gradient.
        function: a name of `functional.FUNCTIONS` or a callable `(gradient, alpha, beta) -> Tensor`.
        alpha: scale of the output, greater than 0.
        beta: scale of the input, greater than 0; `alpha * beta` is the factor by which the smallest gradients grow.
        placement: what is activated, `"gradient"` or `"update"`.
        select: parameters to activate: themselves, a predicate `(name, parameter) -> bool`, or names where the
            optimizer was built from `named_parameters()`; `None` for all, as the authors do.
        exclude: the same, taken away.
        warmup_steps: optimizer steps over which the strength grows linearly from 0 to 1.
        schedule: strength in [0, 1] as a function of the optimizer step; instead of `warmup_steps`.
        on_nonfinite: `"raise"`, `"skip"` the step, `"zero"` the elements, or `"ignore"`.

    Raises:
        TypeError: `optimizer` is not one, is `LBFGS`, or is wrapped already.
        ValueError: an argument is outside its range.

    Source: arXiv 2107.04228; the two placements are those of the authors' `SGD_atan` and `SGD_atanMom`. Differs from
    their classes: these also write weight decay into `.grad`.

    >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
    >>> optimizer = GradientActivationOptimizer(SGD([weight], lr=0.1), "atan", alpha=0.1, beta=20.0)
    >>> weight.grad = torch.tensor([1e3])
    >>> optimizer.step()
    >>> round(1 - weight.item(), 5)
    0.01571
    """

    def __init__(
        self,
        optimizer: Optimizer,
        function: ActivationFunction = "atan",
        alpha: float = 0.1,
        beta: float = 20.0,
        *,
        placement: Literal["gradient", "update"] = "gradient",
        select: Selector | None = None,
        exclude: Selector | None = None,
        warmup_steps: int = 0,
        schedule: Callable[[int], float] | None = None,
        on_nonfinite: OnNonfinite = "raise",
    ) -> None:
        owner = type(self).__name__
        _check_wrappable(owner, optimizer)
        self.optimizer = optimizer
        self.activation = Activation(owner, function, alpha, beta, warmup_steps, schedule)
        self.placement = checks.choice(owner, "placement", placement, ("gradient", "update"))
        self.guard = NonfiniteGuard(owner, on_nonfinite)
        self.step_count = 0
        self.select = reusable(owner, "select", select)
        self.exclude = reusable(owner, "exclude", exclude)
        if placement == "update" and not isinstance(optimizer, SGD):
            warnings.warn(
                f"{owner}: placement='update' is meant for SGD. The updates of {type(optimizer).__name__} may be of "
                "one size already, so that all saturate; use placement='gradient'.",
                stacklevel=2,
            )
        self._own_hooks()
        self._selected = self._select()

    @classmethod
    def from_slope_and_bound(
        cls, optimizer: Optimizer, function: str = "atan", *, slope: float, bound: float, **options: Any
    ) -> "GradientActivationOptimizer":
        """Build from what a user can reason about: how much the smallest grow, and how large the largest may be.

        Args:
            optimizer: as for the class.
            function: `"atan"`, `"tanh"` or `"atan_adaptive"`.
            slope: factor by which the smallest gradients are enlarged.
            bound: largest size of an activated element; for `"atan_adaptive"` a fraction of the tensor's max|g|.
            options: keyword arguments of the class.

        Raises:
            ValueError: a number is not positive or the function has no bound.
        """
        return cls(optimizer, function, *functional.alpha_beta(function, slope, bound), **options)

    def _own_hooks(self) -> None:
        """Give this object step hooks of its own, without letting the base class reset what is shared."""
        shared = self.optimizer.param_groups, self.optimizer.state, self.optimizer.defaults
        super().__init__(shared[0], shared[2])
        self.optimizer.param_groups, self.optimizer.state, self.optimizer.defaults = shared

    def _select(self) -> set[int] | None:
        """Return the identities of the parameters to activate; `None` for all."""
        if self.select is None and self.exclude is None:
            return None
        named = _named_parameters(self.optimizer)
        return {id(p) for p in select_tensors(type(self).__name__, named, self.select, self.exclude)}

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The wrapped optimizer's parameter groups."""
        return self.optimizer.param_groups

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        self.optimizer.param_groups = groups

    @property
    def state(self) -> Any:
        """The wrapped optimizer's state."""
        return self.optimizer.state

    @state.setter
    def state(self, state: Any) -> None:
        self.optimizer.state = state

    @property
    def defaults(self) -> dict[str, Any]:
        """The wrapped optimizer's defaults."""
        return self.optimizer.defaults

    @defaults.setter
    def defaults(self, defaults: dict[str, Any]) -> None:
        self.optimizer.defaults = defaults

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; a closure is evaluated once, before anything is activated.

        Raises:
            FloatingPointError: a gradient is not finite and `on_nonfinite="raise"`.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = list(self._selected_by_group())
        gradients = [p.grad for _, parameters in groups for p in parameters if p.grad is not None]
        step, self.step_count = self.step_count, self.step_count + 1
        if not self.guard.check_(gradients, step):
            return loss
        if self.placement == "gradient":
            self.activation.apply_(((g, [p.grad for p in ps if p.grad is not None]) for g, ps in groups), step)
            self.optimizer.step()
        else:
            self._step_with_activated_update([(g, ps) for g, ps in groups if self.activation.acts_on(g, step)], step)
        return loss

    def _selected_by_group(self) -> Iterator[tuple[dict[str, Any], list[Tensor]]]:
        chosen = self._selected
        for group in self.param_groups:
            yield group, [p for p in group["params"] if p.grad is not None and (chosen is None or id(p) in chosen)]

    @torch.no_grad()
    def _step_with_activated_update(self, groups: list[tuple[dict[str, Any], list[Tensor]]], step: int) -> None:
        before = {p: p.clone() for _, parameters in groups for p in parameters}
        self.optimizer.step()
        for group, parameters in groups:
            updates = [self._update(group, p, before[p]) for p in parameters]
            self.activation.apply_([(group, updates)], step)
            for parameter, update in zip(parameters, updates, strict=True):
                parameter.copy_(before[parameter].sub_(update.mul_(group["lr"])))

    def _update(self, group: dict[str, Any], parameter: Tensor, before: Tensor) -> Tensor:
        """Return u of `w -= lr * u`, the step that the wrapped optimizer has just taken."""
        gradient = parameter.grad
        if type(self.optimizer) is SGD and gradient is not None and not gradient.is_sparse:
            return _sgd_update(group, gradient, before, self.optimizer.state[parameter].get("momentum_buffer"))
        return (before - parameter) / group["lr"] if group["lr"] else torch.zeros_like(before)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients, as the wrapped optimizer does."""
        self.optimizer.zero_grad(set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group to the wrapped optimizer and choose again what is activated."""
        self.optimizer.add_param_group(param_group)
        if "_selected" in self.__dict__:  # the base class calls this while it is set up
            self._selected = self._select()

    def state_dict(self) -> dict[str, Any]:
        """Return the wrapped optimizer's `state_dict` with one more entry, which others ignore: the step count."""
        return {**self.optimizer.state_dict(), STATE_KEY: self.step_count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a `state_dict` written with or without the wrapper; without, the step count starts at 0."""
        self.optimizer.load_state_dict({key: value for key, value in state_dict.items() if key != STATE_KEY})
        self.step_count = state_dict.get(STATE_KEY, 0)

    def register_state_dict_pre_hook(self, hook: Any, prepend: bool = False) -> Any:
        """Register with the wrapped optimizer, whose state it is."""
        return self.optimizer.register_state_dict_pre_hook(hook, prepend)

    def register_state_dict_post_hook(self, hook: Any, prepend: bool = False) -> Any:
        """Register with the wrapped optimizer, whose state it is."""
        return self.optimizer.register_state_dict_post_hook(hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Any, prepend: bool = False) -> Any:
        """Register with the wrapped optimizer, whose state it is."""
        return self.optimizer.register_load_state_dict_pre_hook(hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Any, prepend: bool = False) -> Any:
        """Register with the wrapped optimizer, whose state it is."""
        return self.optimizer.register_load_state_dict_post_hook(hook, prepend)

    def __getstate__(self) -> dict[str, Any]:
        own = ("optimizer", "activation", "placement", "guard", "step_count", "select", "exclude")
        return {name: self.__dict__[name] for name in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._own_hooks()
        self._selected = self._select()

    def __repr__(self) -> str:
        a = self.activation
        return (
            f"{type(self).__name__}({a.function}, alpha={a.alpha}, beta={a.beta}, {self.placement}, {self.optimizer!r})"
        )


def _check_wrappable(owner: str, optimizer: object) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{owner}: optimizer must be a torch.optim.Optimizer, got {type(optimizer).__name__}.")
    if isinstance(optimizer, LBFGS):
        raise TypeError(f"{owner}: LBFGS is not supported: its line search needs the true gradient. Use SGD or Adam.")
    if isinstance(optimizer, GradientActivationOptimizer):
        raise TypeError(f"{owner}: optimizer is a {owner} already, and activating twice is not what GAF means.")


def _named_parameters(optimizer: Optimizer) -> Iterator[tuple[str | None, Tensor]]:
    for group in optimizer.param_groups:
        names = group.get("param_names") or [None] * len(group["params"])
        yield from zip(names, group["params"], strict=True)


def _sgd_update(group: dict[str, Any], gradient: Tensor, before: Tensor, buffer: Tensor | None) -> Tensor:
    """Return the update of `torch.optim.SGD` from its momentum buffer after the step; a tensor of our own."""
    momentum, nesterov = group["momentum"], group["nesterov"]
    if momentum and not nesterov and buffer is not None:
        return buffer.clone()
    decayed = (-gradient if group["maximize"] else gradient).add(before, alpha=group["weight_decay"])
    return decayed.add(buffer, alpha=momentum) if nesterov and buffer is not None else decayed
