"""What `STRSBP` logs."""

from typing import Any

from torch import Tensor

from lightning_neuro._lightning import LightningModule
from lightning_neuro.st_rsbp.module_inputs import classes_of
from lightning_neuro.st_rsbp.network import BackwardResult


def log_training(module: LightningModule, result: BackwardResult, rates: dict[str, Tensor]) -> None:
    """Log the loss of a batch and, over the epoch, how the backward pass went.

    Args:
        module: logs.
        result: of the backward pass.
        rates: spikes per neuron and step, by the layer's place.
    """
    size = len(result.counts)
    module.log("train_loss", result.loss, prog_bar=True, batch_size=size)
    values = {f"firing_rate/{place}": rate for place, rate in rates.items()}
    values |= {"clamped_fraction": result.clamped, "given_up": result.given_up}
    epoch: dict[str, Any] = {"on_step": False, "on_epoch": True, "batch_size": size}
    epoch["sync_dist"] = module.trainer.world_size > 1
    module.log_dict({f"st_rsbp/{name}": value.float() for name, value in values.items()}, **epoch)
    module.log("st_rsbp/teacher_forced", result.teacher_forced.float(), reduce_fx="sum", **epoch)


def log_accuracy(module: LightningModule, stage: str, counts: Tensor, targets: Tensor) -> None:
    """Log how often the largest count is that of the target, if targets are classes or wanted counts.

    Args:
        module: logs, and has a metric `{stage}_accuracy`.
        stage: `"train"`, `"val"` or `"test"`.
        counts: of the output neurons `(B, K)`.
        targets: of the batch.
    """
    classes, name = classes_of(targets, counts), f"{stage}_accuracy"
    if classes is None:
        return
    metric = getattr(module, name)
    metric((counts.argmax(1) == classes).float())
    shown = stage != "train"
    module.log(name, metric, on_step=False, on_epoch=True, prog_bar=shown, batch_size=len(counts))
