"""What does a recurrent spiking net reach on Fashion-MNIST in so many minutes of one core, by ST-RSBP and by BPTT?

The net is 784-400-R400-10. Both arms start from the same weights, see the same images as Poisson spikes in the same
order, and spend the same time on training steps, of the processor or, on a GPU, of the clock on the wall: the learning
rate falls along a cosine to 0 over `--minutes` of it, so a step that grows dearer as rates rise is paid for. Validation
is 10,000 of the training images, after every epoch and at the end; the weights with the best validation accuracy are
kept. The test images are used twice, after the last step: by the last weights, and by the best.

Results are written to `--out` after each arm, and arms found there are not repeated; what validation said so far stands
beside it in `*.progress.json` until then. From the top of the checkout:

    OMP_NUM_THREADS=1 python benchmarks/st_rsbp_accuracy.py --arm ST-RSBP
    OMP_NUM_THREADS=1 python benchmarks/st_rsbp_accuracy.py --arm BPTT
"""

import argparse
import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from recorded_runs import Record, RecordedRuns
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from lightning_neuro._lightning import Callback, LightningModule, Trainer
from lightning_neuro.data import ImageDataModule, image_data
from lightning_neuro.demo.through_time import ThroughTime
from lightning_neuro.demo.training import make_trainer, quiet_lightning
from lightning_neuro.spiking.encoding import PoissonEncoder
from lightning_neuro.st_rsbp import RecurrentSpikingLayer, SpikingLayer, SpikingNetwork
from lightning_neuro.st_rsbp.module import STRSBP

RESULTS = Path(__file__).parent / "results"
ST_RSBP, BPTT = "ST-RSBP", "BPTT"


@dataclass(frozen=True)
class Plan:
    """What both arms share; results of different plans do not mix."""

    minutes: float = 35.0
    steps: int = 100
    max_rate: float = 0.5
    hidden: int = 400
    thresholds: tuple[float, ...] = (40.0, 20.0, 15.0)
    tau_m: float = 64.0
    desired_count: float = 20.0
    undesired_count: float = 2.0
    margin: float = 2.0
    batch_size: int = 50
    val_images: int = 10_000
    seed: int = 0


class Budget(Callback):
    """Ends training once its steps have used so much time, validation not counted."""

    def __init__(self, minutes: float, clock: Callable[[], float]) -> None:
        self.minutes, self.spent, self._started, self._clock = minutes, 0.0, 0.0, clock

    def cosine(self, _: int) -> float:
        """Return the factor of the learning rate at what is spent now."""
        return (1 + math.cos(math.pi * min(1.0, self.spent / self.minutes))) / 2

    def on_train_batch_start(self, *arguments: Any) -> None:
        """Start the clock."""
        self._started = self._clock()

    def on_train_batch_end(self, trainer: Trainer, *arguments: Any) -> None:
        """Stop the clock, and training if nothing is left."""
        self.spent += (self._clock() - self._started) / 60
        trainer.should_stop = self.spent >= self.minutes


class Cosine(LightningModule):
    """Adam with a cosine over the budget, whatever the arm."""

    learning_rate: float
    budget: Budget

    def configure_optimizers(self) -> Any:
        """Return Adam, and the schedule stepped after every batch."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.learning_rate)
        schedule = LambdaLR(optimizer, self.budget.cosine)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class SpikeTrainLevel(Cosine, STRSBP):
    """The arm of this package."""


class BackThroughTime(Cosine, ThroughTime):
    """The same network in snnTorch."""


class Best(Callback):
    """Keeps the weights with the best validation accuracy, and what is known so far in a file.

    Args:
        budget: of the arm.
        progress: JSON file that is written after every validation; a run that is cut off leaves it behind.
    """

    def __init__(self, budget: Budget, progress: Path) -> None:
        self.budget, self.progress = budget, progress
        self.accuracy: list[float] = []
        self.weights: dict[str, Any] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look whether this is the best so far."""
        accuracy = round(float(trainer.callback_metrics["val_accuracy"]), 6)
        if not self.accuracy or accuracy > max(self.accuracy):
            self.weights = copy.deepcopy(pl_module.state_dict())
        self.accuracy.append(accuracy)
        known = {"unfinished": True, "val_accuracy": self.accuracy, "training_minutes": round(self.budget.spent, 2)}
        self.progress.write_text(json.dumps(known | {"optimizer_steps": trainer.global_step}) + "\n")
        print(f"step {trainer.global_step}: validation {accuracy:.4f}, {self.budget.spent:.1f} minutes", flush=True)


def build(arm: str, data: ImageDataModule, rate: float, plan: Plan) -> Cosine:
    """Return the model of an arm. Refractory times are one step, so that snnTorch has the same neurons."""
    first, second, last = plan.thresholds
    common: dict[str, Any] = {"tau_m": plan.tau_m, "refractory": 1}
    network = SpikingNetwork(
        SpikingLayer(data.num_features, plan.hidden, threshold=first, **common),
        RecurrentSpikingLayer(plan.hidden, plan.hidden, threshold=second, **common),
        SpikingLayer(plan.hidden, data.num_classes, threshold=last, **common),
        seed=plan.seed,
    )
    encoder: nn.Module = PoissonEncoder(plan.steps, max_rate=plan.max_rate, seed=plan.seed)
    counts = {name: getattr(plan, name) for name in ("desired_count", "undesired_count", "margin")}
    kind = SpikeTrainLevel if arm == ST_RSBP else BackThroughTime
    return kind(network, encoder=encoder, learning_rate=rate, **counts)


def images(plan: Plan) -> ImageDataModule:
    return image_data(
        "fashion_mnist",
        seed=plan.seed,
        batch_size=plan.batch_size,
        val_size=plan.val_images,
        normalize=False,
        flatten=True,
    )


def trainer(**options: Any) -> Trainer:
    return make_trainer(enable_progress_bar=False, **options)


def train(arm: str, rate: float, plan: Plan, progress: Path, accelerator: str = "cpu") -> Record:
    """Train one arm for the time of the plan, and test it."""
    with torch.random.fork_rng(devices=[]), quiet_lightning():
        clock = time.process_time if accelerator == "cpu" else time.perf_counter
        data, budget = images(plan), Budget(plan.minutes, clock)
        best, model = Best(budget, progress), build(arm, data, rate, plan)
        model.budget = budget
        wall = time.perf_counter()
        fitting = trainer(accelerator=accelerator, callbacks=[budget, best], max_epochs=-1)
        fitting.fit(model, data)
        wall = time.perf_counter() - wall
        (last,) = trainer(accelerator=accelerator).test(model, data, verbose=False)
        if max(best.accuracy) > best.accuracy[-1]:
            model.load_state_dict(best.weights)
        (chosen,) = trainer(accelerator=accelerator).test(model, data, verbose=False)
    return {
        "val_accuracy": best.accuracy,
        "test_accuracy_last": round(last["test_accuracy"], 6),
        "test_accuracy_best_val": round(chosen["test_accuracy"], 6),
        "optimizer_steps": fitting.global_step,
        "epochs": round(fitting.global_step / len(data.train_dataloader()), 2),
        "training_minutes": round(budget.spent, 2),
        "wall_minutes": round(wall / 60, 2),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Fashion-MNIST with a recurrent spiking net, ST-RSBP beside BPTT.")
    parser.add_argument("--arm", choices=(ST_RSBP, BPTT), required=True)
    parser.add_argument("--rate", type=float, default=3e-3, help="first learning rate")
    parser.add_argument("--minutes", type=float, default=Plan.minutes, help="of processor time in training steps")
    parser.add_argument("--out", type=Path, default=RESULTS / "st_rsbp_accuracy.json")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu")
    counts = ("desired_count", "undesired_count", "margin")
    for name in ("steps", "batch_size", *counts):
        default = getattr(Plan, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    options = parser.parse_args(arguments)
    plan = Plan(**{name: getattr(options, name) for name in ("minutes", "steps", "batch_size", *counts)})
    key = {"arm": options.arm, "learning_rate": options.rate}
    runs = RecordedRuns(options.out, asdict(plan) | {"thresholds": list(plan.thresholds)})
    progress = options.out.with_suffix(f".{options.arm}.progress.json")
    print(runs.get(key, lambda: train(options.arm, options.rate, plan, progress, options.accelerator)))
    progress.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
