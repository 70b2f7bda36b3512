"""A fair comparison of ways to train: the learning rate is chosen per arm, then every arm runs once per seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

import torch

from lightning_neuro._lightning import Callback
from lightning_neuro.common import checks
from lightning_neuro.data import ImageDataModule, image_data
from lightning_neuro.demo.spiking_classifier import SpikingClassifier
from lightning_neuro.demo.training import History, make_trainer, quiet_lightning

DataName = Literal["auto", "fashion_mnist", "digits"]


@dataclass(frozen=True)
class Plan:
    """How much to train.

    A seed fixes everything that is left to chance in a run: the choice of training and validation images, their order
    and the first weights. The seeds of the final runs are 0, 1, ...; learning rates are chosen with others.

    Args:
        data: name of the data set, as `image_data` takes it.
        seeds: runs per arm at the chosen learning rate.
        tuning_seeds: runs per arm and learning rate before that.
        learning_rates: the grid, the same for every arm.
        train_images: images to train on.
        val_images: images to choose the learning rate on.
        batch_size: images per step.
        epochs: passes over the training images.
        num_steps: time steps per image.
        hidden_features: hidden neurons.
    """

    data: DataName = "auto"
    seeds: int = 3
    tuning_seeds: int = 2
    learning_rates: Sequence[float] = (0.01, 0.02, 0.04, 0.08)
    train_images: int = 6000
    val_images: int = 1000
    batch_size: int = 100
    epochs: int = 5
    num_steps: int = 8
    hidden_features: int = 128

    def __post_init__(self) -> None:
        checks.integer("demo", "seeds", self.seeds, at_least=1)
        checks.integer("demo", "tuning_seeds", self.tuning_seeds, at_least=1)

    @property
    def runs_per_arm(self) -> int:
        """Number of trainings for one arm."""
        return len(self.learning_rates) * self.tuning_seeds + self.seeds


@dataclass(frozen=True)
class Arm:
    """A way to train: a name and the callbacks that make it up, built anew for each run."""

    name: str
    callbacks: Callable[[], list[Callback]] = field(default=list)


PLAIN = Arm("without")


@dataclass(frozen=True)
class Run:
    """What one training left behind.

    Args:
        model: the trained network.
        train_loss: per step.
        val_loss: per epoch.
        val_accuracy: per epoch.
        callbacks: those of the arm, after training.
    """

    model: SpikingClassifier
    train_loss: list[float]
    val_loss: list[float]
    val_accuracy: list[float]
    callbacks: list[Callback]


@dataclass(frozen=True)
class Outcome:
    """Everything about one arm.

    Args:
        arm: the arm.
        tuning: validation loss after the last epoch, per learning rate and tuning seed.
        learning_rate: the one with the lowest mean in `tuning`.
        runs: one per seed, at that learning rate.
        test_accuracy: one per seed.
    """

    arm: Arm
    tuning: dict[float, list[float]]
    learning_rate: float
    runs: list[Run]
    test_accuracy: list[float]


def say(line: str) -> None:
    """Print a line at once, so that it stands before the progress bar that follows."""
    print(line, flush=True)


class Comparison:
    """Trains the arms and keeps the data of each seed.

    Args:
        plan: how much to train.
        tell: takes a line of news before each training.
    """

    def __init__(self, plan: Plan, tell: Callable[[str], None] = say) -> None:
        self.plan = plan
        self.tell = tell
        self._data: dict[int, ImageDataModule] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._done = 0

    def run(self, arms: Sequence[Arm]) -> list[Outcome]:
        """Tune and train every arm; the test images are used at the very end, once per trained network.

        An arm that an earlier call has trained, such as `PLAIN`, is not trained again.
        """
        new = [arm for arm in arms if arm.name not in self._outcomes]
        self._outcomes |= {outcome.arm.name: outcome for outcome in self._train_all(new)}
        return [self._outcomes[arm.name] for arm in arms]

    def _train_all(self, arms: Sequence[Arm]) -> list[Outcome]:
        self._done, total = 0, len(arms) * self.plan.runs_per_arm
        with quiet_lightning():
            tunings = [{rate: self._tune(arm, rate, total) for rate in self.plan.learning_rates} for arm in arms]
            chosen = [min(tuning, key=lambda rate, of=tuning: fmean(of[rate])) for tuning in tunings]  # type: ignore[misc]
            runs = [
                [self._train(arm, rate, seed, total) for seed in range(self.plan.seeds)]
                for arm, rate in zip(arms, chosen, strict=True)
            ]
            self.tell("Testing every network once")
            tests = [[self._test(run.model, seed) for seed, run in enumerate(of_arm)] for of_arm in runs]
        return [Outcome(*parts) for parts in zip(arms, tunings, chosen, runs, tests, strict=True)]

    def _tune(self, arm: Arm, rate: float, total: int) -> list[float]:
        seeds = range(self.plan.seeds, self.plan.seeds + self.plan.tuning_seeds)
        return [self._train(arm, rate, seed, total).val_loss[-1] for seed in seeds]

    def _train(self, arm: Arm, rate: float, seed: int, total: int) -> Run:
        self._done += 1
        self.tell(f"[{self._done}/{total}] {arm.name}, learning rate {rate:g}, seed {seed}")
        data, history = self.data_of(seed), History()
        # Weights are drawn, and loaders seeded, from torch's global generator: it is put back afterwards.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self._model(data, rate)
            callbacks = arm.callbacks()
            make_trainer(max_epochs=self.plan.epochs, callbacks=[*callbacks, history]).fit(model, data)
        return Run(model, history.train_loss, history.val_loss, history.val_accuracy, callbacks)

    def _test(self, model: SpikingClassifier, seed: int) -> float:
        with torch.random.fork_rng(devices=[]):
            (metrics,) = make_trainer().test(model, self.data_of(seed), verbose=False)
        return metrics["test_accuracy"]

    def _model(self, data: ImageDataModule, rate: float) -> SpikingClassifier:
        return SpikingClassifier(
            in_features=data.num_features,
            num_classes=data.num_classes,
            hidden_features=self.plan.hidden_features,
            num_steps=self.plan.num_steps,
            learning_rate=rate,
        )

    def data_of(self, seed: int) -> ImageDataModule:
        """Images of one seed: which to train and validate on, and in which order."""
        plan = self.plan
        if seed not in self._data:
            self._data[seed] = image_data(
                plan.data, seed=seed, batch_size=plan.batch_size, val_size=plan.val_images, limit=plan.train_images
            )
        return self._data[seed]
