"""
GAF: a callback and an optimizer
================================

Train a spiking network on activated gradients, in two ways: as a callback and as an optimizer wrapper.

Every element g of the gradient becomes alpha * atan(beta * g): small elements grow by up to alpha * beta, none stays
larger than alpha * pi / 2. Run it with `python examples/gradient_activation.py`; it takes seconds and needs no files.
"""

from typing import Any

import matplotlib.pyplot as plt
import torch
from pytorch_lightning import Trainer, seed_everything

from lightning_neuro import GradientActivation, GradientActivationOptimizer
from lightning_neuro.data import DigitsData
from lightning_neuro.demo import SpikingClassifier
from lightning_neuro.gradient_activation import functional

QUIET = {"enable_progress_bar": False, "enable_model_summary": False}


class WrappedOptimizer(SpikingClassifier):
    """The same network with another optimizer."""

    def configure_optimizers(self) -> Any:
        """SGD whose every update, with momentum in it, is activated instead of the gradient."""
        sgd = torch.optim.SGD(self.parameters(), lr=self.learning_rate, momentum=self.momentum)
        return GradientActivationOptimizer(sgd, "atan", alpha=0.1, beta=20.0, placement="update")


def train(model: SpikingClassifier, callbacks: list[Any]) -> float:
    """Accuracy on the validation images after training."""
    trainer = Trainer(
        max_epochs=4, accelerator="cpu", logger=False, enable_checkpointing=False, **QUIET, callbacks=callbacks
    )
    trainer.fit(model, DigitsData(batch_size=50))
    return float(trainer.callback_metrics["val_accuracy"])


def main() -> None:
    # 1. A callback: one line, for any module and almost any optimizer.
    seed_everything(0)
    callback = train(SpikingClassifier(in_features=64, learning_rate=0.04), [GradientActivation("atan", 0.1, 20.0)])

    # 2. An optimizer wrapper: gradient clipping comes before the activation, and updates can be activated as well.
    seed_everything(0)
    wrapper = train(WrappedOptimizer(in_features=64, learning_rate=0.04), [])

    # 3. For comparison, the same network without GAF.
    seed_everything(0)
    plain = train(SpikingClassifier(in_features=64, learning_rate=0.04), [])

    print(f"validation accuracy: callback {callback:.3f}, wrapper {wrapper:.3f}, without {plain:.3f}")
    gradient = torch.linspace(-1, 1, 201)
    plt.figure(figsize=(5, 3), layout="constrained")
    plt.plot(gradient, functional.atan(gradient, alpha=0.1, beta=20.0), label="activated")
    plt.plot(gradient, gradient.clamp(-0.157, 0.157), "--", label="clipped at the same bound")
    plt.xlabel("gradient")
    plt.legend()
    plt.show()
    print("One seed and one learning rate prove nothing; `lightning-neuro demo` compares fairly.")


if __name__ == "__main__":
    main()
