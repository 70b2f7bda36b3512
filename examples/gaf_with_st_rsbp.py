"""
GAF with ST-RSBP: activated gradients of spike counts
=====================================================

ST-RSBP writes gradients without a backward pass through time, and shows them to callbacks before its optimizer steps;
so they can be activated as any others. Here plain SGD, whose steps are as uneven as the gradients, learns from both.
Run it with `python examples/gaf_with_st_rsbp.py`; it takes seconds and needs no files.
"""

from typing import Any

import matplotlib.pyplot as plt
import torch
from pytorch_lightning import Trainer, seed_everything

from lightning_neuro import STRSBP, GradientActivation
from lightning_neuro.data import DigitsData
from lightning_neuro.spiking.encoding import PoissonEncoder
from lightning_neuro.st_rsbp import RecurrentSpikingLayer, SpikingLayer, SpikingNetwork

QUIET = {"enable_progress_bar": False, "enable_model_summary": False}


class WithSGD(STRSBP):
    """Adam ignores the scale of gradients, and half of what GAF does with it; SGD does not."""

    def configure_optimizers(self) -> Any:
        """SGD with the module's learning rate."""
        return torch.optim.SGD(self.parameters(), lr=self.learning_rate, momentum=0.9)


def train(callbacks: list[Any], learning_rate: float, epochs: int) -> float:
    """Accuracy on the validation images after training."""
    seed_everything(0)
    constants = {"threshold": 3.0, "tau_m": 32.0}
    network = SpikingNetwork(RecurrentSpikingLayer(64, 64, **constants), SpikingLayer(64, 10, **constants), seed=0)
    counts = {"desired_count": 10, "undesired_count": 1, "margin": 1}
    encoder = PoissonEncoder(num_steps=60, max_rate=0.3)
    model = WithSGD(network, encoder=encoder, learning_rate=learning_rate, **counts)
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, **QUIET, callbacks=callbacks
    )
    trainer.fit(model, DigitsData(batch_size=50, normalize=False))
    return float(trainer.callback_metrics["val_accuracy"])


def main(epochs: int = 6) -> tuple[float, float]:
    """Train with and without GAF, each at a rate that suits it."""
    activation = GradientActivation("atan", alpha=0.1, beta=20.0)
    activated = train([activation], learning_rate=0.02, epochs=epochs)
    plain = train([], learning_rate=0.02, epochs=epochs)
    print(f"validation accuracy: {activated:.3f} with GAF, {plain:.3f} without; one seed and no tuning prove nothing")
    plt.figure(figsize=(5, 2.2), layout="constrained")
    plt.barh(["with GAF", "without"], [activated, plain], color=["#3b6fb6", "#b9c4d0"])
    plt.xlabel("validation accuracy")
    plt.xlim(0, 1)
    plt.show()
    return activated, plain


if __name__ == "__main__":
    main()
