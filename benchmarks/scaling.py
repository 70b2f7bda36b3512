"""Time the same work on one process and on two, each with one thread, for each method that deals work out.

Trainings are timed from the end of the first batch to the end of the last, so that starting processes does not count.
Where other work runs beside it, the clock tells mostly of that; the processor time of the busier process tells how well
work is dealt out.
`python benchmarks/scaling.py` runs all of them; the recorded result appears in docs/scale.md.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

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
PATIENCE = 300  # seconds that one training may take, start included


class Times(NamedTuple):
    """Seconds of the clock, and of this process on a processor."""

    clock: float
    processor: float

    def since(self, start: "Times") -> "Times":
        """Return what has passed."""
        return Times(self.clock - start.clock, self.processor - start.processor)


def now() -> Times:
    return Times(time.perf_counter(), time.process_time())


class Clock(Callback):
    """Time from the end of the first batch to the end of the training."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Begin with the end of the first batch."""
        if trainer.current_epoch == 0 and batch_idx == 0:
            self.start = now()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the time."""
        self.times = now().since(self.start)


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


def train(model: LightningModule, data: Any, processes: int, steps: int, callbacks: Sequence[Callback] = ()) -> Times:
    """Return the time of a training over this many processes."""
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
    return clock.times


def images(processes: int) -> DataLoader:
    """Return noise of the size of images, in batches that add up to the same over all processes."""
    data = TensorDataset(torch.randn(4096, 784), torch.randint(10, (4096,)))
    return DataLoader(data, batch_size=BATCH // processes)


def dense(processes: int, callback: Callback) -> Times:
    """Time the net under one of our callbacks."""
    return train(Dense(), images(processes), processes, steps=30, callbacks=[callback])


def spikes(processes: int) -> Times:
    """Time ST-RSBP on trains that are noise."""
    network = SpikingNetwork(
        RecurrentSpikingLayer(78, 200, threshold=10.0), SpikingLayer(200, 10, threshold=10.0), seed=0
    )
    model = STRSBP(network, desired_count=10, undesired_count=2, margin=1)
    data = TensorDataset(torch.rand(1280, 100, 78) < 0.05, torch.randint(10, (1280,)))
    loader = DataLoader(data, batch_size=32 // processes, collate_fn=time_first)
    return train(model, loader, processes, steps=39)


def time_first(samples: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.stack([x for x, _ in samples], 1), torch.stack([y for _, y in samples])


def evolution(processes: int) -> Times:
    """Time generations in the breadcrumb maze."""
    policy = DeepPolicy(inputs=11, outputs=2, hidden=16, layers=4)
    options = {"population_size": 120, "magnitude": 0.002, "mutation_states": 32, "generations_per_epoch": 8}
    return train(SafeMutation(policy, BreadcrumbMaze(), **options), None, processes, steps=8)


def spectral(processes: int) -> Times:
    """Time the start of a training, which is where spectral learning reads the data."""
    x = torch.randn(3000, 50, 20)
    data = DataLoader(TensorDataset(x, x[..., :6] ** 2), batch_size=100 // processes)
    start = SpectralInit()
    begun: list[Times] = []

    class Around(Callback):
        def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            begun.append(now())

        def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
            begun.append(now())

    train(SpectralRNNModule(PolynomialRNN(20, 5, 6), spectral=start), data, processes, 1, [Around()])
    return begun[1].since(begun[0])


def one_reservoir(seed: int) -> tuple[int, float]:
    """Return the process that worked, and for how long."""
    start = now()
    u = np.random.default_rng(seed).uniform(-1, 1, (2000, 1))
    SelfOrganizingReservoir(100, [IntrinsicPlasticity()], seed=seed).adapt(u)
    return os.getpid(), now().since(start).processor


def reservoirs(processes: int) -> Times:
    """Time a sweep over seeds by joblib, with its processes started before."""
    busy: Counter[int] = Counter()
    with Parallel(n_jobs=processes) as parallel:
        parallel(delayed(one_reservoir)(seed) for seed in range(2))
        start = now()
        for process, seconds in parallel(delayed(one_reservoir)(seed) for seed in range(24)):
            busy[process] += seconds  # type: ignore[assignment]
        return Times(now().since(start).clock, max(busy.values()))


METHODS: dict[str, Callable[[int], Times]] = {
    "GAF": lambda processes: dense(processes, GradientActivation()),
    "Grad R": lambda processes: dense(processes, GradientRewiring(sparsity=0.9)),
    "ST-RSBP": spikes,
    "SM-G": evolution,
    "Spectral learning": spectral,
    "Reservoirs, sweep": reservoirs,
}


def measured(method: str, processes: int) -> Times:
    """Run one training in processes of its own and return the time of the process that took longest.

    When a rank dies, the other waits for it in a collective and holds the pipe that both write to. So output goes to a
    file, only the first process is waited for, and none is left behind.
    """
    command = [sys.executable, __file__, "--method", method, "--processes", str(processes)]
    with tempfile.TemporaryFile("w+") as output:
        first = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        try:
            status: int | None = first.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(first.pid, signal.SIGKILL)
            first.wait()
        output.seek(0)
        text = output.read()
    found = [tuple(map(float, pair)) for pair in re.findall(r"seconds (\d+\.\d+) (\d+\.\d+)", text)]  # of each rank
    if status != 0 or not found:
        how = f"did not end within {PATIENCE} s" if status is None else f"ended with status {status}"
        raise RuntimeError(f"scaling: {method} on {processes} processes {how}. It said:\n{text[-2000:]}")
    return Times(*map(max, zip(*found, strict=True)))


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
        print("\nseconds {:.6f} {:.6f}".format(*METHODS[options.method](options.processes)))
        return
    methods: dict[str, Any] = {}
    for method in METHODS:
        rounds = [(measured(method, 1), measured(method, 2)) for _ in range(options.rounds)]
        ratios = {
            kind: [round(getattr(two, kind) / getattr(one, kind), 3) for one, two in rounds] for kind in Times._fields
        }
        methods[method] = {kind: {"ratio": round(median(found), 3), "rounds": found} for kind, found in ratios.items()}
        print(method, methods[method], flush=True)
        content = {"facts": facts() | {"load": round(os.getloadavg()[0], 1)}, "methods": methods}
        options.out.write_text(json.dumps(content, indent=1) + "\n")  # after each, for all take minutes


if __name__ == "__main__":
    main()
