"""What the callbacks of Grad R and Deep R share: when to begin, what to save, log and show."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from lightning_neuro._lightning import (
    Callback,
    LightningModule,
    MisconfigurationException,
    Trainer,
    check_same_root,
)
from lightning_neuro.common.selection import Selector, describe
from lightning_neuro.gradient_rewiring import tables
from lightning_neuro.gradient_rewiring.admission import PerTensor
from lightning_neuro.gradient_rewiring.managed import Candidate, by_pattern, find_managed
from lightning_neuro.gradient_rewiring.projection import Projection
from lightning_neuro.gradient_rewiring.statistics import Turnover, dead_units, dormant_quantiles, theta_histogram

SHARDING_STRATEGIES = ("FSDPStrategy", "ModelParallelStrategy", "DeepSpeedStrategy", "XLAFSDPStrategy")


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
        self.select, self.exclude = select, exclude
        self.allow_reinit, self.verbose = allow_reinit, verbose
        self.projections: list[Projection] = []
        self.candidates: list[Candidate] = []
        self.history: list[dict[str, Any]] = []
        self.turnover = Turnover()
        self._held: dict[str, Any] | None = None

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
        weights = self._weights()
        if not weights:
            return {}
        counts = {name: int(weight.count_nonzero()) for name, weight in weights.items()}
        total = sum(counts.values()) / sum(weight.numel() for weight in weights.values())
        return {name: count / weights[name].numel() for name, count in counts.items()} | {"total": total}

    def theta_histogram(self, bins: int = 50) -> dict[str, tuple[Tensor, Tensor]]:
        """Return counts and edges of a histogram of theta by name, dormant synapses in the lower half of the bins."""
        return {name: theta_histogram(t, bins) for p in self.projections for name, t in p.theta.items()}

    def report(self) -> str:
        """Return a table of connections, dead units and dormant theta per weight."""
        return tables.plain(*self._summary())

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
        """Refuse a `Trainer` of the other Lightning package."""
        check_same_root(type(self).__name__, trainer)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the weights and refuse what could not be right, before anything changes."""
        self._check_strategy(trainer)
        self.candidates = find_managed(type(self).__name__, pl_module, self.select, self.exclude)
        managed = {c.name: c.parameter for c in self.candidates if not c.reason}
        self._check_optimizers(trainer, managed)
        self._check_others(trainer, managed)
        self._check_weights(list(managed))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin: take the weights apart, or go on from a checkpoint."""
        held, self._held = self._held or self._earlier_fit(), None
        self._detach()
        if held is None and trainer.ckpt_path is not None and not self.allow_reinit:
            raise MisconfigurationException(
                f"{type(self).__name__}: {trainer.ckpt_path} holds no state of this callback for select="
                f"{describe(self.select)!r}, exclude={describe(self.exclude)!r}. The signs of pruned weights cannot be "
                "read from zeros; pass allow_reinit=True to draw new ones."
            )
        managed = {c.name: c.parameter for c in self.candidates if not c.reason}
        shares = [_share(optimizer, managed) for optimizer in trainer.optimizers]
        projections = [
            self._build(trainer, optimizer, share)
            for optimizer, share in zip(trainer.optimizers, shares, strict=True)
            if share
        ]
        self.projections = projections
        if held:
            self._restore(held)
        else:
            self.history, self.turnover = [], Turnover()
            self.turnover.look(self._weights())
        if self._shows(trainer):
            tables.show(*self._start_table())

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Notice weights that were changed between epochs, such as by averaging, through `.data`."""
        for projection in self.projections:
            differing = projection.differing()
            if differing:
                projection.resync(differing)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count, keep and log what happened to connections in this epoch."""
        connectivity, turnover = self.connectivity(), self.turnover.look(self._weights())
        totals = {f"{what}/total": sum(pair[i] for pair in turnover.values()) for i, what in enumerate(_TURNOVER)}
        each = {f"{what}/{name}": pair[i] for name, pair in turnover.items() for i, what in enumerate(_TURNOVER)}
        values = {f"connectivity/{name}": value for name, value in connectivity.items()} | totals | each
        dead = {name: dead_units(weight) for name, weight in self._weights().items()}
        values |= {f"{what}/{name}": pair[i] for name, pair in dead.items() for i, what in enumerate(_DEAD)}
        values |= self._extra_values()
        self.history.append({"epoch": trainer.current_epoch, "step": trainer.global_step, **values})
        logged = {f"{self.prefix}/{name}": float(value) for name, value in values.items()}
        pl_module.log_dict(logged, on_step=False, on_epoch=True, sync_dist=trainer.world_size > 1)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish, before checkpoints see the weights for the last time."""
        self._finish()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Bring averaged weights back to the connections, and let go of the optimizers."""
        for projection in self.projections:
            if projection.differing():
                projection.project_()
        if self._shows(trainer):
            tables.show(*self._summary())
        self._detach()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let go of the optimizers, after an exception as well."""
        self._detach()

    def _finish(self) -> None:
        """Do what is to be done once at the end; nothing by default."""

    def _extra_values(self) -> dict[str, float]:
        """Return what else is logged at the end of an epoch."""
        return {}

    def _detach(self) -> None:
        for projection in self.projections:
            projection.remove()

    def _earlier_fit(self) -> dict[str, Any] | None:
        """Return the state after an earlier fit of the same weights, if they are as it left them."""
        managed = {id(c.parameter) for c in self.candidates if not c.reason}
        same = {id(weight) for weight in self._weights().values()} == managed
        return self.state_dict() if same and not any(p.differing() for p in self.projections) else None

    def __getstate__(self) -> dict[str, Any]:
        # Hooks and parameters belong to one process; what a copy needs is the state.
        return {**self.__dict__, "projections": [], "candidates": [], "_held": self.state_dict() or None}

    def _restore(self, held: dict[str, Any]) -> None:
        states = held["projections"]
        if len(states) != len(self.projections):
            self._detach()
            raise ValueError(
                f"{type(self).__name__}: the checkpoint has {len(states)} optimizers with managed weights, this module "
                f"has {len(self.projections)}. Load it into the module that wrote it."
            )
        for projection, state in zip(self.projections, states, strict=True):
            projection.load_state_dict(state)
        self.turnover.load_state_dict(held["linked"])
        self.history = list(held["history"])

    def _weights(self) -> dict[str, nn.Parameter]:
        return {name: weight for projection in self.projections for name, weight in projection.weights.items()}

    def _shows(self, trainer: Trainer) -> bool:
        wanted = trainer.progress_bar_callback is not None if self.verbose is None else self.verbose
        return wanted and trainer.is_global_zero

    def _start_table(self) -> tuple[str, list[str], list[list[str]]]:
        rows = [[c.name, "x".join(map(str, c.parameter.shape)), c.reason or "rewired"] for c in self.candidates]
        return f"{type(self).__name__}: what is rewired", ["parameter", "shape", ""], rows

    def _summary(self) -> tuple[str, list[str], list[list[str]]]:
        title = f"{type(self).__name__}: connections"
        header = ["weight", "shape", "connected", "connectivity", "empty rows", "empty columns", "dormant median"]
        rows, connectivity = [], self.connectivity()
        for projection in self.projections:
            for name, weight in projection.weights.items():
                median = dormant_quantiles(projection.theta[name]).get(0.5)
                shape, count = "x".join(map(str, weight.shape)), int(weight.count_nonzero())
                share = f"{100 * connectivity[name]:.2f} %"
                depth = "" if median is None else f"{median:.3g}"
                rows.append([name, shape, str(count), share, *map(str, dead_units(weight)), depth])
        if rows:
            count = sum(int(row[2]) for row in rows)
            rows.append(["total", "", str(count), f"{100 * connectivity['total']:.2f} %", "", "", ""])
        return title, header, rows

    def _check_strategy(self, trainer: Trainer) -> None:
        names = {each.__name__ for each in type(trainer.strategy).__mro__}
        if trainer.strategy.handles_gradient_accumulation or names & set(SHARDING_STRATEGIES):
            raise MisconfigurationException(
                f"{type(self).__name__}: {type(trainer.strategy).__name__} flattens, shards or owns the parameters, "
                "and rewiring needs each weight whole. Use DDP or a single device."
            )

    def _check_optimizers(self, trainer: Trainer, managed: Mapping[str, nn.Parameter]) -> None:
        owner = type(self).__name__
        shares = [_share(optimizer, managed) for optimizer in trainer.optimizers]
        for optimizer, share in zip(trainer.optimizers, shares, strict=True):
            if isinstance(optimizer, LBFGS) and share:
                raise MisconfigurationException(
                    f"{owner}: LBFGS is not supported: its line search needs weights that stay. Use SGD or Adam."
                )
        for name in managed:
            trainers = sum(name in share for share in shares)
            if trainers != 1:
                raise MisconfigurationException(
                    f"{owner}: {name!r} must belong to exactly one optimizer, found {trainers}. Train it with one, or "
                    f"pass exclude={name!r}."
                )

    def _check_others(self, trainer: Trainer, managed: Mapping[str, nn.Parameter]) -> None:
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        earlier = callbacks[: next(i for i, each in enumerate(callbacks) if each is self)]
        for other in earlier:
            if isinstance(other, RewiringLifecycle):
                both = [c.name for c in other.candidates if not c.reason and c.name in managed]
                if both:
                    raise MisconfigurationException(
                        f"{type(self).__name__}: {both[0]!r} is rewired by {type(other).__name__} already. Give each "
                        "callback weights of its own with select."
                    )


_TURNOVER = ("pruned", "regrown")
_DEAD = ("empty_rows", "empty_columns")


def _share(optimizer: Optimizer, managed: Mapping[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """Return the managed weights that an optimizer trains."""
    own = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return {name: weight for name, weight in managed.items() if id(weight) in own}
