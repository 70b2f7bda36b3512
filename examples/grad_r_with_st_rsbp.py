"""
Grad R with ST-RSBP: a spiking net that rewires while it counts
===============================================================

Grad R follows any optimizer; of the gradients it needs nothing but the steps that they lead to. So a recurrent
spiking network that learns at spike-train level becomes sparse on the way, recurrent synapses included. Run it with
`python examples/grad_r_with_st_rsbp.py`; it takes seconds and needs no files.
"""

import matplotlib.pyplot as plt
from pytorch_lightning import Trainer, seed_everything

from lightning_neuro import STRSBP, GradientRewiring
from lightning_neuro.data import DigitsData
from lightning_neuro.spiking.encoding import PoissonEncoder
from lightning_neuro.st_rsbp import RecurrentSpikingLayer, SpikingLayer, SpikingNetwork

QUIET = {"enable_progress_bar": False, "enable_model_summary": False}


def main(epochs: int = 8) -> tuple[float, dict[str, float]]:
    """Return the accuracy on the validation images, and which part of each weight is connected."""
    seed_everything(0)
    constants = {"threshold": 3.0, "tau_m": 32.0}
    network = SpikingNetwork(RecurrentSpikingLayer(64, 64, **constants), SpikingLayer(64, 10, **constants), seed=0)
    counts = {"desired_count": 10, "undesired_count": 1, "margin": 1}
    model = STRSBP(network, encoder=PoissonEncoder(num_steps=60, max_rate=0.3), learning_rate=0.02, **counts)
    rewiring = GradientRewiring(sparsity=0.8, freeze_after=0.7, trim=True)
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, **QUIET, callbacks=[rewiring]
    )
    trainer.fit(model, DigitsData(batch_size=50, normalize=False))

    accuracy = float(trainer.callback_metrics["val_accuracy"])
    print(rewiring.report())
    print(f"validation accuracy {accuracy:.3f} with a fifth of the synapses")
    plt.figure(figsize=(5, 3), layout="constrained")
    plt.plot([entry["connectivity/total"] for entry in rewiring.history], marker="o")
    plt.xlabel("epoch")
    plt.ylabel("connected")
    plt.ylim(0, 1)
    plt.show()
    return accuracy, rewiring.connectivity()


if __name__ == "__main__":
    main()
