"""How much accuracy does a spiking net keep at 30 to 1 % connectivity? Printed whichever way it comes out.

Grad R, Deep R and Lightning's magnitude pruning against the dense net, on Fashion-MNIST. Every arm trains as long,
with the learning rate that is best for it on 10,000 validation images: a grid a factor of about 3 apart, at 5 %
connectivity, extended while the best rate lies at its end, with a seed of its own. Connections change in the first two
thirds of the steps only. Then every arm trains on all 60,000 images and sees the test images once, after its last
step. A seed fixes the first weights and the order of the images, so arms are paired by it.

Every finished run is written to `--out` at once, and runs found there are not repeated. Arms can be trained by several
processes, each with an `--out` of its own. From the top of the checkout:

    OMP_NUM_THREADS=1 python benchmarks/gradient_rewiring_accuracy.py
    python benchmarks/gradient_rewiring_accuracy.py --summarise
"""

import argparse
import importlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from recorded_runs import Record, RecordedRuns
from static_spiking_net import StaticSpikingNet

from lightning_neuro._lightning import ROOT, Callback
from lightning_neuro.common.plotting import curves, to_svg
from lightning_neuro.data import image_data
from lightning_neuro.demo.training import make_trainer, quiet_lightning

RESULTS = Path(__file__).parent / "results"
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "gradient_rewiring_accuracy.svg"
TARGETS = (0.3, 0.1, 0.05, 0.02, 0.01)
RATES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
FIRST_RATES = (3, 4)
TUNING_SEED = 1000
TUNING_TARGET = 0.05
CHANGING = 2 / 3  # of the training; connections stay for the rest of it


@dataclass(frozen=True)
class Plan:
    """How much to train; results of different plans do not mix."""

    data: str = "fashion_mnist"
    epochs: int = 9
    batch_size: int = 128
    val_images: int = 10_000
    hidden: int = 800
    num_steps: int = 8


def magnitude(net: StaticSpikingNet, connectivity: float, plan: Plan, seed: int) -> list[Callback]:
    """Lightning's `ModelPruning`: after each of the first epochs the smallest weights of the net go, along a cubic."""
    total = sum(weight.numel() for weight in net.parameters())
    last = round(CHANGING * plan.epochs)

    def left(prunings: int) -> int:
        return round(total * (1 - (1 - connectivity) * (1 - (1 - min(prunings / last, 1)) ** 3)))

    callbacks = importlib.import_module(f"{ROOT}.callbacks")
    return [
        callbacks.ModelPruning(
            "l1_unstructured",
            parameter_names=["weight"],
            use_global_unstructured=True,
            use_lottery_ticket_hypothesis=False,
            amount=lambda epoch: left(epoch) - left(epoch + 1),  # a count, of the weights that are left
        )
    ]


def grad_r(net: StaticSpikingNet, connectivity: float, plan: Plan, seed: int) -> list[Callback]:
    """Grad R with the controller; trimmed when connections are fixed, so that no arm has more of them."""
    from lightning_neuro.gradient_rewiring import GradientRewiring

    return [GradientRewiring(1 - connectivity, freeze_after=CHANGING, trim=True, seed=seed, verbose=False)]


def deep_r(net: StaticSpikingNet, connectivity: float, plan: Plan, seed: int) -> list[Callback]:
    """Deep R, whose layers keep their shares of the connections: these follow the sum of a layer's two sides."""
    from lightning_neuro.gradient_rewiring import DeepRewiring

    shapes = {name: tuple(weight.shape) for name, weight in net.named_parameters()}
    sparsity = {name: 1 - share for name, share in shares(shapes, connectivity).items()}
    l1, rate = 1e-4, net.learning_rate
    temperature = rate * l1**2 / 18  # noise a third as large as the penalty
    return [DeepRewiring(sparsity, l1=l1, temperature=temperature, freeze_after=CHANGING, seed=seed, verbose=False)]


def shares(shapes: dict[str, tuple[int, ...]], connectivity: float) -> dict[str, float]:
    """Return the connectivity of each layer so that the net's is as wanted, after Erdős and Rényi.

    The chance of a connection is proportional to (inputs + outputs) / (inputs * outputs), and at most 1.

    >>> shares({"a": (10, 10), "b": (2, 10)}, 0.5)
    {'a': 0.4, 'b': 1.0}
    """
    sizes = {name: rows * columns for name, (rows, columns) in shapes.items()}
    full: set[str] = set()
    while True:
        wanted = connectivity * sum(sizes.values()) - sum(sizes[name] for name in full)
        scale = wanted / sum(sum(shapes[name]) for name in shapes if name not in full)
        share = {name: 1.0 if name in full else scale * sum(shapes[name]) / sizes[name] for name in shapes}
        over = {name for name in share if share[name] > 1}
        if not over:
            return share
        full |= over


Build = Callable[[StaticSpikingNet, float, Plan, int], list[Callback]]
DENSE, PRUNED = "dense", "magnitude pruning"
ARMS: dict[str, Build] = {
    DENSE: lambda *_: [],
    PRUNED: magnitude,
    "Grad R": grad_r,
    "Deep R": deep_r,
}


def train(arm: str, target: float, rate: float, seed: int, plan: Plan, *, final: bool) -> Record:
    """Train once; return the accuracy on validation or, if this is final, on test images, connectivity and cost."""
    data = image_data(
        plan.data, seed=seed, batch_size=plan.batch_size, flatten=True, val_size=0 if final else plan.val_images
    )
    with torch.random.fork_rng(devices=[]), quiet_lightning():
        torch.manual_seed(seed)
        net = StaticSpikingNet(data.num_features, data.num_classes, rate, plan.num_steps, plan.hidden)
        trainer = make_trainer(
            max_epochs=plan.epochs,
            callbacks=ARMS[arm](net, target, plan, seed),
            enable_progress_bar=False,
            limit_val_batches=0 if final else 1.0,
            check_val_every_n_epoch=plan.epochs,
        )
        wall, cpu = time.perf_counter(), time.process_time()
        trainer.fit(net, data)
        took = {"wall_s": round(time.perf_counter() - wall, 1), "cpu_s": round(time.process_time() - cpu, 1)}
        if final:
            trainer.test(net, data, verbose=False)
    accuracy = round(float(trainer.callback_metrics["test_accuracy" if final else "val_accuracy"]), 6)
    return {"accuracy": accuracy, "steps": trainer.global_step, **took, "connectivity": connectivity(net)}


def connectivity(net: StaticSpikingNet) -> dict[str, float]:
    """Return the share of weights that are not 0, by name and in all."""
    counts = {name: int(weight.count_nonzero()) for name, weight in net.named_parameters()}
    sizes = {name: weight.numel() for name, weight in net.named_parameters()}
    by_name = {name: round(counts[name] / sizes[name], 6) for name in sizes}
    return by_name | {"total": round(sum(counts.values()) / sum(sizes.values()), 6)}


def tune(arm: str, plan: Plan, runs: RecordedRuns, target: float = TUNING_TARGET) -> float:
    """Return the learning rate with the best accuracy on validation images."""
    accuracy: dict[int, float] = {}
    target = 1.0 if arm == DENSE else target
    ask = list(FIRST_RATES)
    while ask:
        for index in ask:
            key = {"stage": "tuning", "arm": arm, "target": target, "learning_rate": RATES[index], "seed": TUNING_SEED}
            run = runs.get(key, lambda k=key: train(arm, target, k["learning_rate"], TUNING_SEED, plan, final=False))
            accuracy[index] = run["accuracy"]
        best = max(accuracy, key=accuracy.__getitem__)
        ask = [index for index in (best - 1, best + 1) if index not in accuracy and 0 <= index < len(RATES)]
    return RATES[best]


def compare(arms: Sequence[str], seeds: Sequence[int], plan: Plan, runs: RecordedRuns) -> None:
    """Tune every arm and run it at every connectivity, seed by seed."""
    rates = {arm: tune(arm, plan, runs) for arm in arms}
    for seed in seeds:
        for target in (1.0, *TARGETS):
            for arm in arms:
                if (arm == DENSE) == (target == 1.0):
                    key = {"stage": "final", "arm": arm, "target": target, "learning_rate": rates[arm], "seed": seed}
                    runs.get(key, lambda k=key: train(*(k[n] for n in _GIVEN), plan, final=True))


def at_own_rate(arm: str, target: float, seeds: Sequence[int], plan: Plan, runs: RecordedRuns) -> None:
    """Run one arm at one connectivity with the learning rate that is best there, and print what came of it."""
    rate = tune(arm, plan, runs, target)
    found = []
    for seed in seeds:
        key = {"stage": "own rate", "arm": arm, "target": target, "learning_rate": rate, "seed": seed}
        found.append(runs.get(key, lambda k=key: train(*(k[n] for n in _GIVEN), plan, final=True))["accuracy"])
    print(f"{arm} at {target:g}, learning rate {rate:g}: {spread([100 * accuracy for accuracy in found])} %")


_GIVEN = ("arm", "target", "learning_rate", "seed")


def merged(paths: Sequence[Path]) -> list[Record]:
    """Return the final runs of several files, each once."""
    found = [json.loads(path.read_text()) for path in paths]
    if any(content["plan"] != found[0]["plan"] for content in found):
        raise ValueError(f"expected files of one plan, got several: {', '.join(path.name for path in paths)}.")
    final = [run for content in found for run in content["runs"] if run["stage"] == "final"]
    return list({(run["arm"], run["target"], run["seed"]): run for run in final}.values())


def table(runs: Sequence[Record]) -> str:
    """Return a markdown table: accuracy in percent, and points won over the same seed of the dense and a pruned net."""
    percent = {(run["arm"], run["target"], run["seed"]): 100 * run["accuracy"] for run in runs}
    lines = [
        "| arm | rate | connectivity, % | test accuracy, % | against dense | against pruning | seeds | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups = dict.fromkeys((run["arm"], run["target"]) for run in runs)
    for arm, target in sorted(groups, key=lambda group: (list(ARMS).index(group[0]), -group[1])):
        group = [run for run in runs if (run["arm"], run["target"]) == (arm, target)]
        seeds = [run["seed"] for run in group]
        rivals = [(rival, at) for rival, at in ((DENSE, 1.0), (PRUNED, target)) if rival != arm]
        won = {
            rival: [percent[arm, target, s] - percent[rival, at, s] for s in seeds if (rival, at, s) in percent]
            for rival, at in rivals
        }
        values = [
            arm,
            f"{group[0]['learning_rate']:g}",
            f"{100 * fmean(run['connectivity']['total'] for run in group):.2f}",
            spread([percent[arm, target, s] for s in seeds]),
            spread(won.get(DENSE, []), sign="+"),
            spread(won.get(PRUNED, []), sign="+"),
            str(len(seeds)),
            f"{fmean(run['cpu_s'] for run in group):.0f}",
        ]
        lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines)


def spread(values: Sequence[float], sign: str = "") -> str:
    """Return mean and standard deviation, or nothing for nothing.

    >>> spread([1.0, 2.0, 3.0], sign="+")
    '+2.00 ± 1.00'
    """
    mean = f"{fmean(values):{sign}.2f}" if values else ""
    return mean + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def picture(runs: Sequence[Record]) -> Any:
    """Return a figure of accuracy against connectivity; seeds that lack a target are left out."""
    percent = {(run["arm"], run["target"], run["seed"]): 100 * run["accuracy"] for run in runs}
    series = {}
    for arm in dict.fromkeys(run["arm"] for run in runs):
        at = [1.0 if arm == DENSE else target for target in TARGETS]
        seeds = sorted({seed for name, _, seed in percent if name == arm})
        rows = [[percent.get((arm, target, seed)) for target in at] for seed in seeds]
        whole = [row for row in rows if None not in row]
        if whole:
            series[arm] = whole
    return curves(
        series,
        x=[100 * target for target in TARGETS],
        log_x=True,
        title="Fashion-MNIST, 784-800-10 spiking net",
        xlabel="connectivity, %",
        ylabel="test accuracy, %",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Accuracy against connectivity on Fashion-MNIST.")
    parser.add_argument("--out", type=Path, default=RESULTS / "gradient_rewiring_accuracy.json")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help="one run per arm, connectivity and seed"
    )
    parser.add_argument("--tune-at", type=float, help="tune at this connectivity instead, and compare at it alone")
    parser.add_argument("--summarise", action="store_true", help="train nothing; print what --out and its like hold")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where --summarise draws")
    for name, default in asdict(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    options = vars(parser.parse_args(arguments))
    names = ("out", "arms", "seeds", "summarise", "picture", "tune_at")
    out, arms, seeds, summarise, drawing, tune_at = (options.pop(name) for name in names)
    plan = Plan(**options)
    if tune_at is not None:
        for arm in arms:
            at_own_rate(arm, tune_at, seeds, plan, RecordedRuns(out, asdict(plan)))
        return
    if not summarise:
        compare(arms, seeds, plan, RecordedRuns(out, asdict(plan)))
    runs = merged(sorted(out.parent.glob(f"{out.stem}*.json")) if summarise else [out])
    print(table(runs))
    if summarise:
        drawing.parent.mkdir(parents=True, exist_ok=True)
        drawing.write_text(to_svg(picture(runs)) + "\n")


if __name__ == "__main__":
    main()
