"""
ST-RSBP: spiking digits without unrolling
=========================================

Train a recurrent spiking network on digits at spike-train level, without unrolling it in time.

Pixels become Poisson spikes; the network is asked for 10 spikes of the neuron of the right class and 1 of the others.
Run it with `python examples/st_rsbp.py`; it takes seconds and needs no files.
"""

import matplotlib.pyplot as plt
from pytorch_lightning import Trainer, seed_everything

from lightning_neuro import STRSBP
from lightning_neuro.data import DigitsData
from lightning_neuro.spiking.encoding import PoissonEncoder
from lightning_neuro.st_rsbp import RecurrentSpikingLayer, SpikingLayer, SpikingNetwork

QUIET = {"enable_progress_bar": False, "enable_model_summary": False}


def main() -> None:
    seed_everything(0)
    network = SpikingNetwork(
        RecurrentSpikingLayer(64, 64, threshold=3.0, tau_m=32.0),
        SpikingLayer(64, 10, threshold=3.0, tau_m=32.0),
        seed=0,
    )
    model = STRSBP(
        network,
        encoder=PoissonEncoder(num_steps=60, max_rate=0.3),
        desired_count=10,
        undesired_count=1,
        margin=1,
        learning_rate=0.01,
    )
    data = DigitsData(batch_size=50, normalize=False, flatten=True)
    trainer = Trainer(max_epochs=10, accelerator="cpu", logger=False, enable_checkpointing=False, **QUIET)
    trainer.fit(model, data)

    seen = trainer.callback_metrics
    print(f"validation accuracy {seen['val_accuracy']:.3f}")
    print(f"hidden neurons fire in {100 * seen['st_rsbp/firing_rate/0']:.1f} % of the steps")
    images, labels = next(iter(data.val_dataloader()))
    order = labels.argsort()
    counts = model.eval()(images)[order]  # (B, 10)
    plt.figure(figsize=(5, 3), layout="constrained")
    plt.imshow(counts.T, aspect="auto", cmap="Blues")
    plt.xlabel("images, by class")
    plt.ylabel("output neuron")
    plt.colorbar(label="spikes")
    plt.show()
    print(f"silent targets made to fire in the last epoch: {seen['st_rsbp/teacher_forced']:.0f}")


if __name__ == "__main__":
    main()
