"""ST-RSBP as a LightningModule."""

import copy
import warnings
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MeanMetric

from lightning_neuro._lightning import LightningModule, Trainer, check_same_root, rank_zero_warn
from lightning_neuro.common import checks
from lightning_neuro.common.checkpoint_file import check_checkpoint_file
from lightning_neuro.st_rsbp.accumulation import GradientAccumulation
from lightning_neuro.st_rsbp.boosting import Boosting
from lightning_neuro.st_rsbp.fit_checks import check_fit, check_options
from lightning_neuro.st_rsbp.hooked_loss import HookedLoss
from lightning_neuro.st_rsbp.loss import CountLoss
from lightning_neuro.st_rsbp.module_inputs import as_boosting, as_encoder, as_network, boosted_index, inputs_of, unpack
from lightning_neuro.st_rsbp.network import SpikingNetwork
from lightning_neuro.st_rsbp.neuron_layer import NeuronLayer
from lightning_neuro.st_rsbp.regulariser import ExponentialRegulariser, check_regulariser
from lightning_neuro.st_rsbp.rule import GradientRule, Kind, as_rule
from lightning_neuro.st_rsbp.saturation import SaturationWatch
from lightning_neuro.st_rsbp.schedule import inverse_root, step_schedulers
from lightning_neuro.st_rsbp.shared_boosting import share_record_
from lightning_neuro.st_rsbp.training_log import log_accuracy, log_training

OWNER = "STRSBP"


class STRSBP(LightningModule):
    """Trains a spiking network at spike-train level, without backpropagation through time.

    Batches are `(inputs, targets)` or `(inputs, targets, index)`. Optimisation is manual: gradients are written by
    hand, averaged over a group of batches and over processes, shown to callbacks and clipped before the optimizer
    steps, so that the rest of a Trainer works as ever. Override `target_counts`, `loss_on_counts` or
    `configure_optimizers` to change what is learned.

    It logs `train_loss`, `train_accuracy`, `val_` and `test_` likewise, and in `st_rsbp/` the `firing_rate` of each
    layer, `clamped_fraction`, `given_up` and, summed over an epoch, `teacher_forced`.

    Args:
        network: what is trained, or its layers.
        encoder: turns inputs of a batch `(B, ...)` into spikes `(T, B, M)`; None where they are such spikes already.
            One with a true attribute `fixed`, as of `PoissonEncoder`, is called with the index as well.
        desired_count: spikes wanted of the target's neuron.
        undesired_count: spikes wanted of the others.
        margin: errors up to this many spikes cost nothing.
        teacher_forcing: let a silent target neuron learn as if it had fired.
        learning_rate: of Adam in the first epoch; `learning_rate / sqrt(epoch + 1)` later.
        gradient: `"adjoint"`, `"published"` for the authors' rule, or a `GradientRule`.
        regulariser: of the weights.
        boosting: weights of the training samples; batches must then bring each sample's index in the training set.
        accumulate_grad_batches: batches per optimizer step; equal to one large batch, also where the last group of an
            epoch is smaller.
        gradient_clip_val: bound of the gradient, None for none; applied after callbacks such as `GradientActivation`.
        gradient_clip_algorithm: `"norm"` or `"value"`.
        predict: whether `predict_step` returns `"classes"` `(B,)` or `"counts"` `(B, K)`.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind or outside its range.
        MisconfigurationException: at fit start, where it could not be right: several optimizers, LBFGS, a gradient
            scaler (16-mixed), a strategy that owns the gradients, or options of the Trainer that belong here.

    Source: arXiv 1908.06378. Differs from the authors' program: any batch size, no boosting and no regulariser unless
    asked for, and the exact gradient of the potentials by default.

    >>> from lightning_neuro.st_rsbp.layers import SpikingLayer
    >>> model = STRSBP([SpikingLayer(4, 2, threshold=2.0)], desired_count=10, undesired_count=1, margin=1)
    >>> model(torch.ones(30, 3, 4)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        network: SpikingNetwork | list[NeuronLayer] | None = None,
        *,
        encoder: nn.Module | None = None,
        desired_count: float = 35,
        undesired_count: float = 5,
        margin: float = 5,
        teacher_forcing: bool = True,
        learning_rate: float = 5e-3,
        gradient: Kind | GradientRule = "adjoint",
        regulariser: ExponentialRegulariser | None = None,
        boosting: Boosting | None = None,
        accumulate_grad_batches: int = 1,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: Literal["norm", "value"] = "norm",
        predict: Literal["classes", "counts"] = "classes",
    ) -> None:
        super().__init__()
        # What is not a plain value would make checkpoints hold pickled objects.
        objects = ["network", "encoder", "regulariser", "boosting"] + ["gradient"] * (not isinstance(gradient, str))
        self.save_hyperparameters(ignore=objects)
        self.automatic_optimization = False
        self.network, self.encoder = as_network(OWNER, network), as_encoder(OWNER, encoder)
        self.count_loss = CountLoss(desired_count, undesired_count, margin, teacher_forcing)
        self.learning_rate = checks.number(OWNER, "learning_rate", learning_rate, above=0)
        self.rule = as_rule(OWNER, "gradient", gradient)
        check_regulariser(OWNER, regulariser)
        self.regulariser, self.boosting = regulariser, as_boosting(OWNER, boosting)
        self.gradient_clip_val = (
            None if gradient_clip_val is None else checks.number(OWNER, "gradient_clip_val", gradient_clip_val, above=0)
        )
        self.gradient_clip_algorithm = checks.choice(
            OWNER, "gradient_clip_algorithm", gradient_clip_algorithm, ("norm", "value")
        )
        batches = checks.integer(OWNER, "accumulate_grad_batches", accumulate_grad_batches, at_least=1)
        self.accumulate_grad_batches = batches
        self.predict = checks.choice(OWNER, "predict", predict, ("classes", "counts"))
        self.train_accuracy, self.val_accuracy, self.test_accuracy = (MeanMetric() for _ in range(3))
        self._group = GradientAccumulation({}, self.accumulate_grad_batches)
        self._held: dict[str, Any] = {}
        self._epochs = 0
        self._encoder_state: dict[str, Any] | None = None
        self._saturation = SaturationWatch()

    # A Trainer attaches itself before it looks at the module: so we can say where options belong, before Lightning.
    @property
    def trainer(self) -> Trainer:
        """The Trainer at work."""
        return LightningModule.trainer.fget(self)  # type: ignore[attr-defined]

    @trainer.setter
    def trainer(self, trainer: Trainer | None) -> None:
        if trainer is not None:
            check_same_root(type(self).__name__, trainer)
            check_options(type(self).__name__, trainer)
        LightningModule.trainer.fset(self, trainer)  # type: ignore[attr-defined]

    def target_counts(self, counts: Tensor, targets: Tensor) -> Tensor:
        """Return the wanted counts `(B, K)`, given counts `(B, K)` and classes `(B,)` or wanted counts; override it."""
        return self.count_loss.wanted(counts, targets)

    def loss_on_counts(self, counts: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each sample `(B,)` and its derivative to the counts `(B, K)`; override for another."""
        return self.count_loss(counts, self.target_counts(counts, targets))

    def configure_optimizers(self) -> Any:
        """Return Adam, and a schedule of `learning_rate / sqrt(epoch + 1)`.

        Override to return one optimizer of your own, with schedulers whose interval and frequency are kept.
        """
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(trained, lr=self.learning_rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, inverse_root)}}

    @torch.compiler.disable  # the work is done by loops and hand-written gradients: nothing is left to compile
    def forward(self, inputs: Tensor, index: Tensor | None = None) -> Tensor:
        """Return the output counts `(B, K)`.

        Args:
            inputs: `(B, ...)` for the encoder, or spikes `(T, B, M)` without one.
            index: of each sample in its data set, for an encoder that fixes spikes by it.

        Raises:
            TypeError, ValueError: what the encoder or the network cannot take.
        """
        return self.network(self._spikes(inputs, index))

    @torch.compiler.disable
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Simulate, form the gradients and, with the last batch of a group, step; return the loss."""
        # An epoch whose last batch was followed by a checkpoint, and then by a crash, has not been ended.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")  # it stepped in that run
            self._end_epochs(self.current_epoch)
        inputs, targets, index = unpack(OWNER, batch)
        weight = self._sample_weight(targets, index)
        spikes = self._spikes(inputs, index)
        with self._group.joining(self.network(spikes).shape[0]):
            result = self.network.backward(
                targets, loss=self._loss(), rule=self.rule, sample_weight=weight, regulariser=self.regulariser
            )
        if self.boosting is not None:
            self.boosting.record(torch.as_tensor(index), targets, result.predictions)
        log_training(self, result, self.network.rates())
        log_accuracy(self, "train", result.counts, targets)
        self._warn_saturated(self.network.rates(), len(spikes))
        if self._group.full or self.trainer.is_last_batch:
            self._step()
        return result.loss

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Log `val_loss` and `val_accuracy`."""
        self._evaluate(batch, "val")

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Log `test_loss` and `test_accuracy`."""
        self._evaluate(batch, "test")

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Return classes `(B,)`, the first of the largest counts, or counts `(B, K)`, of a batch or of inputs alone."""
        counts = self(*inputs_of(OWNER, batch))
        return counts if self.predict == "counts" else counts.argmax(1)

    def setup(self, stage: str) -> None:
        """Forget a checkpoint that an earlier run has read; one of this run comes later."""
        self._held = {}

    def on_fit_start(self) -> None:
        """Refuse what could not be right."""
        check_checkpoint_file(type(self).__name__, self.trainer.ckpt_path)
        check_fit(type(self).__name__, self)

    def on_train_start(self) -> None:
        """Begin a group of batches, or go on with that of a checkpoint."""
        self._group = GradientAccumulation(dict(self.network.named_parameters()), self.accumulate_grad_batches)
        self._group.load_state_dict(self._held.get("group", {}))
        self._epochs = self._held.get("epochs", self.current_epoch)
        self._held = {}

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip, after callbacks have seen the gradients."""
        if self.gradient_clip_val is not None:
            self.clip_gradients(optimizer, self.gradient_clip_val, self.gradient_clip_algorithm)

    def on_validation_epoch_start(self) -> None:
        """Remember where the encoder's random numbers stand: training should not depend on how often one validates."""
        self._encoder_state = None if self.encoder is None else copy.deepcopy(self.encoder.state_dict())

    def on_validation_epoch_end(self) -> None:
        """Let the encoder go on where training left it."""
        if self.encoder is not None and self._encoder_state is not None:
            self.encoder.load_state_dict(self._encoder_state)
        self._encoder_state = None

    def on_train_epoch_end(self) -> None:
        """Step the schedulers of epochs, and weigh the samples for the next one."""
        self._end_epochs(self.current_epoch + 1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the gradients of an open group, and the weights of the samples."""
        if self._group.batches:
            self._average_()
        self._share_boosting_()
        boosting = {} if self.boosting is None else self.boosting.state_dict()
        if self.encoder is not None and self._encoder_state is not None:
            # In the middle of a validation: training goes on where it stood before.
            remembered = {f"encoder.{name}": value for name, value in self._encoder_state.items()}
            checkpoint["state_dict"].update(remembered)
        checkpoint["st_rsbp"] = {"group": self._group.state_dict(), "epochs": self._epochs, "boosting": boosting}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them up."""
        self._held = checkpoint.get("st_rsbp", {})
        if self.boosting is not None and self._held.get("boosting"):
            self.boosting.load_state_dict(self._held["boosting"])

    def _spikes(self, inputs: Tensor, index: Tensor | None) -> Tensor:
        if self.encoder is None:
            return inputs
        return self.encoder(inputs, index) if getattr(self.encoder, "fixed", False) else self.encoder(inputs)

    def _loss(self) -> HookedLoss:
        own = [getattr(type(self), hook) is not getattr(STRSBP, hook) for hook in ("loss_on_counts", "target_counts")]
        return HookedLoss(self.loss_on_counts, self.target_counts, self.count_loss, *own)

    def _step(self) -> None:
        self._average_()
        self._group.close()
        self.optimizers().step()  # type: ignore[union-attr]
        step_schedulers(self, "step", self.global_step)

    def _average_(self) -> None:
        """Give all processes the mean of their gradients: a data-parallel wrapper sees none that autograd did not."""
        if self.trainer.world_size > 1:
            self._group.average_(partial(self.trainer.strategy.reduce, reduce_op="mean"))

    def _end_epochs(self, count: int) -> None:
        while self._epochs < count:
            self._epochs += 1
            step_schedulers(self, "epoch", self._epochs)
            self._share_boosting_()
            if self.boosting is not None:
                self.boosting.end_epoch()

    def _sample_weight(self, targets: Tensor, index: Tensor | None) -> Tensor | None:
        return None if self.boosting is None else self.boosting.weights(boosted_index(OWNER, targets, index))

    def _share_boosting_(self) -> None:
        if self.boosting is not None and self.trainer.world_size > 1:
            share_record_(self.boosting, partial(self.trainer.strategy.reduce, reduce_op="max"), self.device)

    def _warn_saturated(self, rates: dict[str, Tensor], steps: int) -> None:
        # Not of the output, which fires as often as it was asked to.
        hidden = [layer.neuron for layer in self.network.layers if isinstance(layer, NeuronLayer)][:-1]
        for message in self._saturation.news(hidden, list(rates.values())[:-1], steps):
            rank_zero_warn(f"{OWNER}: {message}")

    @torch.compiler.disable
    def _evaluate(self, batch: Any, stage: str) -> None:
        inputs, targets, index = unpack(OWNER, batch)
        counts = self(inputs, index)
        loss, _ = self.loss_on_counts(counts, targets)
        parallel = self.trainer.world_size > 1
        self.log(f"{stage}_loss", loss.mean(), prog_bar=True, batch_size=len(counts), sync_dist=parallel)
        log_accuracy(self, stage, counts, targets)
