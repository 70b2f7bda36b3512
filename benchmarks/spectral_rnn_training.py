"""Spectral learning beside gradient descent: time to a prediction nearly as good as can be.

Data come from random quadratic networks with noise. Every arm sees the same data; the test error is that of series
nobody learned from, and its floor is the noise. Gradient descent is Adam through time on the same quadratic model,
its learning rate the best of a grid on data sets of its own, from random weights and from the spectral start.
Time is processor time in learning, testing not counted. Results are written after every run, and runs found in the file
are not repeated. From the top of the checkout:

    OMP_NUM_THREADS=1 python benchmarks/spectral_rnn_training.py
    python benchmarks/spectral_rnn_training.py --summarise
"""

import argparse
import functools
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from recorded_runs import Record, RecordedRuns
from torch import Tensor, nn

from lightning_neuro.spectral_rnn.alarms import SpectralWarning
from lightning_neuro.spectral_rnn.learning import learn
from lightning_neuro.spectral_rnn.model import PolynomialModel
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import SerialPasses
from lightning_neuro.spectral_rnn.series import Series
from lightning_neuro.spectral_rnn.torch import PolynomialRNN

RESULTS = Path(__file__).parent / "results" / "spectral_rnn_training.json"
SIZES = {"10,3,4": (10, 3, 4), "20,5,6": (20, 5, 6)}
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
SPECTRAL, RANDOM, STARTED = "spectral", "BPTT, random start", "BPTT, spectral start"


@dataclass(frozen=True)
class Plan:
    """What all runs follow; results of different plans do not mix."""

    n: int = 20_000
    steps: int = 32
    noise: float = 0.3
    coupling: float = 0.12
    batch_size: int = 64
    optimizer_steps: int = 1500
    look_every: int = 10
    near: float = 1.02
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    tuning_seeds: tuple[int, ...] = (100, 101)


@dataclass(frozen=True)
class Data:
    """Inputs and outputs to learn from, and others to test on, `(B, T, D)`."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor

    def error(self, predict: Any) -> float:
        """Return the mean squared test error relative to the variance of the outputs."""
        with torch.no_grad():
            missed = predict(self.test_x) - self.test_y
        return float(missed.square().mean() / self.test_y.var(dim=(0, 1)).mean())


def draw(size: str, seed: int, plan: Plan) -> tuple[Data, float]:
    """Return data and the error of the network that made them."""
    inputs, units, outputs = SIZES[size]
    rng = np.random.default_rng(seed)
    a, u, c = (rng.standard_normal(shape) for shape in ((units, inputs), (units, units), (units, outputs)))
    a, u = (each / np.linalg.norm(each, axis=1)[:, None] for each in (a, u))
    net = PolynomialModel(a, plan.coupling * u, c)
    count = plan.n // plan.steps
    x = rng.standard_normal((2 * count, plan.steps, inputs))
    clean = np.stack(net.predict_all(list(x)))
    kept = np.isfinite(clean).all((1, 2))
    x, clean = x[kept], clean[kept]
    y = clean + plan.noise * rng.standard_normal(clean.shape)
    x, y = torch.as_tensor(x).float(), torch.as_tensor(y).float()
    data = Data(x[:count], y[:count], x[count:], y[count:])
    truth = PolynomialRNN.from_model(net).float()
    return data, data.error(lambda series: truth(series)[0])


def spectral(data: Data, units: int, refine: int) -> tuple[PolynomialModel, float]:
    """Return a network learned by moments, and the processor time."""
    started = time.process_time()
    pairs = zip(data.x.double().numpy(), data.y.double().numpy(), strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpectralWarning)
        learned = learn(SerialPasses([Series(x, y) for x, y in pairs]), Options(units, refine=refine, seed=0))
    return learned.model, time.process_time() - started


def descend(data: Data, net: PolynomialRNN, rate: float, seed: int, goal: float, plan: Plan) -> Record:
    """Train by Adam until the goal is reached or the steps are spent."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    spent, reached, reached_at, best = 0.0, None, None, data.error(lambda series: net(series)[0])
    curve = [round(best, 5)]
    for step in range(1, plan.optimizer_steps + 1):
        started = time.process_time()
        rows = torch.randint(len(data.x), (plan.batch_size,), generator=generator)
        optimizer.zero_grad()
        nn.functional.mse_loss(net(data.x[rows])[0], data.y[rows]).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        spent += time.process_time() - started
        if step % plan.look_every == 0:
            error = data.error(lambda series: net(series)[0])
            best = min(best, error)
            curve.append(round(error, 5))
            if reached is None and error <= goal:
                reached, reached_at = spent, step
                break
    return {"error": best, "cpu_s": round(spent, 3), "reached_s": reached, "reached_step": reached_at, "curve": curve}


def run(size: str, arm: str, rate: float, seed: int, plan: Plan) -> Record:
    """Return what an arm reaches on one data set."""
    data, floor = draw(size, seed, plan)
    goal, (inputs, units, outputs) = plan.near * floor, SIZES[size]
    if arm.startswith(SPECTRAL):
        model, spent = spectral(data, units, refine=6 if arm == f"{SPECTRAL}, refined" else 0)
        net = PolynomialRNN.from_model(model).float()
        error = data.error(lambda series: net(series)[0])
        return {"floor": floor, "error": error, "cpu_s": round(spent, 3), "reached_s": spent if error <= goal else None}
    torch.manual_seed(seed)
    before, net = 0.0, PolynomialRNN(inputs, units, outputs, max_abs_state=1e3)
    if arm == STARTED:
        model, before = spectral(data, units, refine=0)
        net.write_(model)
    found = descend(data, net, rate, seed, goal, plan)
    if found["reached_s"] is not None:
        found["reached_s"] += before
    return {"floor": floor, **found, "start_s": round(before, 3)}


def better(runs: Sequence[Record]) -> tuple[float, float, float]:
    """Return what orders learning rates: goals reached, time to them, error."""
    reached = [r["reached_s"] for r in runs if r["reached_s"] is not None]
    return len(reached), -sum(reached), -sum(r["error"] for r in runs)


def compare(runs: RecordedRuns, plan: Plan) -> None:
    """Tune learning rates and run all arms."""
    for size in SIZES:
        for arm in (f"{SPECTRAL}, moments", f"{SPECTRAL}, refined", RANDOM, STARTED):
            rate = 0.0
            if arm in (RANDOM, STARTED):

                def tuning(rate: float, arm: str = arm, size: str = size) -> tuple[float, float, float]:
                    key = {"size": size, "arm": arm, "stage": "tuning", "rate": rate}
                    once = functools.partial(run, size, arm, rate, plan=plan)
                    return better(
                        [runs.get(key | {"seed": s}, functools.partial(once, seed=s)) for s in plan.tuning_seeds]
                    )

                rate = max(RATES, key=tuning)
            for seed in plan.seeds:
                key = {"size": size, "arm": arm, "stage": "final", "rate": rate, "seed": seed}
                runs.get(key, functools.partial(run, size, arm, rate, seed, plan))


def table(runs: Sequence[Record]) -> str:
    """Return the final runs as a markdown table."""
    lines = [
        "| Dx, H, Dy | arm | learning rate | within 2 % of the floor | CPU s to there, median | error / floor |",
        "|---|---|---|---|---|---|",
    ]
    finals = [r for r in runs if r["stage"] == "final"]
    for size, arm in dict.fromkeys((r["size"], r["arm"]) for r in finals):
        group = [r for r in finals if (r["size"], r["arm"]) == (size, arm)]
        reached = [r["reached_s"] for r in group if r["reached_s"] is not None]
        words = [size, arm, f"{group[0]['rate']:g}" if group[0]["rate"] else "", f"{len(reached)} of {len(group)}"]
        words.append(f"{median(reached):.2f}" if reached else "")
        words.append(f"{median(r['error'] / r['floor'] for r in group):.3f}")
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Spectral learning beside gradient descent through time.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--optimizer-steps", type=int, default=Plan.optimizer_steps)
    parser.add_argument("--n", type=int, default=Plan.n)
    parser.add_argument("--summarise", action="store_true", help="only print what is recorded")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    plan = Plan(n=options.n, optimizer_steps=options.optimizer_steps)
    recorded = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(plan).items()}
    runs = RecordedRuns(options.out, recorded)
    if not options.summarise:
        compare(runs, plan)
    print(table(runs.runs))


if __name__ == "__main__":
    main()
