"""Time the same work on one process and on two, each with one thread, for each method that deals work out.

Trainings are timed from the end of the first batch to the end of the last, so that starting processes does not count.
`python benchmarks/scaling.py` runs all of them; the recorded result appears in docs/benchmarks.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from facts import facts
from joblib import Parallel, delayed
from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro import STRSBP, GradientActivation, GradientRewiring, SafeMutation, SelfOrganizingReservoir
from lightning_neuro.reservoir.rules import IntrinsicPlasticity
from lightning_neuro.safe_mutation.tasks import BreadcrumbMaze, DeepPolicy
from lightning_neuro.spectral_rnn import SpectralInit, SpectralRNNModule
from lightning_neuro.spectral_rnn.torch import PolynomialRNN
from lightning_neuro.st_rsbp import RecurrentSpikingLayer, SpikingLayer, SpikingNetwork

OUT = Path(__file__).parent / "results" / "scaling.json"
BATCH = 128


class Clock(Callback):
    """Seconds from the end of the first batch to the end of the training."""

    seconds = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Begin with the end of the first batch."""
        """Begin with the end of the first batch."""
        if trainer.current_epoch == 0 and batch_idx == 0:
            self.start = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the seconds."""
        self.seconds = time.perf_counter() - self.start


class Dense(LightningModule):
    """A net of 2.9 million weights, larger than what is usual here, so that exchange counts."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(784, 1200), nn.ReLU(), nn.Linear(1200, 1600), nn.ReLU(), nn.Linear(1600, 10))

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        """Return the cross entropy."""
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return SGD."""
        return torch.optim.SGD(self.parameters(), lr=0.01)


def train(model: LightningModule, data: Any, processes: int, steps: int, callbacks: Sequence[Callback] = ()) -> float:
    """Return the seconds of a training over this many processes."""
    clock = Clock()
    strategy = "ddp" if processes > 1 else "auto"
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(
        accelerator="cpu",
        devices=processes,
        strategy=strategy,
        max_steps=steps,
        callbacks=[clock, *callbacks],
        **options,
    )
    trainer.fit(model, data)
    return clock.seconds


def images(processes: int) -> DataLoader:
    """Return noise of the size of images, in batches that add up to the same over all processes."""
    data = TensorDataset(torch.randn(4096, 784), torch.randint(10, (4096,)))
    return DataLoader(data, batch_size=BATCH // processes)


def dense(processes: int, callback: Callback) -> float:
    """Time the net under one of our callbacks."""
    return train(Dense(), images(processes), processes, steps=30, callbacks=[callback])


def spikes(processes: int) -> float:
    """Time ST-RSBP on trains that are noise."""
    network = SpikingNetwork(
        RecurrentSpikingLayer(78, 200, threshold=10.0), SpikingLayer(200, 10, threshold=10.0), seed=0
    )
    model = STRSBP(network, desired_count=10, undesired_count=2, margin=1)
    data = TensorDataset(torch.rand(320, 100, 78) < 0.05, torch.randint(10, (320,)))
    loader = DataLoader(data, batch_size=32 // processes, collate_fn=time_first)
    return train(model, loader, processes, steps=9)


def time_first(samples: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.stack([x for x, _ in samples], 1), torch.stack([y for _, y in samples])


def evolution(processes: int) -> float:
    """Time generations in the breadcrumb maze."""
    policy = DeepPolicy(inputs=11, outputs=2, hidden=16, layers=4)
    options = {"population_size": 120, "magnitude": 0.002, "mutation_states": 32, "generations_per_epoch": 8}
    return train(SafeMutation(policy, BreadcrumbMaze(), **options), None, processes, steps=8)


def spectral(processes: int) -> float:
    """Time the start of a training, which is where spectral learning reads the data."""
    x = torch.randn(3000, 50, 20)
    data = DataLoader(TensorDataset(x, x[..., :6] ** 2), batch_size=100 // processes)
    start = SpectralInit()
    begun: list[float] = []

    class Around(Callback):
        def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            begun.append(time.perf_counter())

        def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
            begun.append(time.perf_counter())

    train(SpectralRNNModule(PolynomialRNN(20, 5, 6), spectral=start), data, processes, 1, [Around()])
    return begun[1] - begun[0]


def one_reservoir(seed: int) -> float:
    u = np.random.default_rng(seed).uniform(-1, 1, (2000, 1))
    node = SelfOrganizingReservoir(100, [IntrinsicPlasticity()], seed=seed)
    node.adapt(u)
    return float(node.a.mean())


def reservoirs(processes: int) -> float:
    """Time a sweep over seeds by joblib, with its processes started before."""
    with Parallel(n_jobs=processes) as parallel:
        parallel(delayed(one_reservoir)(seed) for seed in range(2))
        start = time.perf_counter()
        parallel(delayed(one_reservoir)(seed) for seed in range(24))
        return time.perf_counter() - start


METHODS: dict[str, Callable[[int], float]] = {
    "GAF": lambda processes: dense(processes, GradientActivation()),
    "Grad R": lambda processes: dense(processes, GradientRewiring(sparsity=0.9)),
    "ST-RSBP": spikes,
    "SM-G": evolution,
    "Spectral learning": spectral,
    "Reservoirs, sweep": reservoirs,
}


def measured(method: str, processes: int) -> float:
    """Run one training in a process of its own and return its seconds."""
    command = [sys.executable, __file__, "--method", method, "--processes", str(processes)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    if done.returncode:
        raise RuntimeError(f"scaling: {method} on {processes} processes ended with\n{done.stderr[-2000:]}")
    return float(next(line for line in done.stdout.splitlines() if line.startswith("seconds ")).split()[1])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", choices=METHODS)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    if options.method:
        torch.set_num_threads(1)
        seed_everything(0)
        print("seconds", METHODS[options.method](options.processes))
        return
    sections = {}
    for method in METHODS:
        turns = [[measured(method, processes) for processes in (1, 2)] for _ in range(options.rounds)]
        one, two = (median(of) for of in zip(*turns, strict=True))
        sections[method] = [
            {"name": "one process", "seconds": round(one, 3), "ratio": 1.0},
            {"name": "two processes", "seconds": round(two, 3), "ratio": round(median(b / a for a, b in turns), 3)},
        ]
        print(f"{method}: {one:.2f} s, {two:.2f} s, {one / two:.2f} times faster", flush=True)
    content = {"facts": facts() | {"load": os.getloadavg()[0]}, "sections": sections}
    options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
