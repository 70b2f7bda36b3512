"""`ReservoirModule`: a reservoir whose readout is trained in a Trainer, by ridge regression or by gradients."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from reservoirpy.node import Node
from torch import Tensor, nn

from lightning_neuro._lightning import LightningModule, check_same_root, rank_zero_warn
from lightning_neuro.common import checks
from lightning_neuro.common.checkpoint_file import check_checkpoint_file
from lightning_neuro.reservoir.batches import Pooling, Unpack, counted_steps, known_targets, pooled, unpack_batch
from lightning_neuro.reservoir.readout_errors import ReadoutErrors
from lightning_neuro.reservoir.ridge_fit import RidgeFit, checked_ridges
from lightning_neuro.reservoir.torch import TorchReservoir
from lightning_neuro.reservoir.trainer_checks import check_precision, check_ridge_trainer, check_untrained

CHECKPOINT_KEY = "reservoir_ridge"


class ReservoirModule(LightningModule):
    """A fixed reservoir and a linear readout of its states, `(B, T, K)` to `(B, T, O)` or `(B, O)`.

    With `readout="ridge"` training adds up products of states and targets in double precision, over batches and
    processes, and solves before each validation and at the end of each epoch: one epoch is all there is to learn, and
    batches of any size give the same weights, those of reservoirpy's `Ridge`. Of several penalties the one that does
    best in validation is kept, by lowest loss or for labels by highest accuracy. A step moves nothing but
    `global_step`. With `readout="sgd"` the readout, and whatever is trainable in the reservoir, learns by gradients.

    Padding, targets of NaN and labels of -100 count for nothing. Logged are `loss`, and `nrmse` or for labels
    `accuracy`, each with `train_`, `val_` or `test_` before it, and the `ridge` chosen; in training, ridge regression
    knows the loss only. Its loss is the squared error, also against labels as rows of ones and zeros.

    Args:
        reservoir: a `TorchReservoir`; or a reservoirpy node that `TorchReservoir.from_node` takes, with weights drawn
            or its `input_dim` given. The readout has its precision.
        outputs: O: columns of targets, or number of classes.
        readout: "ridge" or "sgd".
        task: "regression" on `(B, T, O)`, or `(B, O)` where pooled; "classification" of labels `(B, T)`, or `(B,)`.
        pooling: "none": an output for every step; "last" or "mean": one per series, from its last state or their mean.
        ridge: penalty, or several of them.
        learning_rate: of Adam; override `configure_optimizers` for another optimizer.
        washout: leading steps of each series that count for nothing.
        input_to_readout: the readout sees inputs beside states.
        unpack: makes `(x (B, T, K), y, lengths (B,) or None)` of a batch.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.
        MisconfigurationException: at fit start, precision or strategy cannot give right weights, or there are several
            penalties and no validation.

    >>> module = ReservoirModule(TorchReservoir(torch.eye(3) / 2, torch.ones(3, 1)), outputs=2)
    >>> module(torch.zeros(4, 7, 1)).shape
    torch.Size([4, 7, 2])
    """

    def __init__(
        self,
        reservoir: TorchReservoir | Node,
        outputs: int,
        *,
        readout: Literal["ridge", "sgd"] = "ridge",
        task: Literal["regression", "classification"] = "regression",
        pooling: Pooling = "none",
        ridge: float | Sequence[float] = 1e-6,
        learning_rate: float = 1e-3,
        washout: int = 0,
        input_to_readout: bool = False,
        unpack: Unpack = unpack_batch,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        outputs = checks.integer(owner, "outputs", outputs, at_least=1)
        ridge = checked_ridges(owner, ridge)
        self.save_hyperparameters(ignore=["reservoir", "unpack"])  # after the checks, which make plain numbers
        self.outputs: int = outputs
        self.method: str = checks.choice(owner, "readout", readout, ("ridge", "sgd"))
        self.task: str = checks.choice(owner, "task", task, ("regression", "classification"))
        self.pooling: Pooling = checks.choice(owner, "pooling", pooling, ("none", "last", "mean"))
        self.learning_rate = checks.number(owner, "learning_rate", learning_rate, above=0)
        self.washout = checks.integer(owner, "washout", washout, at_least=0)
        self.input_to_readout = checks.flag(owner, "input_to_readout", input_to_readout)
        self.unpack = unpack
        self.reservoir = reservoir if isinstance(reservoir, TorchReservoir) else TorchReservoir.from_node(reservoir)
        width = self.reservoir.units + self.input_to_readout * self.reservoir.input_dim
        self.readout = nn.Linear(width, outputs, dtype=self.reservoir.W.dtype)
        self.fitting: RidgeFit | None = None
        if self.method == "ridge":
            check_untrained(owner, self.reservoir)
            self.fitting = RidgeFit(owner, width, outputs, ridge)
        labels, sizes = self.task == "classification", {"train": 1, "val": 1, "test": 1, "choice": len(ridge)}
        self.errors = nn.ModuleDict(
            {f"{name}_errors": ReadoutErrors(outputs, size, labels=labels) for name, size in sizes.items()}
        )

    def features(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return what the readout sees of series `(B, T, K)` of `lengths (B,)`: `(B, T, F)`, or `(B, F)` if pooled."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.fitting is None):
            found: Tensor = self.reservoir(x, lengths=lengths)
            if self.input_to_readout:
                found = torch.cat([found, x.to(found)], -1)
            if self.pooling == "none":
                return found
            return pooled(found, counted_steps(x, lengths, self.washout), self.pooling)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the outputs `(B, T, O)` of series `(B, T, K)` of `lengths (B,)`, or `(B, O)` if pooled."""
        return self._read(self.features(x, lengths))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam; for ridge regression, an optimizer that moves nothing: a Trainer counts what optimizers do."""
        if self.fitting is not None:
            return torch.optim.SGD(self.readout.parameters(), lr=0.0)
        return torch.optim.Adam([each for each in self.parameters() if each.requires_grad], lr=self.learning_rate)

    def setup(self, stage: str) -> None:
        """Refuse a `Trainer` of the other Lightning package, and precisions of 16 bits."""
        check_same_root(type(self).__name__, self.trainer)
        check_precision(type(self).__name__, self.trainer)

    def on_fit_start(self) -> None:
        """Refuse what could not be right; what an earlier fit has added up is forgotten, unless this one goes on."""
        check_checkpoint_file(type(self).__name__, self.trainer.ckpt_path)
        fitting, trainer = self.fitting, self.trainer
        if fitting is None:
            return
        check_ridge_trainer(type(self).__name__, trainer, len(fitting.ridges))
        fitting.take_share(trainer.global_rank, trainer.world_size)
        if trainer.ckpt_path is None and trainer.global_step == 0:
            fitting.forget()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss of a batch; for ridge regression add the batch up, and return zero."""
        x, y = self._rows(batch)
        if self.fitting is None:
            return self._learned(x, y)
        if self.task == "classification":
            y = nn.functional.one_hot(y.long(), self.outputs)
        self.fitting.add(x, y, self.trainer.current_epoch)
        # Its gradients are zero: so scalers, reducers and clipping have what they expect.
        return 0.0 * (self.readout.weight.sum() + self.readout.bias.sum())

    def on_train_epoch_end(self) -> None:
        """Write the solution into the readout, and log how training went."""
        if self.fitting is not None:
            self.fitting.solve(self.trainer.world_size)
            self.fitting.write_(self.readout)
            self._log({"train_loss": self.fitting.training_loss, "ridge": self.fitting.ridge})
        else:
            self._log_errors("train")

    def on_fit_end(self) -> None:
        """Solve what a resumed run was given no epoch end for.

        Lightning takes a checkpoint that was saved with the last batch of an epoch for one of the epoch's end.
        """
        if self.fitting is None or not self.fitting.is_open:
            return
        self.fitting.solve(self.trainer.world_size)
        self.fitting.write_(self.readout)
        if len(self.fitting.ridges) > 1:
            rank_zero_warn(
                f"{type(self).__name__}: the run ended within an epoch or went on from a checkpoint saved with an "
                f"epoch's last batch, without validation: ridge {self.fitting.ridge:g} was taken, which was not chosen "
                "from this epoch's solutions. Save checkpoints at the end of epochs."
            )

    def on_validation_start(self) -> None:
        """Solve for all penalties, where training has gone on since the last time."""
        if self.fitting is not None and self._is_choosing():
            self.fitting.solve(self.trainer.world_size)

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Measure a batch, with the solution for each penalty."""
        if self.fitting is None or not self._is_choosing():
            self._measure("val", batch)
        else:
            x, y = self._rows(batch)
            self._errors("choice").update(self.fitting.predict(x), y)

    def on_validation_epoch_end(self) -> None:
        """Keep the best penalty, and log how it did."""
        if self.fitting is None or not self._is_choosing():
            self._log_errors("val")
            return
        found = self._computed("choice")
        self.fitting.choose(found)
        self.fitting.write_(self.readout)
        self._log({f"val_{name}": values[self.fitting.chosen] for name, values in found.items()})

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Measure a batch."""
        self._measure("test", batch)

    def on_test_epoch_end(self) -> None:
        """Log how it went."""
        self._log_errors("test")

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Return the outputs of a batch, or of inputs alone; for classes, the most likely one."""
        x, _, lengths = (batch, None, None) if isinstance(batch, Tensor) else self.unpack(batch)
        outputs: Tensor = self(x, lengths)
        return outputs.argmax(-1) if self.task == "classification" else outputs

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the sums of all processes, so that a run can go on within an epoch."""
        if self.fitting is not None:
            checkpoint[CHECKPOINT_KEY] = self.fitting.state_dict(self.trainer.world_size, self.device)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with them."""
        if self.fitting is not None and CHECKPOINT_KEY in checkpoint:
            self.fitting.load_state_dict(checkpoint[CHECKPOINT_KEY])

    def _rows(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Return features `(n, F)`, and numbers `(n, O)` or labels `(n,)`, of what counts in a batch."""
        x, y, lengths = self.unpack(batch)
        features = self.features(x, lengths)
        kept = known_targets(y, features.shape[:-1], self.outputs, labels=self.task == "classification")
        if self.pooling == "none":
            kept = kept & counted_steps(x, lengths, self.washout).to(kept.device)
        return features[kept], y[kept]

    def _read(self, features: Tensor) -> Tensor:
        """Return outputs; what ridge regression has written is not for mixed precision to round."""
        mixed = torch.is_autocast_enabled(features.device.type) and self.fitting is None
        with torch.autocast(features.device.type, enabled=mixed):
            outputs: Tensor = self.readout(features)
        return outputs

    def _learned(self, x: Tensor, y: Tensor) -> Tensor:
        outputs = self._read(x).to(self.readout.weight.dtype)
        if len(y) == 0:  # There is no mean to take: the loss is zero, and so are its gradients.
            return outputs.sum()
        loss = self._loss(outputs, y)
        self._errors("train").update(outputs[None], y, loss[None])
        return loss

    def _loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        if self.fitting is None and self.task == "classification":
            return nn.functional.cross_entropy(outputs, y.long())
        wanted = nn.functional.one_hot(y.long(), self.outputs) if self.task == "classification" else y
        return nn.functional.mse_loss(outputs, wanted.to(outputs))

    def _measure(self, stage: str, batch: Any) -> None:
        x, y = self._rows(batch)
        outputs = self._read(x).to(self.readout.weight.dtype)
        self._errors(stage).update(outputs[None], y, self._loss(outputs, y)[None])

    def _errors(self, stage: str) -> ReadoutErrors:
        errors = self.errors[f"{stage}_errors"]
        assert isinstance(errors, ReadoutErrors)
        return errors

    def _is_choosing(self) -> bool:
        """Whether there are penalties to compare: not before training, nor where someone else validates."""
        trainer, fitting = self.trainer, self.fitting
        return (
            trainer.state.fn == "fit"
            and not trainer.sanity_checking
            and fitting is not None
            and fitting.epoch is not None
        )

    def _computed(self, stage: str) -> dict[str, Tensor]:
        errors = self._errors(stage)
        found = {name: values.reshape(-1) for name, values in errors.compute().items()}
        errors.reset()
        return found

    def _log_errors(self, stage: str) -> None:
        self._log({f"{stage}_{name}": values[0] for name, values in self._computed(stage).items()})

    def _log(self, values: dict[str, Any]) -> None:
        # The same in all processes, which adding up has seen to.
        options: dict[str, Any] = {"on_step": False, "on_epoch": True, "sync_dist": self.trainer.world_size > 1}
        self.log_dict(values, prog_bar=True, batch_size=1, **options)
