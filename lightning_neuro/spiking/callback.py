"""The callback that keeps one batch's hidden state out of the next."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

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
from lightning_neuro.spiking.neurons import find_neurons
from lightning_neuro.spiking.state import hidden_state, holds_graph, load_hidden_state_, reset_

MODES = ("reset", "detach", "none")


class SpikingStateReset(Callback):
    """Gives every batch of training, validation, test and prediction snnTorch neurons in the right state.

    - `"reset"`: each batch starts from silent neurons.
    - `"detach"`: each batch starts where the previous one of the same kind ended, cut off its graph (stateful truncated
      backpropagation). Every epoch, and every data loader of it, starts silent; validation neither sees the state of
      training nor changes it.
    - `"none"`: neurons are left alone; a warning tells when one goes into a batch with the graph of an earlier one.

    Except in mode `"none"`, neurons hold nothing between batches: the state that `"detach"` carries waits here. So the
    model can be deep-copied, and callbacks that compare buffers, such as `WeightAveraging`, work; with manual
    optimization put this callback before them. On models without snnTorch neurons it does nothing.

    Args:
        mode: what happens to the state at the start of a batch.
        save_state: keep the state that training carries in checkpoints, so that it resumes with it; needs `"detach"`.

    Raises:
        ValueError: an unknown mode, or `save_state` without `"detach"`.

    >>> SpikingStateReset("detach", save_state=True).state_dict()
    {'carried': {}}
    """

    def __init__(self, mode: str = "reset", save_state: bool = False) -> None:
        self.mode = checks.choice("SpikingStateReset", "mode", mode, MODES)
        if save_state and mode != "detach":
            raise ValueError(
                f"SpikingStateReset: save_state=True needs mode='detach', got {mode!r}, which carries no state of its "
                "own from batch to batch. Leave save_state out, or use 'detach'."
            )
        self.save_state = save_state
        self._carried: dict[str, dict[str, Tensor]] = {}
        self._warned: set[str] = set()

    @property
    def state_key(self) -> str:
        """Name of this callback's entry in a checkpoint."""
        return f"SpikingStateReset[mode={self.mode}]"

    def state_dict(self) -> dict[str, Any]:
        """Return the state that training carries, as tensors by plain name, or nothing."""
        return {"carried": dict(self._carried.get("train", {}))} if self.save_state else {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the carried state of a checkpoint; each tensor moves to its neuron's device at the next batch."""
        self._carried["train"] = dict(state_dict.get("carried", {}))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check the Trainer; leave neurons silent for callbacks that copy the model in their own `setup`."""
        check_same_root("SpikingStateReset", trainer)
        if self.mode != "none":
            reset_(pl_module)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what would carry a wrong state without anyone noticing."""
        check_checkpoint_file("SpikingStateReset", trainer.ckpt_path)
        if self.mode != "detach" or not find_neurons(pl_module):
            return
        model = trainer.strategy.model
        if isinstance(model, DistributedDataParallel) and model.broadcast_buffers:
            raise MisconfigurationException(
                "SpikingStateReset: mode='detach' needs DDP without broadcast of buffers, which would give every "
                "process the hidden state of the first. Use Trainer(strategy=DDPStrategy(broadcast_buffers=False)), or "
                "forward_sync_buffers=False with newer versions of PyTorch."
            )
        if any(isinstance(optimizer, torch.optim.LBFGS) for optimizer in trainer.optimizers):
            raise MisconfigurationException(
                "SpikingStateReset: mode='detach' cannot carry state with LBFGS, which runs a batch several times per "
                "step. Use mode='reset' or another optimizer."
            )

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Empty the neurons before any callback's `on_train_batch_end`, whatever their order.

        Under manual optimization the batch may go on after the step, so there it waits for the batch's end.
        """
        if pl_module.automatic_optimization:
            self._leave("train", pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Put the neurons in the state the mode asks for; the first batch of an epoch finds them silent."""
        # Not left to `on_train_epoch_start`, which Lightning skips on resuming from an epoch's last batch.
        if batch_idx == 0:
            self._forget("train")
        self._enter("train", pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the state out of the neurons."""
        self._leave("train", pl_module)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the epoch silent."""
        self._forget("validate")

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Put the neurons in the state the mode asks for."""
        self._enter(f"validate.{dataloader_idx}", pl_module)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take the state out of the neurons."""
        self._leave(f"validate.{dataloader_idx}", pl_module)

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the epoch silent."""
        self._forget("test")

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Put the neurons in the state the mode asks for."""
        self._enter(f"test.{dataloader_idx}", pl_module)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take the state out of the neurons."""
        self._leave(f"test.{dataloader_idx}", pl_module)

    def on_predict_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the epoch silent."""
        self._forget("predict")

    def on_predict_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Put the neurons in the state the mode asks for."""
        self._enter(f"predict.{dataloader_idx}", pl_module)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take the state out of the neurons."""
        self._leave(f"predict.{dataloader_idx}", pl_module)

    def _forget(self, stage: str) -> None:
        self._carried = {key: state for key, state in self._carried.items() if key.split(".")[0] != stage}

    def _enter(self, stream: str, pl_module: LightningModule) -> None:
        if self.mode == "none":
            self._warn_of_graphs(pl_module)
        else:
            load_hidden_state_(pl_module, self._carried.get(stream, {}))

    def _leave(self, stream: str, pl_module: LightningModule) -> None:
        if self.mode == "none":
            return
        if self.mode == "detach" and (state := hidden_state(pl_module)):
            self._warn_of_lost_state(self._carried.get(stream, {}), state)
            self._carried[stream] = {name: value.detach() for name, value in state.items()}
        reset_(pl_module)

    def _warn_of_graphs(self, pl_module: LightningModule) -> None:
        # Neurons with explicit state are given a new one; what they still hold is never read.
        neurons = find_neurons(pl_module)
        names = [name for name in holds_graph(pl_module) if getattr(neurons[name], "init_hidden", False)]
        self._warn_once(
            ", ".join(names),
            "SpikingStateReset: with mode='none' these neurons go into a batch with the graph of an earlier one: {}. "
            "Unless the model resets them itself, backward will fail. Use mode='reset' or 'detach'.",
        )

    def _warn_of_lost_state(self, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
        lost = [name for name in before if name in after and before[name].shape != after[name].shape]
        self._warn_once(
            ", ".join(lost),
            "SpikingStateReset: the batch size changed, so snnTorch dropped the carried state and started from zero: "
            "{}. Keep the batch size, for instance with drop_last=True in the DataLoader.",
        )

    def _warn_once(self, names: str, message: str) -> None:
        if names and names not in self._warned:
            self._warned.add(names)
            rank_zero_warn(message.format(names))
