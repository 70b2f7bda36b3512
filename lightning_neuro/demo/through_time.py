"""The same network and the same loss as `STRSBP`, trained by backpropagation through time in snnTorch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from lightning_neuro._lightning import LightningModule
from lightning_neuro.spiking.unroll import unroll
from lightning_neuro.st_rsbp import CountLoss, SpikingNetwork
from lightning_neuro.st_rsbp.interop import to_snntorch
from lightning_neuro.st_rsbp.schedule import inverse_root


class ThroughTime(LightningModule):
    """Unrolls a network over all steps and lets surrogate gradients carry the error of the counts back.

    Args:
        network: its weights are copied; refractory times must be 1.
        encoder: turns inputs `(B, ...)` into spikes `(T, B, M)`.
        learning_rate: of Adam in the first epoch; `learning_rate / sqrt(epoch + 1)` later.
        counts: arguments of `CountLoss`.
    """

    def __init__(self, network: SpikingNetwork, *, encoder: nn.Module, learning_rate: float, **counts: Any) -> None:
        super().__init__()
        self.net, self.encoder, self.learning_rate = to_snntorch(network), encoder, learning_rate
        self.count_loss = CountLoss(**counts)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the output counts `(B, K)`."""
        output, _ = unroll(self.net, self.encoder(inputs).float())
        return (output[0] if isinstance(output, tuple) else output).sum(0)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss; its derivative to the counts is what ST-RSBP starts from as well."""
        counts = self(batch[0])
        loss, delta = self.count_loss(counts.detach(), batch[1])
        slope = (counts * delta).sum(1).mean()
        return loss.mean() + slope - slope.detach()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log `val_loss` and `val_accuracy`."""
        self._evaluate(batch, "val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log `test_loss` and `test_accuracy`."""
        self._evaluate(batch, "test")

    def configure_optimizers(self) -> Any:
        """Return Adam and the schedule of `STRSBP`."""
        optimizer = torch.optim.Adam(self.net.parameters(), lr=self.learning_rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, inverse_root)}}

    def _evaluate(self, batch: tuple[Tensor, Tensor], stage: str) -> None:
        counts = self(batch[0])
        loss, _ = self.count_loss(counts, batch[1])
        accuracy = (counts.argmax(1) == batch[1]).float().mean()
        self.log_dict({f"{stage}_loss": loss.mean(), f"{stage}_accuracy": accuracy}, batch_size=len(counts))
