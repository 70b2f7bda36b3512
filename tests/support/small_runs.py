"""A small run for every callback and module of ours: a step takes milliseconds, and all that is random has a seed."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from reservoirpy.nodes import Reservoir
from snntorch import Leaky
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler, TensorDataset

from lightning_neuro import (
    DeepRewiring,
    GradientActivation,
    GradientActivationOptimizer,
    GradientRewiring,
    ReservoirModule,
    SpectralInit,
    SpikingStateReset,
)
from lightning_neuro._lightning import Callback, LightningModule, Trainer
from lightning_neuro.data import ResumableLoader
from lightning_neuro.reservoir import MeasureCallback
from lightning_neuro.spectral_rnn import SpectralRNNModule
from lightning_neuro.spectral_rnn.torch import PolynomialRNN
from lightning_neuro.spiking import ATan
from support.count_learning import Trains, learner, time_first
from support.evolving import Curve, evolving
from support.polynomial_nets import answers, random_net, random_series

BATCH, BATCHES = 4, 7


@dataclass
class SmallRun:
    """What a Trainer is given."""

    module: LightningModule
    callbacks: list[Callback] = field(default_factory=list)
    train: Any = None
    val: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    # Steps between checkpoints; no epoch ends at one. Lightning takes a checkpoint of an epoch's last batch for one of
    # its end: it skips the validation in between, and counts an epoch more each time that a run goes on from there.
    every: int = 5

    def fit(self, folder: Path, steps: int, *, callbacks: Any = (), ckpt_path: Any = None, **options: Any) -> Trainer:
        """Train for so many steps, and return the Trainer."""
        given = {"max_epochs": -1, "max_steps": steps, "enable_checkpointing": bool(callbacks), "logger": False}
        given |= self.options | options
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
            num_sanity_val_steps=0,
            callbacks=[*self.callbacks, *callbacks],
            **given,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of short runs and full folders
            trainer.fit(self.module, self.train, self.val, ckpt_path=ckpt_path)
        return trainer


class Net(LightningModule):
    """A user's own module: two layers and Adam."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 1))
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.5, generator=generator)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        x, y = batch
        return nn.functional.mse_loss(self.net(x), y)

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.01)


class Wrapped(Net):
    """The same with its optimizer wrapped."""

    def configure_optimizers(self) -> Any:
        return GradientActivationOptimizer(super().configure_optimizers(), alpha=0.1, beta=20.0, warmup_steps=5)


class Forgetful(Curve):
    """Does not keep what it was asked."""

    def __call__(self, policy: Any, params: Tensor, *, seeds: Tensor, record: int, batch: Any = None) -> Any:
        self.asked.clear()
        return super().__call__(policy, params, seeds=seeds, record=record, batch=batch)


class Momentum(Net):
    """The same with the optimizer of published rewiring."""

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


class Stateful(Net):
    """A spiking layer that keeps its state from batch to batch."""

    def __init__(self) -> None:
        super().__init__()
        self.fires = Leaky(beta=0.9, init_hidden=True, spike_grad=ATan())

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        x, y = batch
        hidden = sum(self.fires(self.net[0](x)) for _ in range(3))
        return nn.functional.mse_loss(self.net[2](hidden), y)


def loader(data: Dataset[Any], **options: Any) -> ResumableLoader:
    """Return batches in an order of seed and epoch, without a number from the global generators."""
    sampler: DistributedSampler[Any] = DistributedSampler(data, 1, 0, shuffle=True, seed=1)
    return ResumableLoader(data, batch_size=BATCH, sampler=sampler, generator=torch.Generator(), **options)


def pairs() -> ResumableLoader:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(BATCH * BATCHES, 4, generator=generator)
    return loader(TensorDataset(x, x.sum(1, keepdim=True).sin()))


def series(count: int = BATCH * BATCHES) -> TensorDataset:
    x = torch.rand(count, 30, 1, generator=torch.Generator().manual_seed(0))
    return TensorDataset(x, x.roll(1, 1))


def validation(data: Dataset[Any]) -> DataLoader[Any]:
    return DataLoader(data, batch_size=BATCH, generator=torch.Generator())


def reservoir(**options: Any) -> ReservoirModule:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ReservoirModule(Reservoir(20, sr=0.9, input_dim=1, seed=0), 1, washout=5, **options)


def polynomial(**options: Any) -> tuple[SpectralRNNModule, ResumableLoader]:
    x = random_series(BATCH * BATCHES, 50)
    y = answers(random_net(0), x, noise=0.1)
    data = TensorDataset(*(torch.as_tensor(values, dtype=torch.float32) for values in (x, y)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = SpectralRNNModule(PolynomialRNN(6, 2, 3), learning_rate=1e-4, **options)
    return module, loader(data)


def _ridge(steps: int) -> SmallRun:
    # One epoch, whose end solves the equations: it lasts as many batches as there are to be steps.
    train, options = loader(series(BATCH * steps)), {"max_epochs": 1, "max_steps": -1}
    return SmallRun(reservoir(ridge=[1e-2, 1e-4]), [], train, validation(series(8)), options, every=7)


def _watched(steps: int) -> SmallRun:
    watch = MeasureCallback({"kernel_rank": {}, "active_information_storage": {"washout": 5}})
    return SmallRun(reservoir(readout="sgd"), [watch], loader(series()), validation(series(8)))


def _polynomial(steps: int) -> SmallRun:
    module, train = polynomial()
    return SmallRun(module, [], train)


def _started(steps: int) -> SmallRun:
    module, train = polynomial(spectral=SpectralInit(refine=0))
    return SmallRun(module, [], train)


def _spiking(steps: int) -> SmallRun:
    return SmallRun(learner(), [], loader(Trains(BATCH * BATCHES), collate_fn=time_first))


RUNS: dict[str, Callable[[int], SmallRun]] = {
    "GradientActivation": lambda steps: SmallRun(Net(), [GradientActivation(warmup_steps=5)], pairs()),
    "GradientActivationOptimizer": lambda steps: SmallRun(Wrapped(), [], pairs()),
    "GradientRewiring": lambda steps: SmallRun(Net(), [GradientRewiring(0.5, seed=0)], pairs()),
    "DeepRewiring": lambda steps: SmallRun(Momentum(), [DeepRewiring(0.5, l1=1e-4, temperature=1e-6, seed=0)], pairs()),
    "SpikingStateReset": lambda steps: SmallRun(Stateful(), [SpikingStateReset("detach", save_state=True)], pairs()),
    "STRSBP": _spiking,
    "SafeMutation": lambda steps: SmallRun(evolving(evaluator=Forgetful(noise=0.1))),
    "SpectralInit": _started,
    "SpectralRNNModule": _polynomial,
    "MeasureCallback": _watched,
    "ReservoirModule, ridge": _ridge,
    "ReservoirModule, sgd": lambda steps: SmallRun(
        reservoir(readout="sgd"), [], loader(series()), validation(series(8))
    ),
}
