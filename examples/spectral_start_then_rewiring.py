"""
Spectral start, then rewiring: which weights of a learned RNN are needed
========================================================================

Spectral learning finds a recurrent net in a pass over the data, all weights of it a little off zero. The net behind
the data is sparse. Grad R goes on from the spectral solution by gradient descent and takes away what is not needed;
what is left can be compared with the truth. Run it with `python examples/spectral_start_then_rewiring.py`; it takes
seconds.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from pytorch_lightning import Trainer, seed_everything
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro import SpectralInit
from lightning_neuro.gradient_rewiring import Rewiring, SparsityController
from lightning_neuro.spectral_rnn import PolynomialRNN, SpectralRNNModule
from lightning_neuro.spectral_rnn import torch as spectral_torch

QUIET = {"enable_progress_bar": False, "enable_model_summary": False}

INPUTS, UNITS, OUTPUTS = 6, 3, 4


def make_data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the input weights, each neuron hearing two of six inputs, and series `(200, 40, D)`."""
    rows = np.zeros((UNITS, INPUTS))
    for neuron in range(UNITS):
        rows[neuron, 2 * neuron : 2 * neuron + 2] = 0.8, 0.6
    x = rng.standard_normal((200, 40, INPUTS))
    states = PolynomialRNN(rows, 0.05 * np.eye(UNITS)).run(x)
    y = states @ rng.standard_normal((UNITS, OUTPUTS))
    return rows, x, y + 0.3 * rng.standard_normal(y.shape)


class Rewired(SpectralRNNModule):
    """The callback `GradientRewiring` looks for layers; the core, `Rewiring`, follows any tensors that it is given."""

    def configure_optimizers(self) -> Any:
        """Adam, followed by a rewiring of the input weights, of which two thirds are to go."""
        optimizer = super().configure_optimizers()
        controller = SparsityController(ramp_steps=30)
        Rewiring(optimizer, {"A1": self.model.cell.A1}, sparsity=2 / 3, controller=controller)
        return optimizer


def main(epochs: int = 6) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the error, and which input weights are there: of the truth, and of the net in its own order of neurons."""
    truth, x, y = make_data(np.random.default_rng(0))
    series = TensorDataset(torch.as_tensor(x).float(), torch.as_tensor(y).float())
    loader = DataLoader(series, batch_size=20)

    seed_everything(0)
    net = spectral_torch.PolynomialRNN(INPUTS, UNITS, OUTPUTS, max_abs_state=1e3)
    module = Rewired(net, spectral=SpectralInit())
    trainer = Trainer(max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, **QUIET)
    trainer.fit(module, loader, loader)

    error = float(trainer.callback_metrics["val_loss"])
    kept = (net.cell.A1.detach() != 0).numpy()
    print(f"squared error {error:.3f}; that of the noise alone is 0.090")
    print("input weights that are left:", *kept.astype(int), sep="\n")
    _, sides = plt.subplots(1, 2, figsize=(6, 2.2), layout="constrained")
    for ax, there, title in zip(sides, (truth != 0, kept), ("input weights of the truth", "what is left"), strict=True):
        ax.imshow(there, cmap="Blues")
        ax.set(title=title, xlabel="input", ylabel="neuron")
    plt.show()
    return error, truth != 0, kept


if __name__ == "__main__":
    main()
