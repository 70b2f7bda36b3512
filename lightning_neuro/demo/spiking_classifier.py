"""A small spiking network that classifies images, as a LightningModule."""

from typing import Any

import torch
from snntorch import Leaky
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from lightning_neuro._lightning import LightningModule
from lightning_neuro.common import checks
from lightning_neuro.spiking.surrogate import FastSigmoid
from lightning_neuro.spiking.unroll import unroll


class SpikingClassifier(LightningModule):
    """One hidden layer of leaky integrate-and-fire neurons and a leaky readout that does not spike.

    The image drives the hidden neurons with a constant current. The scores are the membrane potentials of the readout,
    averaged over time; the loss is their cross-entropy. Trained by SGD whose learning rate falls to 0 along a cosine.

    Args:
        in_features: values in an image, C*H*W: 784 for Fashion-MNIST, 64 for the digits.
        num_classes: number of classes.
        hidden_features: number of hidden neurons.
        num_steps: time steps per image.
        beta: decay of the membrane potential per step, 0 to 1.
        learning_rate: of SGD, at the start.
        momentum: of SGD.
        weight_decay: of SGD.

    Raises:
        TypeError: an argument is not a number.
        ValueError: an argument is out of range.

    >>> model = SpikingClassifier(in_features=64, hidden_features=32)
    >>> model(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        in_features: int = 784,
        num_classes: int = 10,
        hidden_features: int = 128,
        num_steps: int = 8,
        beta: float = 0.9,
        learning_rate: float = 0.01,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__()
        who = "SpikingClassifier"
        self.in_features = checks.integer(who, "in_features", in_features, at_least=1)
        self.num_steps = checks.integer(who, "num_steps", num_steps, at_least=1)
        self.learning_rate = checks.number(who, "learning_rate", learning_rate, above=0)
        self.momentum = checks.number(who, "momentum", momentum, at_least=0, below=1)
        self.weight_decay = checks.number(who, "weight_decay", weight_decay, at_least=0)
        checks.integer(who, "num_classes", num_classes, at_least=2)
        checks.integer(who, "hidden_features", hidden_features, at_least=1)
        checks.number(who, "beta", beta, at_least=0, at_most=1)
        self.save_hyperparameters()
        self.synapses = nn.Sequential(nn.Flatten(), nn.Linear(in_features, hidden_features))
        self.net = nn.Sequential(
            Leaky(beta=beta, spike_grad=FastSigmoid()),
            nn.Linear(hidden_features, num_classes),
            Leaky(beta=beta, reset_mechanism="none"),
        )
        self.val_accuracy = MulticlassAccuracy(num_classes, average="micro")
        self.test_accuracy = MulticlassAccuracy(num_classes, average="micro")

    def forward(self, images: Tensor) -> Tensor:
        """Scores `(B, num_classes)` of images `(B, ...)` with `in_features` values each.

        Raises:
            ValueError: the images are of another size.
        """
        values = images[0].numel()
        if values != self.in_features:
            raise ValueError(
                f"SpikingClassifier: in_features must match the images, which have {values} values each "
                f"{tuple(images.shape[1:])}, got in_features={self.in_features}. Set in_features={values}."
            )
        # The input does not change over time, so its current is computed once.
        (_, potentials), _ = unroll(self.net, self.synapses(images), self.num_steps)
        return potentials.mean(dim=0)

    @torch.no_grad()
    def hidden_spikes(self, images: Tensor) -> Tensor:
        """Spikes `(T, B, hidden_features)` of the hidden neurons."""
        recorded: list[Tensor] = []
        hook = self.net[0].register_forward_hook(lambda module, inputs, output: recorded.append(output[0]))
        try:
            self(images)
        finally:
            hook.remove()
        return torch.stack(recorded)

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean cross-entropy of a batch of images and labels."""
        images, labels = batch
        return nn.functional.cross_entropy(self(images), labels)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of a batch."""
        loss = self.loss(batch)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log `val_loss` and `val_accuracy`."""
        self._evaluate(batch, "val", self.val_accuracy)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log `test_loss` and `test_accuracy`."""
        self._evaluate(batch, "test", self.test_accuracy)

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Return the class numbers `(B,)` of images without labels."""
        return self(batch).argmax(dim=1)

    def configure_optimizers(self) -> Any:
        """SGD with momentum and a cosine schedule over the whole training."""
        optimizer = torch.optim.SGD(
            self.parameters(), lr=self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay
        )
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _evaluate(self, batch: tuple[Tensor, Tensor], stage: str, accuracy: MulticlassAccuracy) -> None:
        images, labels = batch
        scores = self(images)
        accuracy(scores, labels)
        self.log(f"{stage}_loss", nn.functional.cross_entropy(scores, labels), prog_bar=True)
        self.log(f"{stage}_accuracy", accuracy, prog_bar=True)
