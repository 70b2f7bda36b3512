"""Grad R and Deep R as Lightning callbacks."""

from collections.abc import Callable, Mapping
from typing import Literal

from torch import nn
from torch.optim import Optimizer

from lightning_neuro._lightning import Trainer, rank_zero_info
from lightning_neuro.common import checks
from lightning_neuro.common.selection import Selector
from lightning_neuro.gradient_rewiring import alarms
from lightning_neuro.gradient_rewiring.admission import PerTensor
from lightning_neuro.gradient_rewiring.control import Scope, SparsityController
from lightning_neuro.gradient_rewiring.deep_rewiring import DeepR
from lightning_neuro.gradient_rewiring.functional import ZeroSign
from lightning_neuro.gradient_rewiring.lifecycle import RewiringLifecycle
from lightning_neuro.gradient_rewiring.projection import OnNonfinite
from lightning_neuro.gradient_rewiring.rewiring import PriorScale, Rewiring
from lightning_neuro.gradient_rewiring.timing import checked_freeze, checked_schedule, default_ramp, freezing_step


class GradientRewiring(RewiringLifecycle):
    """Learns which synapses exist together with their weights, in ordinary training.

    Each weight is `s * max(theta, 0)` with a fixed sign. After every optimizer step theta moves as the weight did,
    also where the weight is 0, and is pulled down, so that weak synapses go and needed ones come back. With
    `alpha="auto"` a controller, ours, sets the pull so that sparsity ramps up to its target and stays there; with a
    number it is the published prior, in which alpha alone decides how sparse the net becomes.

    Weights of linear layers, convolutions and recurrent synapses inside snnTorch neurons are rewired; biases, norms,
    leaks and thresholds never. Checkpoints are sparse, load without this callback, and resume with it bit by bit.

    Args:
        sparsity: fraction of synapses to be absent; one for the net, or by pattern of names, such as
            `{"fc1": 0.95, "*": 0.8}`. The controller meets it to the nearest whole synapse among those that gradients
            reach. With a number for alpha it places the prior's centre only: from 0.5 to below 1.
        alpha: `"auto"`, or the rate of the prior, at least 0.
        scope: whether the controller aims at the sparsity of the net, `"global"`, or of each tensor, `"layer"`; None
            for `"layer"` where targets are given by pattern.
        select: narrows what is rewired: names, globs, module types, parameters or predicates `(name, parameter)`.
        exclude: the same, taken away.
        ramp_steps: optimizer steps until the controller asks for the whole sparsity; None for half of the training,
            or until connections are frozen if that is earlier, or 1000 where its length is unknown.
        warmup_steps: optimizer steps over which a number for alpha grows linearly from 0.
        schedule: factor of alpha as a function of the optimizer step; instead of `warmup_steps`.
        freeze_after: when connections are fixed and only their weights go on learning: optimizer steps as an integer,
            or a fraction of the training as a float, which under manual optimisation takes one step per batch.
        trim: leave no more connections than the target allows when freezing, or after the last step of training; in
            each tensor where targets are given by pattern or the scope is `"layer"`.
        zero_sign: `"random"` signs for weights that start at 0, or `"dead"`, as in the authors' code.
        prior_scale: `"reference"` or `"lr"`; see `Rewiring`.
        theta_min: lower bound of theta, which bounds how long regrowth takes; None for none, as published.
        on_nonfinite: for NaN and infinite gradients: `"raise"` before anything has changed, `"skip"` the step, or
            `"ignore"`.
        allow_reinit: allow resuming from a checkpoint without this callback's state.
        verbose: tables at the start and the end; None for where the trainer shows a progress bar.
        seed: of signs and samples; the same on all ranks.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or outside its range; at fit start, a selection that
            matches nothing, tied or parametrised weights.
        MisconfigurationException: at fit start, LBFGS or a strategy that shards; at train start, a checkpoint without
            state.

    Source: arXiv 2105.04916. Differs from the paper: the controller, selection, freezing and trimming are ours.

    >>> GradientRewiring(sparsity=1.5)
    Traceback (most recent call last):
    ValueError: GradientRewiring: sparsity must be greater than 0 and less than 1, got 1.5.
    """

    def __init__(
        self,
        sparsity: PerTensor = 0.9,
        *,
        alpha: Literal["auto"] | float = "auto",
        scope: Scope | None = None,
        select: Selector | None = None,
        exclude: Selector | None = None,
        ramp_steps: int | None = None,
        warmup_steps: int = 0,
        schedule: Callable[[int], float] | None = None,
        freeze_after: int | float | None = None,
        trim: bool = False,
        zero_sign: ZeroSign = "random",
        prior_scale: PriorScale = "reference",
        theta_min: float | None = None,
        on_nonfinite: OnNonfinite = "raise",
        allow_reinit: bool = False,
        verbose: bool | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(select, exclude, allow_reinit, verbose)
        owner = type(self).__name__
        self.automatic = isinstance(alpha, str)
        if self.automatic:
            checks.choice(owner, "alpha", alpha, ("auto",))
            _check_sparsity(owner, sparsity, above=0)
        else:
            checks.number(owner, "alpha", alpha, at_least=0)
            _check_sparsity(owner, sparsity, at_least=0.5)
            if scope is not None or ramp_steps is not None:
                raise ValueError(
                    f"{owner}: scope and ramp_steps are the controller's, and there is none with a number for alpha. "
                    "Leave them out, or pass alpha='auto'."
                )
        self.sparsity, self.alpha = sparsity, alpha
        default: Scope = "layer" if isinstance(sparsity, Mapping) else "global"
        self.scope: Scope = checks.choice(owner, "scope", default if scope is None else scope, ("global", "layer"))
        self.ramp_steps = None if ramp_steps is None else checks.integer(owner, "ramp_steps", ramp_steps, at_least=0)
        self.schedule = checked_schedule(owner, warmup_steps, schedule)
        if self.automatic and self.schedule is not None:
            raise ValueError(
                f"{owner}: warmup_steps and schedule scale a number for alpha; alpha='auto' takes ramp_steps."
            )
        self.freeze_after = checked_freeze(owner, freeze_after)
        self.trim = checks.flag(owner, "trim", trim)
        self.zero_sign: ZeroSign = checks.choice(owner, "zero_sign", zero_sign, ("random", "dead"))
        self.prior_scale: PriorScale = checks.choice(owner, "prior_scale", prior_scale, ("reference", "lr"))
        self.theta_min = None if theta_min is None else checks.number(owner, "theta_min", theta_min, below=0)
        self.on_nonfinite: OnNonfinite = checks.choice(owner, "on_nonfinite", on_nonfinite, ("raise", "skip", "ignore"))
        self.seed = checks.integer(owner, "seed", seed, at_least=0)

    def _build(self, trainer: Trainer, optimizer: Optimizer, weights: Mapping[str, nn.Parameter]) -> Rewiring:
        owner = type(self).__name__
        freeze = freezing_step(owner, trainer, self.freeze_after)
        controller = SparsityController(self.scope, ramp_steps=self._ramp(trainer, freeze), seed=self.seed)
        return Rewiring(
            optimizer,
            weights,
            alpha=0.0 if isinstance(self.alpha, str) else self.alpha,
            sparsity=self._targets(weights),
            zero_sign=self.zero_sign,
            prior_scale=self.prior_scale,
            theta_min=self.theta_min,
            controller=controller if self.automatic else None,
            schedule=self.schedule,
            freeze_after=freeze,
            trim=self.trim,
            on_nonfinite=self.on_nonfinite,
            seed=self.seed,
            owner=owner,
        )

    def _ramp(self, trainer: Trainer, freeze: int | None) -> int:
        if self.ramp_steps is not None:
            return self.ramp_steps
        steps = default_ramp(trainer, freeze)
        told = alarms.short_ramp(steps) if self.automatic and freeze != 0 else ""
        if told:
            rank_zero_info(f"{type(self).__name__}: {told}")
        return steps

    def _finish(self) -> None:
        for projection in self.projections:
            if isinstance(projection, Rewiring):
                projection.finish()

    def _extra_values(self) -> dict[str, float]:
        return {f"alpha/{name}": a for p in self.projections if isinstance(p, Rewiring) for name, a in p.alpha.items()}


class DeepRewiring(RewiringLifecycle):
    """Deep R and soft Deep R, the baselines of Grad R: connections walk at random, and as many come as go.

    Args:
        sparsity: fraction of synapses that are absent in every tensor, exactly so in the hard form, from the first
            step; one for all, or by pattern of names.
        l1: strength of the penalty, at least 0.
        temperature: of the noise, at least 0; its scale per step is `sqrt(2 * lr * temperature)`.
        soft: the soft form, whose sparsity is approximate.
        published: as in the class that the authors of Grad R released, whose hard form never regrows; see `DeepR`.
        select: narrows what is rewired, as for `GradientRewiring`.
        exclude: the same, taken away.
        freeze_after: as for `GradientRewiring`.
        zero_sign: `"random"` or `"dead"`.
        on_nonfinite: as for `GradientRewiring`.
        allow_reinit: allow resuming from a checkpoint without this callback's state.
        verbose: tables at the start and the end; None for where the trainer shows a progress bar.
        seed: of signs, noise and choices; the same on all ranks.

    Raises:
        TypeError, ValueError, MisconfigurationException: as for `GradientRewiring`.

    Source: arXiv 1711.05136.

    >>> DeepRewiring(sparsity=0.9, l1=-1.0, temperature=0.0)
    Traceback (most recent call last):
    ValueError: DeepRewiring: l1 must be at least 0, got -1.0.
    """

    prefix = "deep_rewiring"

    def __init__(
        self,
        sparsity: PerTensor = 0.9,
        *,
        l1: float,
        temperature: float,
        soft: bool = False,
        published: bool = False,
        select: Selector | None = None,
        exclude: Selector | None = None,
        freeze_after: int | float | None = None,
        zero_sign: ZeroSign = "random",
        on_nonfinite: OnNonfinite = "raise",
        allow_reinit: bool = False,
        verbose: bool | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(select, exclude, allow_reinit, verbose)
        owner = type(self).__name__
        _check_sparsity(owner, sparsity, at_least=0)
        self.sparsity = sparsity
        self.l1 = checks.number(owner, "l1", l1, at_least=0)
        self.temperature = checks.number(owner, "temperature", temperature, at_least=0)
        self.soft, self.published = soft, published
        self.freeze_after = checked_freeze(owner, freeze_after)
        self.zero_sign: ZeroSign = checks.choice(owner, "zero_sign", zero_sign, ("random", "dead"))
        self.on_nonfinite: OnNonfinite = checks.choice(owner, "on_nonfinite", on_nonfinite, ("raise", "skip", "ignore"))
        self.seed = checks.integer(owner, "seed", seed, at_least=0)

    def _build(self, trainer: Trainer, optimizer: Optimizer, weights: Mapping[str, nn.Parameter]) -> DeepR:
        return DeepR(
            optimizer,
            weights,
            l1=self.l1,
            temperature=self.temperature,
            sparsity=self._targets(weights),
            soft=self.soft,
            published=self.published,
            zero_sign=self.zero_sign,
            freeze_after=freezing_step(type(self).__name__, trainer, self.freeze_after),
            on_nonfinite=self.on_nonfinite,
            seed=self.seed,
            owner=type(self).__name__,
        )


def _check_sparsity(owner: str, sparsity: PerTensor, **limits: float) -> None:
    if isinstance(sparsity, Mapping) and not sparsity:
        raise ValueError(f"{owner}: sparsity must name at least one pattern, got {{}}. Add '*' for all weights.")
    for name, value in sparsity.items() if isinstance(sparsity, Mapping) else [(None, sparsity)]:
        checks.number(owner, "sparsity" if name is None else f"sparsity[{name!r}]", value, below=1, **limits)
