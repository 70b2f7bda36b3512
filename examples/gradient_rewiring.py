"""
Grad R: rewire while learning, then export
==========================================

Rewire a spiking network while it learns, then export what is left of it.

Weak synapses go, needed ones come back, until 90 % are absent; the last third of the training keeps the connections
and tunes their weights. Run it with `python examples/gradient_rewiring.py`; it takes seconds and needs no files.
"""

import matplotlib.pyplot as plt
import torch
from pytorch_lightning import Trainer, seed_everything

from lightning_neuro import GradientRewiring
from lightning_neuro.data import DigitsData
from lightning_neuro.demo import SpikingClassifier
from lightning_neuro.gradient_rewiring import export_sparse, measure_sparse

QUIET = {"enable_progress_bar": False, "enable_model_summary": False}


def main() -> None:
    seed_everything(0)
    model = SpikingClassifier(in_features=64, learning_rate=0.08)
    rewiring = GradientRewiring(sparsity=0.9, freeze_after=0.67, trim=True)
    trainer = Trainer(
        max_epochs=10, accelerator="cpu", logger=False, enable_checkpointing=False, **QUIET, callbacks=[rewiring]
    )
    trainer.fit(model, DigitsData(batch_size=50))

    print(rewiring.report())
    print(f"validation accuracy {trainer.callback_metrics['val_accuracy']:.3f}")
    print(measure_sparse(model, export_sparse(model), torch.rand(100, 64)))
    plt.figure(figsize=(5, 3), layout="constrained")
    plt.plot([entry["connectivity/total"] for entry in rewiring.history], marker="o")
    plt.xlabel("epoch")
    plt.ylabel("connected")
    plt.ylim(0, 1)
    plt.show()
    print("On a network this small a forward pass is mostly neurons; the file is what shrinks.")


if __name__ == "__main__":
    main()
