"""
GAF with Grad R: activated gradients decide which synapses stay
===============================================================

GAF changes the gradient before the optimizer sees it; Grad R reads where the optimizer has put the weights. The two
meet in no other place, so both are in the list of callbacks, in any order. Run it with `python
examples/gaf_with_grad_r.py`; it takes seconds and needs no files.
"""

from typing import Any

import matplotlib.pyplot as plt
from pytorch_lightning import Trainer, seed_everything

from lightning_neuro import GradientActivation, GradientRewiring
from lightning_neuro.data import DigitsData
from lightning_neuro.demo import SpikingClassifier

QUIET = {"enable_progress_bar": False, "enable_model_summary": False}


def train(callbacks: list[Any], epochs: int) -> tuple[SpikingClassifier, float]:
    """Return the trained network and its accuracy on the validation images."""
    seed_everything(0)
    model = SpikingClassifier(in_features=64, learning_rate=0.06)
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, **QUIET, callbacks=callbacks
    )
    trainer.fit(model, DigitsData(batch_size=50))
    return model, float(trainer.callback_metrics["val_accuracy"])


def main(epochs: int = 8) -> dict[str, float]:
    """Return the accuracies with both, and with Grad R alone."""
    options = {"sparsity": 0.9, "freeze_after": 0.67, "trim": True}
    both = GradientRewiring(**options)
    _, with_both = train([GradientActivation("atan", alpha=0.1, beta=20.0), both], epochs)
    _, alone = train([GradientRewiring(**options)], epochs)
    print(f"connected: {100 * both.connectivity()['total']:.1f} %")
    print(f"validation accuracy: {with_both:.3f} with both, {alone:.3f} with Grad R alone")
    print("One seed and one learning rate prove nothing.")
    plt.figure(figsize=(5, 2.2), layout="constrained")
    plt.barh(["GAF and Grad R", "Grad R alone"], [with_both, alone], color=["#3b6fb6", "#b9c4d0"])
    plt.xlabel("validation accuracy")
    plt.xlim(0, 1)
    plt.show()
    return {"both": with_both, "alone": alone, "connectivity": both.connectivity()["total"]}


if __name__ == "__main__":
    main()
