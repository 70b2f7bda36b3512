"""`SpectralInit`: recurrent nets start from a spectral solution instead of random weights."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch

from lightning_neuro._lightning import Callback, LightningModule, Trainer, check_same_root, rank_zero_info
from lightning_neuro.common import checks
from lightning_neuro.common.checkpoint_file import check_checkpoint_file
from lightning_neuro.spectral_rnn.batches import LoaderSeries, Unpack, unpack_batch
from lightning_neuro.spectral_rnn.learned import Diagnostics, Learned
from lightning_neuro.spectral_rnn.learning import learn, learn_bidirectional
from lightning_neuro.spectral_rnn.model import EXPLODED
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import Mergeable, SerialPasses, batches
from lightning_neuro.spectral_rnn.plain_rnn import EPSILON
from lightning_neuro.spectral_rnn.residuals import EXPLOSION_ERROR
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.series import Series
from lightning_neuro.spectral_rnn.targets import PlainTarget, PolynomialTarget, find_target, room

S = TypeVar("S", bound=Mergeable)
SAMPLE_STEPS = 20_000


class SpectralInit(Callback):
    """Learns a network from the training data by moments, and writes it into the net before training begins.

    The net holds a `PolynomialRNN` (exact), a `BidirectionalPolynomialRNN` (exact), or an `nn.RNN` read by an
    `nn.Linear`, which takes a linear network: exactly with ReLU and twice its neurons, nearly with tanh. Parameters are
    written in place, so optimizers stay as they are. A run that is resumed, or goes on with the same trainer, is left
    alone.

    The training data are read several times, with their padding cut off, on the CPU in double precision; under DDP each
    process reads its share, sums are added up, and all processes write the same weights.

    Args:
        units: number of neurons; None for as many as the net has, or in an `nn.RNN` as stand out and fit in.
        score: as for `SpectralRNN`.
        refine: as for `SpectralRNN`.
        y_clip: as for `SpectralRNN`; for numbers, not for labels.
        max_batches: read no more than these of each pass; None for as many as the trainer trains on.
        unpack: makes `(x (B, T, Dx), y, lengths (B,) or None)` of a batch; y is `(B, T, Dy)` or class labels `(B, T)`.
        rnn: name of the recurrent part of the net; None if there is one only.
        readout: name of the `nn.Linear` after an `nn.RNN`; None if one only fits.
        epsilon: scale of the states of a tanh net.
        approximate: for `nn.RNN`: learn a quadratic network, and train the net to imitate it before training begins.
        seed: of random starts.

    Attributes:
        diagnostics: how far to trust the start; None before `fit`.
        errors: squared error relative to the variance of the targets, "before" and "after", on some of the data.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range; at fit start, where the net or the data
            do not suffice.

    Source: follows the approach of Sedghi and Anandkumar, arXiv 1603.00954; that it starts gradient descent is ours.

    >>> SpectralInit(refine=0).errors
    {}
    """

    def __init__(
        self,
        *,
        units: int | None = None,
        score: str | ScoreModel = "auto",
        refine: int = 6,
        y_clip: float | None = None,
        max_batches: int | None = None,
        unpack: Unpack = unpack_batch,
        rnn: str | None = None,
        readout: str | None = None,
        epsilon: float = EPSILON,
        approximate: bool = False,
        seed: int = 0,
    ) -> None:
        owner = "SpectralInit"
        self.options = Options("auto" if units is None else units, score=score, refine=refine, y_clip=y_clip, seed=seed)
        self.max_batches = (
            None if max_batches is None else checks.integer(owner, "max_batches", max_batches, at_least=1)
        )
        self.unpack, self.rnn, self.readout = unpack, rnn, readout
        self.epsilon = checks.number(owner, "epsilon", epsilon, above=0)
        self.approximate = checks.flag(owner, "approximate", approximate)
        self.diagnostics: Diagnostics | None = None
        self.errors: dict[str, float] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a `Trainer` of the other Lightning package."""
        check_same_root("SpectralInit", trainer)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Learn and write, unless a checkpoint is resumed.

        Raises:
            TypeError: the training data end after one pass, or a batch has a form that nobody knows.
            ValueError: the net or the data do not suffice, or the checkpoint is damaged.
        """
        check_checkpoint_file("SpectralInit", trainer.ckpt_path)
        if trainer.ckpt_path is not None or trainer.global_step > 0:
            return
        target = find_target(pl_module, self.rnn, self.readout, self.epsilon, approximate=self.approximate)
        trainer.fit_loop.setup_data()
        loader: Any = trainer.train_dataloader
        source = LoaderSeries(loader, self.unpack, target.outputs, self._most_batches(trainer))
        sample = _sample(source)
        before = _error(target, sample)
        learned = self._learn(target, _RankPasses(SerialPasses(source), trainer.world_size))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.options.seed or 0)
            target.write_(learned.model, [series.x for series in sample])
        if trainer.world_size > 1:
            # Each process may round otherwise, and imitates on data of its own.
            for parameter in pl_module.parameters():
                torch.distributed.broadcast(parameter.data, 0)
        self.errors = {"before": before, "after": _error(target, sample)}
        self.diagnostics = learned.diagnostics
        self._tell(trainer, learned)

    def _most_batches(self, trainer: Trainer) -> int | None:
        limits = [limit for limit in (self.max_batches, trainer.num_training_batches) if limit is not None]
        most = min(limits)
        return None if most == float("inf") else int(most)

    def _learn(self, target: PolynomialTarget | PlainTarget, passes: "_RankPasses") -> Learned[Any]:
        wanted = self.options.units if self.options.units != "auto" else target.units
        options = Options(
            wanted,
            activation=target.activation,
            score=self.options.score,
            refine=self.options.refine,
            y_clip=self.options.y_clip,
            seed=self.options.seed,
        )
        if target.both_directions:
            return learn_bidirectional(passes, options)
        learned = learn(passes, options)
        most = room(target)
        if options.units == "auto" and most is not None and learned.model.units > most:
            learned = learn(passes, replace(options, units=most))
        return learned

    def _tell(self, trainer: Trainer, learned: Learned[Any]) -> None:
        values = learned.diagnostics.singular_values
        metrics = {f"spectral/singular_value_{place}": float(value) for place, value in enumerate(values[:16])}
        metrics |= {f"spectral/error_{when}": error for when, error in self.errors.items()}
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=0)
        rank_zero_info(
            f"SpectralInit: {learned.model.units} neurons from {learned.diagnostics.n_steps} steps; relative squared "
            f"error {self.errors['before']:.3g} before, {self.errors['after']:.3g} after."
        )


@dataclass(frozen=True)
class _RankPasses:
    """Each process sums over its own data; the sums are added up in the order of the ranks, equally in all."""

    local: SerialPasses
    world_size: int

    def run(self, work: Callable[[Iterable[Series]], S]) -> S:
        """Return the sums over the data of all processes."""
        mine = self.local.run(work)
        if self.world_size == 1:
            return mine
        every: list[Any] = [None] * self.world_size
        torch.distributed.all_gather_object(every, mine)
        total: S = every[0]
        for other in every[1:]:
            total.merge(other)
        return total


def _sample(source: Iterable[Series]) -> list[Series]:
    """Return the first stretches without a gap or an explosion, of about 20,000 steps."""
    return next(batches(source, SAMPLE_STEPS), [])


def _error(target: PolynomialTarget | PlainTarget, sample: list[Series]) -> float:
    """Return the squared error relative to the variance of the targets, where there are any; NaN if nowhere.

    Steps whose prediction explodes count as `EXPLOSION_ERROR`.
    """
    if not sample:
        return float("nan")
    with torch.no_grad():
        outputs = [target.predict(torch.as_tensor(one.x)[None])[0].double().cpu().numpy() for one in sample]
    found, wanted = np.concatenate(outputs), np.concatenate([one.y for one in sample])
    known = np.isfinite(wanted).all(axis=1)
    if not known.any():
        return float("nan")
    variance = max(wanted[known].var(axis=0).mean(), np.finfo(float).tiny)
    with np.errstate(over="ignore", invalid="ignore"):
        missed = np.mean((found[known] - wanted[known]) ** 2, axis=1) / variance
    exploded = ~(np.abs(found[known]).max(axis=1) < EXPLODED)
    return float(np.where(exploded, EXPLOSION_ERROR, missed).mean())
