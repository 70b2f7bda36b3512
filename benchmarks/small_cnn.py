"""The network that the benchmarks train: small enough for one core, large enough to learn Fashion-MNIST."""

from collections.abc import Callable, Iterable
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from lightning_neuro._lightning import LightningModule


def sgd(parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
    return SGD(parameters, lr=rate, momentum=0.9, weight_decay=5e-4)


class SmallCnn(LightningModule):
    """Two convolutions and two dense layers, 76,418 parameters for 28x28 images in 10 classes.

    The learning rate warms up over a tenth of the steps and falls to zero along a cosine.

    Args:
        image_shape: `(C, H, W)`.
        num_classes: number of classes.
        optimizer: builds the optimizer from parameters and learning rate.
        learning_rate: at the peak.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_classes: int,
        optimizer: Callable[[Iterable[nn.Parameter], float], Optimizer] = sgd,
        learning_rate: float = 0.03,
    ) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * ceil(height / 4) * ceil(width / 4), 40),
            nn.ReLU(),
            nn.Linear(40, num_classes),
        )
        self.optimizer, self.learning_rate = optimizer, learning_rate

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of the classes, `(B, num_classes)`."""
        return self.layers(images)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the cross-entropy of a batch."""
        images, labels = batch
        return nn.functional.cross_entropy(self(images), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the accuracy on validation images."""
        self._log_accuracy("val_accuracy", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the accuracy on test images."""
        self._log_accuracy("test_accuracy", batch)

    def configure_optimizers(self) -> dict[str, Any]:
        """Return the optimizer with its schedule."""
        optimizer = self.optimizer(self.parameters(), self.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=self.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.1,
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _log_accuracy(self, name: str, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        correct = (self(images).argmax(1) == labels).float().mean()
        self.log(name, correct, on_step=False, on_epoch=True, batch_size=len(labels))


class TutorialCnn(SmallCnn):
    """The network of many tutorials: 3x3 convolutions, pooling, dense layers; 1.2 million weights."""

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(image_shape, num_classes)
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * ((height - 4) // 2) * ((width - 4) // 2), 128),
            nn.ReLU(),
            nn.Linear(128, num_classes),
        )
