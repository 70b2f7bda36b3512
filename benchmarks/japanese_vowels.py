"""Nine speakers from series of twelve cepstral coefficients: recurrent spiking nets on real data.

Series are brought to 20 values per channel and encoded by neurons that each prefer a value. Thresholds and how much
training series are shifted at random are chosen by hold-out on the 270 training series, a third of them at a time,
three times, by the mean accuracy over the last epochs. Then nets of several seeds train on all 270, and see the 370
test series once, after the last epoch. Linear classifiers of summary statistics stand beside them.

The files `JapaneseVowels_{TRAIN,TEST}.ts` are expected under `$LIGHTNING_NEURO_DATA` or `./data`. Every finished run is
written to `--out` at once, and runs found there are not repeated. From the top of the checkout:

    OMP_NUM_THREADS=1 python benchmarks/japanese_vowels.py
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from gradient_rewiring_accuracy import spread
from recorded_runs import Record, RecordedRuns, planned
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from spike_training import Recipe, predictions, training
from torch import Tensor

from lightning_neuro.data.japanese_vowels import JapaneseVowelsData
from lightning_neuro.spiking.encoding.population import PopulationEncoder
from lightning_neuro.st_rsbp import RecurrentSpikingLayer, SpikingLayer, SpikingNetwork

RESULTS = Path(__file__).parent / "results" / "japanese_vowels.json"
ARMS = ("recurrent, 100 neurons", "feed-forward, 100 neurons")
THRESHOLDS, SHIFTS = (5.0, 8.0, 12.0), (0.0, 0.2)
FOLDS, HELD_OUT = 3, 1 / 3
LAST_EPOCHS = 8
STATISTICS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear classifier of means": lambda x: x.mean(0),
    "linear classifier of means, stds, first and last values": lambda x: torch.cat(
        [x.mean(0), x.std(0), x[0], x[-1]], 1
    ),
}


@dataclass(frozen=True)
class Plan:
    """What all runs follow.

    Args:
        epochs: passes over the training series.
        learning_rate: of Adam in the first epoch.
        values: of a series, in each channel.
        hold: steps that a value lasts.
        preferring: input neurons per channel, from -2 to 2 standard deviations.
        neurons: of the hidden layer.
    """

    epochs: int = 40
    learning_rate: float = 3e-2
    values: int = 20
    hold: int = 10
    preferring: int = 6
    neurons: int = 100


@dataclass(frozen=True)
class Series:
    """Values `(T, N, 12)` and classes `(N,)`."""

    values: Tensor
    labels: Tensor


def loaded(part: str, plan: Plan, *, val_size: float, seed: int = 0) -> Series:
    """Return a part of the data, `train`, `val` or `test`, scaled by the training part."""
    data = JapaneseVowelsData(num_steps=plan.values, val_size=val_size, seed=seed)
    data.setup("test" if part == "test" else "fit")
    dataset = getattr(data, f"{part}_set")
    return Series(*dataset.batch(range(len(dataset))))


def network(arm: str, inputs: int, classes: int, threshold: float, plan: Plan, seed: int) -> SpikingNetwork:
    layer = RecurrentSpikingLayer if arm.startswith("recurrent") else SpikingLayer
    options: dict[str, Any] = {"threshold": threshold, "init": "fan_in"}
    hidden = layer(inputs, plan.neurons, **options)
    return SpikingNetwork(hidden, SpikingLayer(plan.neurons, classes, **options), seed=seed)


def shifted(values: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """Return series moved by a random constant in each channel."""
    return values + std * torch.randn(values.shape[1:], generator=generator)


def accuracies(
    arm: str, threshold: float, shift: float, seed: int, plan: Plan, train: Series, held: Series, *, only_last: bool
) -> list[float]:
    """Train a net and return its accuracy on held-out series after each epoch, or after the last."""
    encoder = PopulationEncoder(-2.0, 2.0, plan.preferring, hold=plan.hold, seed=seed)
    steps, generator = plan.values * plan.hold, torch.Generator().manual_seed(seed)
    recipe = Recipe(plan.epochs, plan.learning_rate, 0.15 * steps, 0.02 * steps, 0.02 * steps)
    inputs = train.values.shape[2] * plan.preferring
    net = network(arm, inputs, len(JapaneseVowelsData.class_names), threshold, plan, seed)
    spikes = encoder.eval()(held.values)
    encoder.train()

    def draw(_: int) -> Tensor:
        return encoder(shifted(train.values, shift, generator))

    return [
        (predictions(net, spikes) == held.labels).float().mean().item()
        for epoch in training(net, draw, train.labels, recipe, seed)
        if not only_last or epoch == plan.epochs
    ]


def held_out(arm: str, threshold: float, shift: float, plan: Plan) -> Record:
    """Return the accuracy on thirds of the training series that were held out."""
    started, found = time.process_time(), []
    for fold in range(FOLDS):
        train, val = (loaded(part, plan, val_size=HELD_OUT, seed=fold) for part in ("train", "val"))
        found.append(fmean(accuracies(arm, threshold, shift, fold, plan, train, val, only_last=False)[-LAST_EPOCHS:]))
    return {"accuracy": fmean(found), "folds": found, "cpu_s": round(time.process_time() - started, 1)}


def tested(arm: str, threshold: float, shift: float, seed: int, plan: Plan) -> Record:
    """Train on all training series and test once."""
    started = time.process_time()
    train, test = (loaded(part, plan, val_size=0) for part in ("train", "test"))
    [accuracy] = accuracies(arm, threshold, shift, seed, plan, train, test, only_last=True)
    return {
        "threshold": threshold,
        "shift": shift,
        "accuracy": accuracy,
        "cpu_s": round(time.process_time() - started, 1),
    }


def linear(statistics: Callable[[Tensor], Tensor], plan: Plan) -> Record:
    """Test a linear classifier of the same series' statistics."""
    train, test = (loaded(part, plan, val_size=0) for part in ("train", "test"))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    model.fit(statistics(train.values).numpy(), train.labels.numpy())
    return {"accuracy": float(model.score(statistics(test.values).numpy(), test.labels.numpy()))}


def compare(seeds: Sequence[int], plan: Plan, runs: RecordedRuns) -> None:
    """Tune and test every arm that is not in the file yet."""
    for arm in ARMS:
        tuned = []
        for threshold, shift in product(THRESHOLDS, SHIFTS):
            key = {"stage": "tuning", "arm": arm, "threshold": threshold, "shift": shift}
            tuned.append(runs.get(key, partial(held_out, arm, threshold, shift, plan)))
        best = max(tuned, key=lambda run: run["accuracy"])
        for seed in seeds:
            key = {"stage": "final", "arm": arm, "seed": seed}
            runs.get(key, partial(tested, arm, best["threshold"], best["shift"], seed, plan))
    for name, statistics in STATISTICS.items():
        runs.get({"stage": "final", "arm": name, "seed": 0}, partial(linear, statistics, plan))


def table(runs: Sequence[Record]) -> str:
    """Return the tests as a markdown table, with what was chosen on held-out training series."""
    lines = ["| | threshold | shift | held-out accuracy, % | test accuracy, % | seeds |", "|---|---|---|---|---|---|"]
    finals = [run for run in runs if run["stage"] == "final"]
    for arm in dict.fromkeys(run["arm"] for run in finals):
        group = [run for run in finals if run["arm"] == arm]
        tuned = [run["accuracy"] for run in runs if run["stage"] == "tuning" and run["arm"] == arm]
        chosen = [str(group[0].get(name, "")) for name in ("threshold", "shift")]
        held = f"{100 * max(tuned):.2f}" if tuned else ""
        accuracy = spread([100 * run["accuracy"] for run in group])
        lines.append(f"| {' | '.join([arm, *chosen, held, accuracy, str(len(group))])} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    plan, seeds, runs = planned("Speakers of Japanese vowels.", Plan, RESULTS, arguments)
    compare(seeds, plan, runs)
    print(table(runs.runs))


if __name__ == "__main__":
    main()
