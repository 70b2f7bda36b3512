"""What the callbacks of Grad R and Deep R share: when to begin, what to save, log and show."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from lightning_neuro._lightning import (
    Callback,
    LightningModule,
    MisconfigurationException,
    Trainer,
    check_same_root,
    rank_zero_warn,
)
from lightning_neuro.common.checkpoint_file import check_checkpoint_file
from lightning_neuro.common.selection import Selector, describe, reusable
from lightning_neuro.gradient_rewiring import alarms, records, refusals, statistics, tables
from lightning_neuro.gradient_rewiring.admission import PerTensor
from lightning_neuro.gradient_rewiring.managed import Candidate, by_pattern, find_managed
from lightning_neuro.gradient_rewiring.projection import Projection
from lightning_neuro.gradient_rewiring.statistics import Turnover, theta_histogram
from lightning_neuro.gradient_rewiring.timing import average_is_in_place, ends_with_this_batch


class RewiringLifecycle(Callback, ABC):
    """Follows a `Trainer` with one `Projection` per optimizer; subclasses say which.

    Args:
        select: weights to rewire, among the synapses.
        exclude: the same, taken away.
        allow_reinit: on resuming from a checkpoint without this callback's state, draw new signs for weights that are
            0 instead of raising.
        verbose: write tables at the start and the end; None for where the trainer shows a progress bar.
    """

    prefix = "rewiring"
    sparsity: PerTensor

    def __init__(
        self, select: Selector | None, exclude: Selector | None, allow_reinit: bool, verbose: bool | None
    ) -> None:
        owner = type(self).__name__
        self.select, self.exclude = reusable(owner, "select", select), reusable(owner, "exclude", exclude)
        self.allow_reinit, self.verbose = allow_reinit, verbose
        self.projections: list[Projection] = []
        self.candidates: list[Candidate] = []
        self.history: list[dict[str, Any]] = []
        self.turnover = Turnover()
        self._held: dict[str, Any] | None = None
        self._waiting: list[RemovableHandle] = []
        self._warned: set[str] = set()

    @abstractmethod
    def _build(self, trainer: Trainer, optimizer: Optimizer, weights: Mapping[str, nn.Parameter]) -> Projection:
        """Return what follows one optimizer."""

    def _check_weights(self, names: list[str]) -> None:
        """Raise if targets by pattern do not fit the weights found."""
        if isinstance(self.sparsity, Mapping):
            by_pattern(type(self).__name__, "sparsity", self.sparsity, names)

    def _targets(self, weights: Mapping[str, nn.Parameter]) -> PerTensor:
        """Return the target, or each weight's own; patterns are matched against all weights that are rewired."""
        if not isinstance(self.sparsity, Mapping):
            return self.sparsity
        names = [c.name for c in self.candidates if not c.reason]
        every = by_pattern(type(self).__name__, "sparsity", self.sparsity, names)
        return {name: every[name] for name in weights}

    def connectivity(self) -> dict[str, float]:
        """Return the fraction of weights that are not 0, by name and in `"total"`; empty before training."""
        return statistics.connectivity(self._weights())

    def theta_histogram(self, bins: int = 50) -> dict[str, tuple[Tensor, Tensor]]:
        """Return counts and edges of a histogram of theta by name; dormant synapses lie in the lower half of bins."""
        return {name: theta_histogram(t, bins) for p in self.projections for name, t in p.theta.items()}

    def report(self) -> str:
        """Return a table of connections, dead units and dormant theta per weight."""
        return tables.plain(*records.summary(type(self).__name__, self.projections))

    @property
    def state_key(self) -> str:
        """Key of the state in a checkpoint: one per selection, so that several can coexist."""
        return self._generate_state_key(select=describe(self.select), exclude=describe(self.exclude))

    def state_dict(self) -> dict[str, Any]:
        """Return theta, signs, counts and history, as tensors and builtin types."""
        if not self.projections:
            return self._held or {}
        return {
            "projections": [projection.state_dict() for projection in self.projections],
            "linked": self.turnover.state_dict(),
            "history": list(self.history),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state of a checkpoint until the weights are in place."""
        self._held = state_dict

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a `Trainer` of the other Lightning package, and a checkpoint that does not fit."""
        check_same_root(type(self).__name__, trainer)
        if stage != "fit":
            return
        owner = type(self).__name__

        def check(saved: Mapping[str, Any]) -> None:
            state = saved.get(self.state_key)
            if state:
                refusals.check_weights(owner, pl_module, state)
            elif not self.allow_reinit:
                self._refuse_without_state(trainer)

        self._let_load()
        self._waiting.append(refusals.before_loading(trainer, pl_module, check))

    def _refuse_without_state(self, trainer: Trainer) -> None:
        described = f"select={describe(self.select)!r}, exclude={describe(self.exclude)!r}"
        refusals.refuse_without_state(type(self).__name__, trainer.ckpt_path, described)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the weights and refuse what could not be right, before anything changes."""
        check_checkpoint_file(type(self).__name__, trainer.ckpt_path)
        self._let_load()
        self._warned = set()
        refusals.check_strategy(type(self).__name__, trainer)
        self.candidates = find_managed(type(self).__name__, pl_module, self.select, self.exclude)
        managed = {c.name: c.parameter for c in self.candidates if not c.reason}
        refusals.check_optimizers(type(self).__name__, trainer.optimizers, managed)
        self._check_others(trainer, managed)
        self._check_weights(list(managed))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin: take the weights apart, or go on from a checkpoint."""
        held, self._held = self._held or self._earlier_fit(), None
        self._detach()
        if held is None and trainer.ckpt_path is not None and not self.allow_reinit:
            self._refuse_without_state(trainer)
        managed = {c.name: c.parameter for c in self.candidates if not c.reason}
        shares = [(o, share) for o in trainer.optimizers if (share := refusals.share_of(o, managed))]
        if held:
            refusals.check_states(type(self).__name__, held["projections"], [share for _, share in shares])
        self.projections = []
        for optimizer, share in shares:
            self.projections.append(self._build(trainer, optimizer, share))
        if held:
            self._restore(trainer, held)
        else:
            self.history, self.turnover = [], Turnover()
            self.turnover.look(self._weights())
        if self._shows(trainer):
            tables.show(*records.start_table(type(self).__name__, self.candidates))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Notice weights that were changed between epochs through `.data`, whichever callback did so."""
        if batch_idx > 0:
            return
        for projection in self.projections:
            differing = projection.differing()
            if differing and average_is_in_place(trainer):
                projection.project_()
            elif differing:
                projection.resync(differing)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Finish after the last batch, before it is validated, counted and saved."""
        if ends_with_this_batch(trainer):
            self._finish()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count, keep and log what happened to connections in this epoch, and warn of what looks wrong."""
        values = self._look(trainer.current_epoch, trainer.global_step)
        logged = {f"{self.prefix}/{name}": float(value) for name, value in values.items()}
        siblings = [each for each in _rewiring_callbacks(trainer) if each.prefix == self.prefix]
        if len(siblings) > 1:  # Lightning would average what several callbacks log under one name
            logged = {name: value for name, value in logged.items() if not name.endswith("/total")}
        if len(siblings) > 1 and siblings[-1] is self:
            logged |= {f"{self.prefix}/{name}": value for name, value in _together(siblings).items()}
        pl_module.log_dict(logged, on_step=False, on_epoch=True, sync_dist=trainer.world_size > 1)
        if trainer.is_global_zero:
            thetas = {name: theta for p in self.projections for name, theta in p.theta.items()}
            records.show_histograms(trainer.loggers, self.prefix, thetas, trainer.global_step)
        if not getattr(trainer, "fast_dev_run", False):  # a step or two, after which a net says nothing
            self._warn()

    def _look(self, epoch: int, step: int) -> dict[str, float]:
        """Count since the last look, and add an epoch to the history."""
        values = records.counted(self._weights(), self.turnover) | self._extra_values()
        self.history.append({"epoch": epoch, "step": step, **values})
        return values

    def _warn(self) -> None:
        gone = alarms.nearly_gone(self._weights())
        told = alarms.without_gradient(name for p in self.projections if p.steps for name in p.unmoved)
        for key, text in {**gone, "": told}.items():
            if text and key not in self._warned:
                self._warned.add(key)
                rank_zero_warn(f"{type(self).__name__}: {text}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish, before checkpoints see the weights for the last time."""
        self._finish()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Bring averaged weights back to the connections, and let go of the optimizers."""
        for projection in self.projections:
            if projection.differing():
                projection.project_()
        if self._shows(trainer):
            tables.show(*records.summary(type(self).__name__, self.projections))
        self._detach()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let go of the optimizers."""
        self._detach()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Let go of the optimizers, so that they may be used again."""
        self._detach()

    def _finish(self) -> None:
        """Do what is to be done once at the end; nothing by default."""

    def _extra_values(self) -> dict[str, float]:
        """Return what else is logged at the end of an epoch."""
        return {}

    def _detach(self) -> None:
        for projection in self.projections:
            projection.remove()
        self._let_load()

    def _let_load(self) -> None:
        for handle in self._waiting:
            handle.remove()
        self._waiting = []

    def _earlier_fit(self) -> dict[str, Any] | None:
        """Return the state after an earlier fit of the same weights, if they are as it left them."""
        managed = {id(c.parameter) for c in self.candidates if not c.reason}
        same = {id(weight) for weight in self._weights().values()} == managed
        return self.state_dict() if same and not any(p.differing() for p in self.projections) else None

    def __getstate__(self) -> dict[str, Any]:
        # Hooks and parameters belong to one process; what a copy needs is the state.
        return {
            **self.__dict__,
            "projections": [],
            "candidates": [],
            "_waiting": [],
            "_held": self.state_dict() or None,
        }

    def _restore(self, trainer: Trainer, held: dict[str, Any]) -> None:
        for projection, state in zip(self.projections, held["projections"], strict=True):
            projection.load_state_dict(state)
        self.turnover.load_state_dict(held["linked"])
        self.history = list(held["history"])
        resumed = trainer.ckpt_path is not None
        counted = self.history[-1]["epoch"] + 1 if self.history else 0
        if resumed and counted < trainer.current_epoch:  # saved between the last step of an epoch and its end
            self._look(trainer.current_epoch - 1, trainer.global_step)

    def _weights(self) -> dict[str, nn.Parameter]:
        return {name: weight for projection in self.projections for name, weight in projection.weights.items()}

    def _shows(self, trainer: Trainer) -> bool:
        wanted = trainer.progress_bar_callback is not None if self.verbose is None else self.verbose
        return wanted and trainer.is_global_zero

    def _check_others(self, trainer: Trainer, managed: Mapping[str, nn.Parameter]) -> None:
        callbacks = _rewiring_callbacks(trainer)
        for other in callbacks[: next(i for i, each in enumerate(callbacks) if each is self)]:
            both = [c.name for c in other.candidates if not c.reason and c.name in managed]
            if both:
                raise MisconfigurationException(
                    f"{type(self).__name__}: {both[0]!r} is rewired by {type(other).__name__} already. Give each "
                    "callback weights of its own with select."
                )


def _rewiring_callbacks(trainer: Trainer) -> list[RewiringLifecycle]:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return [each for each in callbacks if isinstance(each, RewiringLifecycle)]


def _together(callbacks: list[RewiringLifecycle]) -> dict[str, float]:
    """Return the totals over the weights of several callbacks; exact once the last of them has counted."""
    weights = {name: weight for each in callbacks for name, weight in each._weights().items()}
    totals = {"connectivity/total": statistics.connectivity(weights)["total"]}
    for what in records.TURNOVER:
        totals[f"{what}/total"] = sum(each.history[-1][f"{what}/total"] for each in callbacks if each.history)
    return totals
