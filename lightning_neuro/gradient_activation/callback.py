"""Gradient activation as a Lightning callback."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from lightning_neuro._lightning import (
    Callback,
    LightningModule,
    MisconfigurationException,
    Trainer,
    check_same_root,
    rank_zero_warn,
)
from lightning_neuro.common import checks
from lightning_neuro.common.checkpoint_file import check_checkpoint_file
from lightning_neuro.common.selection import Selector, describe, reusable, select_parameters
from lightning_neuro.gradient_activation import functional, metrics
from lightning_neuro.gradient_activation.activation import Activation
from lightning_neuro.gradient_activation.functional import ActivationFunction
from lightning_neuro.gradient_activation.nonfinite import NonfiniteGuard, OnNonfinite
from lightning_neuro.gradient_activation.optimizer import GradientActivationOptimizer

SHARDING_STRATEGIES = ("FSDPStrategy", "ModelParallelStrategy")


class GradientActivation(Callback):
    """Replaces every gradient g by G(g) right before the optimizer steps.

    It acts once per optimizer step, on gradients that are complete: accumulated, averaged over ranks and unscaled.
    Lightning clips after callbacks, so the order is activate, then clip; for the authors' order, clip and then
    activate, wrap the optimizer in `GradientActivationOptimizer`. Weight decay and momentum are not activated.

    A parameter group's entries `gradient_activation` (a name, a callable, or `None` to leave the group alone),
    `gradient_activation_alpha` and `gradient_activation_beta` win over the arguments and may change while training.

    Args:
        function: `"atan"`, `"tanh"`, `"log"`, `"atan_adaptive"`, `"identity"`, or a callable
            `(gradient, alpha, beta) -> Tensor`, which `functional.validate` checks.
        alpha: scale of the output, greater than 0; atan stays within `alpha * pi / 2`. Without effect for optimizers
            that ignore the scale of gradients, such as Adam.
        beta: scale of the input, greater than 0; `alpha * beta` is the factor by which the smallest gradients grow.
        select: parameters to activate: names, globs, module types, parameters, predicates `(name, parameter) -> bool`;
            `None` for all, biases and norms included, as the authors do.
        exclude: the same, taken away.
        optimizers: act for these only, by index or identity; `None` for all.
        warmup_steps: optimizer steps over which the strength grows linearly from 0 to 1.
        schedule: strength in [0, 1] as a function of the optimizer step, from 0; instead of `warmup_steps`.
        on_nonfinite: what to do with NaN and infinity, which G would hide: `"raise"`, `"skip"` the step, `"zero"` the
            elements, or `"ignore"`. Under 16-mixed precision the scaler skips such steps itself.
        log_every_n_steps: log `metrics.activation_metrics` at every so many optimizer steps; 0 for never.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or outside its range.
        MisconfigurationException: at fit start, where it could not be right: LBFGS, a fused optimizer under
            16-mixed, a strategy that owns the gradients, or an optimizer that activates already.

    Source: arXiv 2107.04228. As in the authors' `SGD_atan` when used with `torch.optim.SGD`, bit for bit.

    >>> GradientActivation("atan", alpha=0.1, beta=20.0).state_dict()
    {'steps': {}}
    """

    def __init__(
        self,
        function: ActivationFunction = "atan",
        alpha: float = 0.1,
        beta: float = 20.0,
        *,
        select: Selector | None = None,
        exclude: Selector | None = None,
        optimizers: Sequence[int | Optimizer] | None = None,
        warmup_steps: int = 0,
        schedule: Callable[[int], float] | None = None,
        on_nonfinite: OnNonfinite = "raise",
        log_every_n_steps: int = 0,
    ) -> None:
        owner = type(self).__name__
        self.activation = Activation(owner, function, alpha, beta, warmup_steps, schedule)
        self.guard = NonfiniteGuard(owner, on_nonfinite)
        self.log_every_n_steps = checks.integer(owner, "log_every_n_steps", log_every_n_steps, at_least=0)
        self.select = reusable(owner, "select", select)
        self.exclude = reusable(owner, "exclude", exclude)
        self.optimizers = _checked_optimizers(owner, optimizers)
        self.steps: dict[int, int] = {}
        self._saw_batches = False
        self._selected: set[int] | None = None

    @classmethod
    def from_slope_and_bound(
        cls, function: str = "atan", *, slope: float, bound: float, **options: Any
    ) -> "GradientActivation":
        """Build from what a user can reason about: how much the smallest grow, and how large the largest may be.

        Args:
            function: `"atan"`, `"tanh"` or `"atan_adaptive"`.
            slope: factor by which the smallest gradients are enlarged.
            bound: largest size of an activated element; for `"atan_adaptive"` a fraction of the tensor's max|g|.
            options: keyword arguments of the class.

        Raises:
            ValueError: a number is not positive or the function has no bound.

        >>> round(GradientActivation.from_slope_and_bound("tanh", slope=2.0, bound=0.5).activation.beta, 6)
        4.0
        """
        return cls(function, *functional.alpha_beta(function, slope, bound), **options)

    @property
    def state_key(self) -> str:
        """Key of the state in a checkpoint: one per function, numbers and selection, so that several can coexist."""
        a = self.activation
        return self._generate_state_key(
            function=functional.name_of(a.function),
            alpha=a.alpha,
            beta=a.beta,
            select=describe(self.select),
            exclude=describe(self.exclude),
            optimizers=[o if isinstance(o, int) else type(o).__name__ for o in self.optimizers or []],
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps taken per optimizer, on which warm-up and schedule depend."""
        return {"steps": dict(self.steps)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the counts of a checkpoint."""
        self.steps = {int(index): int(count) for index, count in state_dict["steps"].items()}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a `Trainer` of the other Lightning package."""
        check_same_root(type(self).__name__, trainer)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Resolve the selection and refuse what could not be right."""
        check_checkpoint_file(type(self).__name__, trainer.ckpt_path)
        self._selected = None
        if self.select is not None or self.exclude is not None:
            chosen = select_parameters(type(self).__name__, pl_module, self.select, self.exclude)
            self._selected = {id(parameter) for parameter in chosen.values()}
        self._check_strategy(trainer)
        for optimizer in self._optimizers(trainer):
            self._check_optimizer(trainer, optimizer)
        if trainer.gradient_clip_val:
            rank_zero_warn(
                f"{type(self).__name__}: gradients are activated first and clipped afterwards, with gradient_clip_val="
                f"{trainer.gradient_clip_val}. To clip first, as the authors do, use GradientActivationOptimizer."
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count anew, unless this training goes on from a checkpoint or from an earlier fit."""
        if trainer.global_step == 0:
            self.steps = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Remember that there was something to act on."""
        self._saw_batches = True

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Activate the gradients of one optimizer."""
        index = next(i for i, candidate in enumerate(trainer.optimizers) if candidate is optimizer)
        if not any(optimizer is wanted for wanted in self._optimizers(trainer)):
            return
        groups = list(self._gradients_by_group(optimizer))
        gradients = [gradient for _, members in groups for gradient in members]
        step = self.steps.get(index, 0)
        self.steps[index] = step + 1
        # A gradient scaler has looked for NaN and infinity already, and skips the step itself.
        if _scaler(trainer) is None and not self.guard.check_(gradients, step):
            optimizer.zero_grad(set_to_none=True)  # torch optimizers pass over parameters without gradient
            return
        if self.log_every_n_steps and step % self.log_every_n_steps == 0:
            with metrics.measure(groups, self.activation) as values:
                self.activation.apply_(groups, step)
            prefix = "gradient_activation/" if len(trainer.optimizers) == 1 else f"gradient_activation/{index}/"
            pl_module.log_dict({prefix + name: value for name, value in values.items()})
        else:
            self.activation.apply_(groups, step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read the last flag of the device, and tell a user whose optimizer never reached this callback."""
        self.guard.flush()
        if self._saw_batches and not self.steps:
            rank_zero_warn(
                f"{type(self).__name__}: no optimizer step came by, so no gradient was activated. In manual "
                "optimization step through self.optimizers(), not use_pl_optimizer=False."
            )

    def _gradients_by_group(self, optimizer: Optimizer) -> list[tuple[dict[str, Any], list[Tensor]]]:
        chosen = self._selected
        return [
            (group, [g for p in group["params"] if (g := p.grad) is not None and (chosen is None or id(p) in chosen)])
            for group in optimizer.param_groups
        ]

    def _optimizers(self, trainer: Trainer) -> list[Optimizer]:
        if self.optimizers is None:
            return trainer.optimizers
        return [self._one_optimizer(trainer, wanted) for wanted in self.optimizers]

    def _one_optimizer(self, trainer: Trainer, wanted: int | Optimizer) -> Optimizer:
        known = trainer.optimizers
        if isinstance(wanted, int) and 0 <= wanted < len(known):
            return known[wanted]
        for optimizer in known:
            if optimizer is wanted:
                return optimizer
        raise MisconfigurationException(
            f"{type(self).__name__}: optimizers must name optimizers of the module, by index below {len(known)} or by "
            f"identity, got {wanted if isinstance(wanted, int) else type(wanted).__name__!r}."
        )

    def _check_strategy(self, trainer: Trainer) -> None:
        owner, strategy = type(self).__name__, type(trainer.strategy).__name__
        if trainer.strategy.handles_gradient_accumulation:
            raise MisconfigurationException(
                f"{owner}: {strategy} accumulates and owns the gradients itself, so they cannot be activated. Use "
                "DDP, or wrap the optimizer that you hand to it in GradientActivationOptimizer."
            )
        sharded = any(base.__name__ in SHARDING_STRATEGIES for base in type(trainer.strategy).__mro__)
        if sharded and (self.activation.function == "atan_adaptive" or self.guard.policy == "skip"):
            raise MisconfigurationException(
                f"{owner}: under {strategy} each rank sees a shard of a gradient, and function='atan_adaptive' and "
                "on_nonfinite='skip' need the whole. Use an element-wise function and another policy."
            )

    def _check_optimizer(self, trainer: Trainer, optimizer: Optimizer) -> None:
        owner, name = type(self).__name__, type(optimizer).__name__
        if isinstance(optimizer, LBFGS):
            raise MisconfigurationException(
                f"{owner}: LBFGS is not supported: its line search needs the true gradient. Use SGD or Adam."
            )
        if isinstance(optimizer, GradientActivationOptimizer):
            raise MisconfigurationException(
                f"{owner}: the optimizer is a {name} already, so gradients would be activated twice. Keep one."
            )
        if _scaler(trainer) is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            raise MisconfigurationException(
                f"{owner}: a fused {name} unscales the gradients of 16-mixed precision itself, after this callback. "
                "Use fused=False, precision='bf16-mixed', or GradientActivationOptimizer."
            )


def _checked_optimizers(owner: str, optimizers: Sequence[int | Optimizer] | None) -> Sequence[int | Optimizer] | None:
    if optimizers is None:
        return None
    if not isinstance(optimizers, Sequence) or not all(isinstance(o, (int, Optimizer)) for o in optimizers):
        raise TypeError(f"{owner}: optimizers must be a list of indices or optimizers, got {optimizers!r}.")
    if not optimizers:
        raise ValueError(f"{owner}: optimizers must name at least one, got none. Leave it out to act for all.")
    return list(optimizers)


def _scaler(trainer: Trainer) -> torch.amp.GradScaler | None:
    return getattr(trainer.precision_plugin, "scaler", None)
