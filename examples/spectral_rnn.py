"""
Spectral learning: find a recurrent net
=======================================

Find a recurrent network behind data without gradients, then go on with gradients from there.

A quadratic network makes noisy series. `SpectralRNN`, a reservoirpy node, finds it in a pass or two; in a Trainer,
`SpectralInit` starts a torch net from the same solution. Run it with `python examples/spectral_rnn.py`: seconds.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from pytorch_lightning import Trainer, seed_everything
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro import SpectralInit, SpectralRNN
from lightning_neuro.spectral_rnn import PolynomialRNN, SpectralRNNModule
from lightning_neuro.spectral_rnn import torch as spectral_torch

QUIET = {"enable_progress_bar": False, "enable_model_summary": False}

INPUTS, UNITS, OUTPUTS = 8, 3, 4


def make_data(rng: np.random.Generator) -> tuple[PolynomialRNN, np.ndarray, np.ndarray]:
    """Return the network that nobody knows, and series `(200, 50, D)` of its inputs and noisy outputs."""
    rows = rng.standard_normal((UNITS, INPUTS))
    truth = PolynomialRNN(
        rows / np.linalg.norm(rows, axis=1, keepdims=True), 0.05 * rng.standard_normal((UNITS, UNITS))
    )
    x = rng.standard_normal((200, 50, INPUTS))
    states = truth.run(x)
    y = states @ rng.standard_normal((UNITS, OUTPUTS))
    return truth, x, y + 0.3 * rng.standard_normal(y.shape)


def train(start: SpectralInit | None, loader: DataLoader, epochs: int) -> float:
    """Return the mean squared error after some epochs."""
    seed_everything(0, verbose=False)
    net = spectral_torch.PolynomialRNN(INPUTS, UNITS, OUTPUTS, max_abs_state=1e3)
    module = SpectralRNNModule(net, spectral=start)
    trainer = Trainer(max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False, **QUIET)
    trainer.fit(module, loader, loader)
    return float(trainer.callback_metrics["val_loss"])


def main() -> None:
    truth, x, y = make_data(np.random.default_rng(0))
    node = SpectralRNN(units="auto", seed=0).fit(x, y)
    print(node.diagnostics_.table())
    found = np.abs(node.A1_ @ truth.A1_.T)
    print(f"cosines of its {len(node.U_)} neurons with those of the truth: {found.max(axis=1).round(4)}")

    series = TensorDataset(torch.as_tensor(x).float(), torch.as_tensor(y).float())
    loader = DataLoader(series, batch_size=20)
    with_start, without = train(SpectralInit(), loader, epochs=2), train(None, loader, epochs=2)
    print(f"error after two epochs: {with_start:.3f} from the spectral start, {without:.3f} from random weights")
    plt.figure(figsize=(4, 3), layout="constrained")
    plt.imshow(found, cmap="Blues", vmin=0, vmax=1)
    plt.xlabel("neuron of the truth")
    plt.ylabel("neuron that was found")
    plt.colorbar(label="cosine of input weights")
    plt.show()
    print("error of the noise alone: 0.090")


if __name__ == "__main__":
    main()
