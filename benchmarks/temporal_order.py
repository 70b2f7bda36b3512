"""Can a net tell what only the order of spikes tells? Ten patterns, in pairs that are each other's reversal in time.

Both of a pair have the same spikes in each channel, so that counts tell the pair and nothing more: a linear classifier
of counts is the control that must guess within pairs. A recurrent net stands beside feed-forward nets of as many
neurons and of as many weights. Neurons remember by themselves as long as their time constants say: with 64 and 8 steps
most of a pattern of 100 steps, with 8 and 2 only what just was.

Learning rates are chosen on validation samples of three seeds of their own, epochs on each run's validation samples;
test samples are seen once. A seed draws patterns, samples, first weights and order. Every finished run is written to
`--out` at once, and runs found there are not repeated. From the top of the checkout:

    OMP_NUM_THREADS=1 python benchmarks/temporal_order.py
"""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from gradient_rewiring_accuracy import spread
from recorded_runs import Record, RecordedRuns, planned
from sklearn.linear_model import LogisticRegression
from spike_training import Recipe, predictions, training
from torch import Tensor

from lightning_neuro.st_rsbp import RecurrentSpikingLayer, SpikingLayer, SpikingNetwork
from lightning_neuro.st_rsbp.rule import Kind

RESULTS = Path(__file__).parent / "results" / "temporal_order.json"
CHANNELS, STEPS, CLASSES = 40, 100, 10
MEMORIES = ((64.0, 8.0), (8.0, 2.0))
RATES = (1e-2, 3e-2, 1e-1, 3e-1)
TUNING_SEEDS = (100, 101, 102)


@dataclass(frozen=True)
class Plan:
    """What all runs follow.

    Args:
        train: training samples.
        val: validation samples.
        test: test samples.
        epochs: passes over the training samples.
        rate: share of a pattern's places that hold a spike.
        jitter: a spike's largest shift, in steps.
        dropped: share of a sample's spikes that are missing.
        noise: share of a sample's places that hold another spike.
    """

    train: int = 600
    val: int = 300
    test: int = 1000
    epochs: int = 20
    rate: float = 0.04
    jitter: int = 3
    dropped: float = 0.1
    noise: float = 0.01


@dataclass(frozen=True)
class Arm:
    """A net between 40 channels and 10 classes.

    Args:
        name: for the table.
        neurons: of the hidden layer.
        recurrent: whether they hear each other.
        kind: rule of the gradient.
    """

    name: str
    neurons: int
    recurrent: bool
    kind: Kind = "adjoint"


ARMS = (
    Arm("recurrent, 100 neurons", 100, True),
    Arm("recurrent, 100 neurons, published rule", 100, True, "published"),
    Arm("feed-forward, 100 neurons", 100, False),
    Arm("feed-forward, 300 neurons: as many weights", 300, False),
)


@dataclass(frozen=True)
class Samples:
    """Spikes `(T, N, 40)` and classes `(N,)`."""

    spikes: Tensor
    labels: Tensor


def patterns(plan: Plan, generator: torch.Generator) -> Tensor:
    """Return patterns `(10, T, 40)`, of which each odd one is the one before reversed; edges are left to the jitter."""
    forward = torch.zeros(CLASSES // 2, STEPS, CHANNELS, dtype=torch.bool)
    inner = forward[:, plan.jitter : STEPS - plan.jitter]
    inner.copy_(torch.rand(inner.shape, generator=generator) < plan.rate)
    return torch.stack([forward, forward.flip(1)], dim=1).flatten(0, 1)


def samples(count: int, plan: Plan, of: Tensor, generator: torch.Generator) -> Samples:
    """Return samples of patterns, with jitter, missing spikes and noise that know no direction of time."""
    labels = torch.arange(count) % CLASSES
    sample, step, channel = of[labels].nonzero(as_tuple=True)
    step = step + torch.randint(-plan.jitter, plan.jitter + 1, step.shape, generator=generator)
    kept = torch.rand(step.shape, generator=generator) >= plan.dropped
    spikes = torch.rand(STEPS, count, CHANNELS, generator=generator) < plan.noise
    spikes[step[kept], sample[kept], channel[kept]] = True
    return Samples(spikes, labels)


def drawn(plan: Plan, seed: int) -> tuple[Samples, Samples, Samples]:
    """Return training, validation and test samples."""
    generator = torch.Generator().manual_seed(seed)
    of = patterns(plan, generator)
    train, val, test = (samples(count, plan, of, generator) for count in (plan.train, plan.val, plan.test))
    return train, val, test


def scores(predicted: Tensor, labels: Tensor) -> dict[str, float]:
    """Return accuracy, that of telling pairs, and that within the pairs which were told."""
    right, told = predicted == labels, predicted // 2 == labels // 2
    within = right[told].float().mean().item() if told.any() else 0.0
    return {"accuracy": right.float().mean().item(), "pairs": told.float().mean().item(), "within_pairs": within}


def network(arm: Arm, tau_m: float, tau_s: float, seed: int) -> SpikingNetwork:
    options: dict[str, Any] = {"threshold": 3.0, "tau_m": tau_m, "tau_s": tau_s, "init": "fan_in"}
    layer = RecurrentSpikingLayer if arm.recurrent else SpikingLayer
    hidden = layer(CHANNELS, arm.neurons, init_scale=2.0, **options)
    return SpikingNetwork(hidden, SpikingLayer(arm.neurons, CLASSES, **options), seed=seed)


def trained(arm: Arm, memory: tuple[float, float], rate: float, seed: int, *, plan: Plan, test: bool) -> Record:
    """Train a net, take it from its best epoch on validation samples, and test that one if asked to."""
    started = time.process_time()
    train, val, held = drawn(plan, seed)
    net = network(arm, *memory, seed)
    best, state, epoch = -1.0, net.state_dict(), 0
    for at in training(net, lambda _: train.spikes, train.labels, Recipe(plan.epochs, rate, kind=arm.kind), seed):
        accuracy = scores(predictions(net, val.spikes), val.labels)["accuracy"]
        if accuracy > best:
            best, state, epoch = accuracy, copy.deepcopy(net.state_dict()), at
    net.load_state_dict(state)
    record = {"learning_rate": rate, "epoch": epoch, "val_accuracy": best}
    if test:
        record |= scores(predictions(net, held.spikes), held.labels)
        record["firing_rates"] = [round(rate.item(), 4) for rate in net.rates().values()]
    return record | {"cpu_s": round(time.process_time() - started, 1)}


def linear(seed: int, plan: Plan) -> Record:
    """Test a linear classifier of the counts of each channel."""
    train, _, test = drawn(plan, seed)
    model = LogisticRegression(max_iter=2000).fit(train.spikes.sum(0).numpy(), train.labels.numpy())
    return scores(torch.from_numpy(np.asarray(model.predict(test.spikes.sum(0).numpy()))), test.labels)


def compare(seeds: Sequence[int], plan: Plan, runs: RecordedRuns) -> None:
    """Tune and test every arm that is not in the file yet."""
    for seed in seeds:
        control = {"stage": "final", "arm": "linear classifier of counts", "memory": [], "seed": seed}
        runs.get(control, partial(linear, seed, plan))
    for memory in MEMORIES:
        for arm in ARMS:
            key, train = {"arm": arm.name, "memory": list(memory)}, partial(trained, arm, memory, plan=plan)
            reached = {}
            for rate in RATES:
                tuning = {"stage": "tuning", **key, "learning_rate": rate}
                tuned = [runs.get(tuning | {"seed": s}, partial(train, rate, s, test=False)) for s in TUNING_SEEDS]
                reached[rate] = fmean(run["val_accuracy"] for run in tuned)
            best = max(reached, key=lambda rate: reached[rate])
            for seed in seeds:
                final = {"stage": "final", **key, "learning_rate": best, "seed": seed}
                runs.get(final, partial(train, best, seed, test=True))


def table(runs: Sequence[Record]) -> str:
    """Return the tests as a markdown table."""
    names = ("accuracy", "pairs", "within_pairs")
    lines = ["| | tau_m, tau_s | learning rate | accuracy, % | pairs, % | within pairs, % | seeds |"]
    lines.append("|---|---|---|---|---|---|---|")
    finals = [run for run in runs if run["stage"] == "final"]
    for arm, memory in dict.fromkeys((run["arm"], tuple(run["memory"])) for run in finals):
        group = [run for run in finals if (run["arm"], tuple(run["memory"])) == (arm, memory)]
        words = [arm, ", ".join(f"{tau:g}" for tau in memory), f"{group[0].get('learning_rate', '')}"]
        words += [spread([100 * run[name] for run in group]) for name in names] + [str(len(group))]
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    plan, seeds, runs = planned("Patterns told apart by order alone.", Plan, RESULTS, arguments)
    compare(seeds, plan, runs)
    print(table(runs.runs))


if __name__ == "__main__":
    main()
