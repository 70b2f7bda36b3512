"""Does gradient activation help a small CNN on Fashion-MNIST? Our own comparison, printed whichever way it comes out.

Per arm the peak learning rate is chosen on validation images: a grid a factor of sqrt(10) apart, extended while the
best rate lies at its end, then the two rates half-way to the neighbours of the best. Tuning has a seed of its own and
holds back 10,000 training images. Then every arm trains on all 60,000 once per seed, and sees the test images once,
after its last step. A seed fixes the first weights and the order of the images, so arms are paired by it.

Every finished run is written to `--out` at once, and runs found there are not repeated. From the top of the checkout:

    OMP_NUM_THREADS=1 python benchmarks/gradient_activation_accuracy.py
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from facts import facts
from scipy.stats import t
from small_cnn import SmallCnn, sgd
from torch import nn
from torch.optim import Adam, Optimizer

from lightning_neuro import GradientActivation, GradientActivationOptimizer
from lightning_neuro._lightning import Callback
from lightning_neuro.data import image_data
from lightning_neuro.demo.training import make_trainer, quiet_lightning

RESULTS = Path(__file__).parent / "results" / "gradient_activation_accuracy.json"
TUNING_SEED = 1000
Record = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """A way to train.

    Args:
        name: as in the results.
        optimizer: builds the optimizer from parameters and learning rate.
        centre: middle of the grid of learning rates, in quarter powers of ten.
        callbacks: builds the callbacks that belong to it.
        clip_norm: largest norm of the whole gradient, if it is clipped.
    """

    name: str
    optimizer: Callable[[Iterable[nn.Parameter], float], Optimizer]
    centre: int
    callbacks: Callable[[], list[Callback]] = list
    clip_norm: float | None = None


def sgd_activated_update(parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
    return GradientActivationOptimizer(sgd(parameters, rate), "atan", alpha=0.1, beta=20.0, placement="update")


def adam(parameters: Iterable[nn.Parameter], rate: float) -> Optimizer:
    return Adam(parameters, lr=rate)


ARMS = (
    Arm("SGD", sgd, -6),
    Arm("SGD, GAF on the gradient", sgd, -6, lambda: [GradientActivation("atan", alpha=0.1, beta=20.0)]),
    Arm("SGD, GAF on the update", sgd_activated_update, -6),
    Arm("SGD, norm clipped at 1", sgd, -6, clip_norm=1.0),
    Arm("Adam", adam, -12),
    Arm("Adam, GAF on the gradient", adam, -12, lambda: [GradientActivation("atan", alpha=1.0, beta=15.0)]),
)
PLAIN = {"Adam, GAF on the gradient": "Adam"}  # what an arm is paired with besides plain SGD


@dataclass(frozen=True)
class Plan:
    """How much to train; results of different plans do not mix."""

    data: str = "fashion_mnist"
    epochs: int = 4
    batch_size: int = 128
    tuning_images: int = 50_000
    val_images: int = 10_000
    grid_points: int = 5


class Results:
    """The runs so far, in a file that is rewritten after each.

    Args:
        path: the JSON file; read if it is there.
        plan: what the runs follow.

    Raises:
        ValueError: the file holds runs of another plan.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path, self.plan = path, plan
        self.runs: list[Record] = []
        if path.exists():
            found = json.loads(path.read_text())
            if found["plan"] != asdict(plan):
                raise ValueError(f"{path}: expected runs of {asdict(plan)}, got {found['plan']}. Give another --out.")
            self.runs = found["runs"]

    def get(self, arm: Arm, stage: str, rate: float, seed: int) -> Record:
        """Return a run, trained now if it is not there yet."""
        key = {"arm": arm.name, "stage": stage, "learning_rate": rate, "seed": seed}
        for run in self.runs:
            if all(run[name] == value for name, value in key.items()):
                return run
        self.runs.append(key | train(arm, rate, seed, self.plan, final=stage == "final"))
        print(json.dumps(self.runs[-1]), flush=True)
        self.write()
        return self.runs[-1]

    def write(self, summary: Sequence[Record] = ()) -> None:
        """Write everything, through a second file, so that an interruption leaves the old one whole."""
        content = {
            "facts": facts() | {"tuning_seed": TUNING_SEED},
            "plan": asdict(self.plan),
            "summary": list(summary),
            "runs": self.runs,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(content, indent=1) + "\n")
        draft.replace(self.path)


def train(arm: Arm, rate: float, seed: int, plan: Plan, *, final: bool) -> Record:
    """Train once; return the accuracy on validation images or, if this is final, on test images, and what it took."""
    images = {"val_size": 0} if final else {"val_size": plan.val_images, "limit": plan.tuning_images}
    data = image_data(plan.data, seed=seed, batch_size=plan.batch_size, **images)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SmallCnn(data.image_shape, data.num_classes, arm.optimizer, rate)
        trainer = make_trainer(
            max_epochs=plan.epochs,
            callbacks=arm.callbacks(),
            gradient_clip_val=arm.clip_norm,
            enable_progress_bar=False,
            limit_val_batches=0 if final else 1.0,
            check_val_every_n_epoch=plan.epochs,
        )
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            trainer.fit(model, data)
        except FloatingPointError:  # the activation refuses gradients that are not finite: this rate diverges
            return {"accuracy": 0.0, "diverged": True}
        took = {"wall_s": round(time.perf_counter() - wall, 1), "cpu_s": round(time.process_time() - cpu, 1)}
        if final:
            trainer.test(model, data, verbose=False)
    name = "test_accuracy" if final else "val_accuracy"
    return {"accuracy": round(float(trainer.callback_metrics[name]), 6), "steps": trainer.global_step, **took}


def learning_rate(quarters: int) -> float:
    """Return 10 to the power of so many quarters, to three digits.

    >>> learning_rate(-6)
    0.0316
    """
    return float(f"{10 ** (quarters / 4):.3g}")


def tune(arm: Arm, results: Results) -> float:
    """Return the learning rate with the best accuracy on validation images."""
    half = results.plan.grid_points // 2
    accuracy: dict[int, float] = {}

    def best_of(grid: Iterable[int]) -> int:
        for point in grid:
            if point not in accuracy:
                accuracy[point] = results.get(arm, "tuning", learning_rate(point), TUNING_SEED)["accuracy"]
        return max(accuracy, key=accuracy.__getitem__)

    best = best_of(range(arm.centre - 2 * half, arm.centre + 2 * half + 1, 2))
    while best in (min(accuracy), max(accuracy)) and abs(best - arm.centre) < 16:
        best = best_of([best - 2, best + 2])
    return learning_rate(best_of([best - 1, best + 1]))


def summarise(arms: Sequence[Arm], rates: dict[str, float], seeds: int, results: Results) -> list[Record]:
    """Return a record per arm: mean and spread of the accuracy in percent, and differences to plain SGD."""
    runs = {a.name: [results.get(a, "final", rates[a.name], seed) for seed in range(seeds)] for a in arms}
    percent = {name: [100 * run["accuracy"] for run in of_arm] for name, of_arm in runs.items()}
    summary = []
    for name, of_arm in runs.items():
        record = {"arm": name, "learning_rate": rates[name], "mean": round(fmean(percent[name]), 3)}
        record["std"] = round(stdev(percent[name]), 3)
        for plain in sorted({arms[0].name, PLAIN.get(name, arms[0].name)} - {name}):
            record[f"difference to {plain}"] = difference(percent[name], percent[plain])
        record |= {key: round(fmean(run.get(key, 0.0) for run in of_arm), 1) for key in ("wall_s", "cpu_s")}
        summary.append(record)
    return summary


def difference(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return the mean of the paired differences and the ends of the 95 % interval of Student's t.

    >>> difference([2.0, 3.0], [1.0, 1.0])
    [1.5, -4.853, 7.853]
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    mean, count = fmean(differences), len(differences)
    margin = float(t.ppf(0.975, count - 1)) * stdev(differences) / count**0.5
    return [round(mean, 3), round(mean - margin, 3), round(mean + margin, 3)]


def table(summary: Sequence[Record]) -> str:
    """Return the summary as a markdown table."""
    lines = [
        "| arm | peak learning rate | test accuracy, % | difference to SGD | to Adam | CPU s per run |",
        "|" + 6 * "---|",
    ]
    for record in summary:
        accuracy = f"{record['mean']:.2f} ± {record['std']:.2f}"
        cells = [record["arm"], f"{record['learning_rate']:g}", accuracy]
        for plain in ("SGD", "Adam"):
            of = record.get(f"difference to {plain}")
            cells.append("" if of is None else f"{of[0]:+.2f} ({of[1]:+.2f} to {of[2]:+.2f})")
        lines.append("| " + " | ".join([*cells, f"{record['cpu_s']:.0f}"]) + " |")
    return "\n".join(lines)


def compare(arms: Sequence[Arm], seeds: int, results: Results) -> list[Record]:
    """Tune every arm, run every arm once per seed, seed by seed, and return the summary."""
    rates = {arm.name: tune(arm, results) for arm in arms}
    for seed in range(seeds):
        for arm in arms:
            results.get(arm, "final", rates[arm.name], seed)
    summary = summarise(arms, rates, seeds, results)
    results.write(summary)
    return summary


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="GAF against plain training on Fashion-MNIST.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--seeds", type=int, default=8, help="runs per arm at the chosen learning rate, at least 2")
    for name, default in asdict(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    options = vars(parser.parse_args(arguments))
    out, seeds = options.pop("out"), options.pop("seeds")
    with quiet_lightning():
        print(table(compare(ARMS, seeds, Results(out, Plan(**options)))))


if __name__ == "__main__":
    main()
