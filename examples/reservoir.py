"""
Reservoirs: organise and measure
================================

Train the readout of a reservoir in a Trainer, watch what it computes, and sweep its hyper-parameters.

NARMA-10 asks for ten steps of memory and a product. Ridge regression reads the reservoir in a single pass, the penalty
chosen on validation data; a sweep through joblib then asks which spectral radius serves it best. Run it with
`python examples/reservoir.py`: seconds.
"""

import numpy as np
import torch
from pytorch_lightning import Trainer
from reservoirpy.nodes import Reservoir
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro import ReservoirModule
from lightning_neuro.reservoir import MeasureCallback
from lightning_neuro.reservoir.sweep import averaged, grid, sweep
from lightning_neuro.reservoir.tasks import narma

UNITS, STEPS, WASHOUT = 100, 400, 50


def series(count: int, first_seed: int) -> DataLoader:
    """Return series of inputs and targets, each `(count, 400, 1)`, in batches of 4."""
    drawn = [narma(STEPS, 10, seed=seed) for seed in range(first_seed, first_seed + count)]
    u, y = (torch.as_tensor(np.stack(part)) for part in zip(*drawn, strict=True))
    return DataLoader(TensorDataset(u, y), batch_size=4)


def train(sr: float, seed: int, callbacks: tuple = ()) -> tuple[Trainer, ReservoirModule]:
    """Return a trainer and a module after the one epoch that ridge regression needs."""
    node = Reservoir(UNITS, sr=sr, input_scaling=0.5, input_dim=1, bias=0.2, seed=seed)
    module = ReservoirModule(node, outputs=1, ridge=[1e-8, 1e-6, 1e-4, 1e-2], washout=WASHOUT)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = Trainer(max_epochs=1, accelerator="cpu", callbacks=list(callbacks), **quiet)
    trainer.fit(module, series(8, 0), series(4, 100))
    return trainer, module


def error(sr: float, seed: int) -> dict[str, float]:
    """Return the error on validation data: one run of the sweep."""
    trainer, _ = train(sr, seed)
    return {"nrmse": float(trainer.callback_metrics["val_nrmse"])}


def main() -> None:
    watch = MeasureCallback({"active_information_storage": {"washout": WASHOUT}})
    trainer, module = train(0.9, seed=0, callbacks=(watch,))
    (tested,) = trainer.test(module, series(4, 200), verbose=False)
    chosen = f"ridge {module.fitting.ridge:g}"
    print(f"NARMA-10, {UNITS} units, {chosen}: error {tested['test_nrmse']:.3f} of the targets' deviation")
    print(f"stored by a unit, in the median: {watch.history[0]['active_information_storage']:.3f} nats")

    # With path="runs.jsonl" it goes on where it was stopped; joblib.parallel_config(backend="ray") sends it elsewhere.
    for row in averaged(sweep(error, grid(sr=[0.3, 0.6, 0.9]), seeds=2)):
        print(f"spectral radius {row['params']['sr']}: error {row['mean']['nrmse']:.3f} over {row['runs']} seeds")


if __name__ == "__main__":
    main()
