"""Demonstration of ST-RSBP: one recurrent network, trained at spike-train level and by backpropagation through time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

import torch

from lightning_neuro._lightning import Callback, LightningModule
from lightning_neuro.common.plotting import curves, spike_raster, to_svg
from lightning_neuro.common.report import Figure, Section, Table
from lightning_neuro.data import ImageDataModule, image_data
from lightning_neuro.demo.comparison import Comparison, Plan
from lightning_neuro.demo.results import accuracy_words
from lightning_neuro.demo.through_time import ThroughTime
from lightning_neuro.demo.training import History, make_trainer, quiet_lightning
from lightning_neuro.spiking.encoding import PoissonEncoder
from lightning_neuro.st_rsbp import CountLoss, RecurrentSpikingLayer, SpikingLayer, SpikingNetwork
from lightning_neuro.st_rsbp.module import STRSBP

STEPS, HIDDEN, LEARNING_RATE = 60, 64, 0.02
COUNTS: dict[str, Any] = {"desired_count": 10, "undesired_count": 1, "margin": 1}
# Backpropagation through time takes most of the time here, so this section is smaller than the plan allows.
MOST_SEEDS, MOST_EPOCHS, MOST_IMAGES = 2, 6, 1200
NO_BREAK = "\N{NO-BREAK SPACE}"
ST_RSBP, BPTT = "ST-RSBP", "BPTT"


class Stopwatch(Callback):
    """Measures the time that training batches take, without validation."""

    def __init__(self) -> None:
        self.seconds, self._started = 0.0, 0.0

    def on_train_batch_start(self, *arguments: Any) -> None:
        """Start."""
        self._started = time.perf_counter()

    def on_train_batch_end(self, *arguments: Any) -> None:
        """Stop."""
        self.seconds += time.perf_counter() - self._started


@dataclass(frozen=True)
class Trained:
    """What one training left behind: the model, its history, seconds per epoch, accuracy on the test images."""

    model: Any
    history: History
    seconds: float
    test_accuracy: float


def demonstrate(comparison: Comparison) -> Section:
    """Train both ways and tell what came of it."""
    plan, makers = comparison.plan, {ST_RSBP: _spike_train_level, BPTT: _through_time}
    seeds = range(min(plan.seeds, MOST_SEEDS))
    _warm_up()
    with quiet_lightning():
        trained = {name: [_train(comparison, name, make, seed) for seed in seeds] for name, make in makers.items()}
    return Section(
        "Spike-train level backpropagation (ST-RSBP)",
        [
            f"Pixels become Poisson spikes over {STEPS} steps and drive {HIDDEN} recurrent neurons, which drive a "
            f"neuron per class. The neuron of the right class should fire {COUNTS['desired_count']} times, the others "
            f"{COUNTS['undesired_count']}. ST-RSBP forms gradients from spike counts and potentials between pairs of "
            "spike trains; BPTT unrolls the same network, converted to snnTorch with the same weights, and sends the "
            "same error of the counts back through every step. Learning rate, optimizer, images and their order are "
            "the same for both; the rate was not searched for, and another may suit either better.",
            _results(plan, trained),
            _learning_curves(trained),
            _spikes(trained[ST_RSBP][0], _data(plan, 0)),
        ],
    )


def _warm_up() -> None:
    """Let loops be compiled before anything is timed."""
    network = SpikingNetwork(RecurrentSpikingLayer(2, 2, threshold=1.0), SpikingLayer(2, 2, threshold=1.0))
    network(torch.ones(STEPS, 1, 2))
    network.backward(torch.zeros(1, dtype=torch.long), loss=CountLoss(**COUNTS))


def _network(data: ImageDataModule, seed: int) -> SpikingNetwork:
    # A refractory time of one step, so that snnTorch has the same neurons.
    hidden = RecurrentSpikingLayer(data.num_features, HIDDEN, threshold=3.0, tau_m=32.0, refractory=1)
    return SpikingNetwork(
        hidden, SpikingLayer(HIDDEN, data.num_classes, threshold=3.0, tau_m=32.0, refractory=1), seed=seed
    )


def _encoder(seed: int) -> PoissonEncoder:
    return PoissonEncoder(STEPS, max_rate=0.3, seed=seed)


def _spike_train_level(data: ImageDataModule, seed: int) -> STRSBP:
    return STRSBP(_network(data, seed), encoder=_encoder(seed), learning_rate=LEARNING_RATE, **COUNTS)


def _through_time(data: ImageDataModule, seed: int) -> ThroughTime:
    return ThroughTime(_network(data, seed), encoder=_encoder(seed), learning_rate=LEARNING_RATE, **COUNTS)


def _data(plan: Plan, seed: int) -> ImageDataModule:
    images = min(plan.train_images, MOST_IMAGES)
    return image_data(
        plan.data,
        seed=seed,
        batch_size=plan.batch_size,
        val_size=min(plan.val_images, MOST_IMAGES // 4),
        limit=images,
        normalize=False,
        flatten=True,
    )


def _train(comparison: Comparison, name: str, make: Callable[..., LightningModule], seed: int) -> Trained:
    comparison.tell(f"{name}, seed {seed}")
    data, history, watch = _data(comparison.plan, seed), History(), Stopwatch()
    epochs = min(comparison.plan.epochs, MOST_EPOCHS)
    model = make(data, seed)
    make_trainer(max_epochs=epochs, callbacks=[history, watch]).fit(model, data)
    (metrics,) = make_trainer().test(model, data, verbose=False)
    comparison.tell(f"{name}: test accuracy {accuracy_words([metrics['test_accuracy']])}")
    return Trained(model, history, watch.seconds / epochs, metrics["test_accuracy"])


def _results(plan: Plan, trained: dict[str, list[Trained]]) -> Table:
    seconds = {name: fmean(run.seconds for run in runs) for name, runs in trained.items()}
    rows = [
        (
            name,
            accuracy_words([run.test_accuracy for run in runs]).replace(" ", NO_BREAK),
            f"{seconds[name]:.2f}",
            f"{seconds[BPTT] / seconds[name]:.1f}",
        )
        for name, runs in trained.items()
    ]
    epochs, runs = min(plan.epochs, MOST_EPOCHS), len(trained[BPTT])
    return Table(
        ["arm", "test accuracy", "seconds per epoch", "speed relative to BPTT"],
        rows,
        f"After {epochs} epochs; mean ± standard deviation over seeds ({runs}). All test images once per network, at "
        "the end. Time is that of training steps on one thread, encoding included, validation not.",
    )


def _learning_curves(trained: dict[str, list[Trained]]) -> Figure:
    def per_run(values: Callable[[History], Sequence[float]]) -> dict[str, list[list[float]]]:
        return {name: [list(values(run.history)) for run in runs] for name, runs in trained.items()}

    loss, accuracy = per_run(lambda h: h.train_loss), per_run(lambda h: [100 * v for v in h.val_accuracy])
    return Figure(
        [
            to_svg(curves(loss, title="Training loss, ST-RSBP and BPTT", xlabel="step")),
            to_svg(curves(accuracy, title="Validation accuracy (%), ST-RSBP and BPTT", xlabel="epoch")),
        ],
        "Thick: mean over seeds; band: standard deviation; thin: every seed. The loss is the squared error of spike "
        "counts beyond the margin, the same for both.",
        alt="Training loss and validation accuracy of ST-RSBP and BPTT",
    )


def _spikes(trained: Trained, data: ImageDataModule) -> Figure:
    data.setup("fit")
    images, labels = next(iter(data.val_dataloader()))
    network = trained.model.network
    with torch.no_grad():
        spikes = network.layers[0](_encoder(0)(images[:2]))
    raster = partial(spike_raster, ylabel="recurrent neuron")
    pictures = [
        to_svg(raster(spikes[:, place], title=f"ST-RSBP spikes for: {data.class_names[labels[place]]}"))
        for place in range(2)
    ]
    return Figure(
        pictures,
        "Spikes of the recurrent neurons of a network trained by ST-RSBP, for two validation images; they fire in "
        f"{100 * float(spikes.float().mean()):.1f} % of the steps. Only spikes cost time in its compiled loops.",
        alt="Spike rasters of the recurrent layer",
    )
