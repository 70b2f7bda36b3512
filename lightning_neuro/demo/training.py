"""One training for the demonstration: a trainer that leaves no files, what it saw, and no chatter."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lightning_neuro._lightning import ROOT, Callback, LightningModule, Trainer


class History(Callback):
    """Keeps the loss of every step and the validation results of every epoch."""

    def __init__(self) -> None:
        self.train_loss: list[float] = []
        self.val_loss: list[float] = []
        self.val_accuracy: list[float] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the loss of the step."""
        self.train_loss.append(float(outputs["loss"]))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep what the epoch's validation logged."""
        self.val_loss.append(float(trainer.callback_metrics["val_loss"]))
        self.val_accuracy.append(float(trainer.callback_metrics["val_accuracy"]))


def make_trainer(*, accelerator: str = "cpu", **options: Any) -> Trainer:
    """A trainer that shows its progress and leaves no files."""
    return Trainer(
        accelerator=accelerator,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: networks this small gain nothing from more, and wait long for one that is not given."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Leave out what Lightning says again for each of many trainings: hardware found, advice on worker processes."""
    logger = logging.getLogger(f"{ROOT}.utilities.rank_zero")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
            yield
    finally:
        logger.setLevel(level)
