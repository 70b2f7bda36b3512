"""The spiking network that the rewiring benchmark trains: 784-800-10, every image a constant current."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from lightning_neuro._lightning import LightningModule
from lightning_neuro.spiking.surrogate import ATan

DECAY, THRESHOLD = 0.5, 1.0
SPIKE = ATan(alpha=2.0)


class LeakyNeurons(torch.autograd.Function):
    """Leaky neurons over all time steps at once, several times faster than one snnTorch call per step on a CPU.

    As `snntorch.Leaky(beta=0.5, threshold=1.0, reset_mechanism="zero", spike_grad=ATan(2.0))`, step by step:
    `v <- 0.5 v (1 - s) + x`, spike where `v > 1`, and no gradient through the reset.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, num_steps: int) -> Tensor:
        """Return the spikes `(T, B, N)` for currents `(T, B, N)`, or `(B, N)` that stay the same."""
        ctx.static = x.dim() == 2
        currents = [x] * num_steps if ctx.static else x.unbind(0)
        mem, spk = x.new_empty(num_steps, *x.shape[-2:]), x.new_empty(num_steps, *x.shape[-2:])
        last = torch.zeros_like(currents[0])
        for step, current in enumerate(currents):
            torch.add(current, last, alpha=DECAY, out=mem[step])
            torch.gt(mem[step], THRESHOLD, out=spk[step])
            last = torch.addcmul(mem[step], mem[step], spk[step], value=-1.0)
        ctx.save_for_backward(mem, spk)
        return spk

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of the currents; the surrogate stands in for the derivative of a spike."""
        (gradient,), (mem, spk) = gradients, ctx.saved_tensors
        by_step = torch.empty_like(mem[:1] if ctx.static else mem)
        later = torch.zeros_like(mem[0])
        total = torch.zeros_like(mem[0])
        for step in reversed(range(len(mem))):
            later = torch.addcmul(later, later, spk[step], value=-1.0).mul_(DECAY)
            later.addcmul_(gradient[step], SPIKE.derivative(mem[step] - THRESHOLD))
            if ctx.static:
                total.add_(later)
            else:
                by_step[step] = later
        return (total if ctx.static else by_step), None


class StaticSpikingNet(LightningModule):
    """784-800-10 leaky neurons without biases, 635,200 weights, trained on the squared error of spike rates.

    The first layer's current is computed once, since an image does not change in time. The learning rate is constant
    for two thirds of the steps and then falls linearly to 0.

    Args:
        num_features: values per image.
        num_classes: number of classes.
        learning_rate: of Adam.
        num_steps: time steps.
        hidden: neurons of the hidden layer.
    """

    def __init__(
        self, num_features: int, num_classes: int, learning_rate: float = 1e-3, num_steps: int = 8, hidden: int = 800
    ) -> None:
        super().__init__()
        self.hidden = nn.Linear(num_features, hidden, bias=False)
        self.output = nn.Linear(hidden, num_classes, bias=False)
        self.learning_rate, self.num_steps, self.num_classes = learning_rate, num_steps, num_classes

    def forward(self, images: Tensor) -> Tensor:
        """Return the spike rates of the output neurons, `(B, num_classes)`."""
        spk = LeakyNeurons.apply(self.hidden(images) * DECAY, self.num_steps)
        rates: Tensor = LeakyNeurons.apply(self.output(spk) * DECAY, self.num_steps).mean(0)
        return rates

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the squared error of the rates against 1 for the right class and 0 for the others."""
        images, labels = batch
        wanted = nn.functional.one_hot(labels, self.num_classes).float()
        return nn.functional.mse_loss(self(images), wanted)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the accuracy on validation images."""
        self._log_accuracy("val_accuracy", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the accuracy on test images."""
        self._log_accuracy("test_accuracy", batch)

    def configure_optimizers(self) -> dict[str, Any]:
        """Return Adam with its schedule."""
        optimizer = Adam(self.parameters(), lr=self.learning_rate, fused=True)
        steps = int(self.trainer.estimated_stepping_batches)

        def scale(step: int) -> float:
            return min(1.0, 3 * (1 - step / steps))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _log_accuracy(self, name: str, batch: tuple[Tensor, Tensor]) -> None:
        images, labels = batch
        correct = (self(images).argmax(1) == labels).float().mean()
        self.log(name, correct, on_step=False, on_epoch=True, batch_size=len(labels))
