"""Where between order and chaos do storage, transfer and memory peak?

A reservoir of 150 tanh units without bias, weights N(0, sigma^2), is driven by uniform noise through weak weights. For
each sigma and seed: the largest Lyapunov exponent, active information storage (history 2, mean over units), transfer
entropy (history 1, mean and median over all pairs), memory capacity, and kernel minus generalisation rank; estimators
are Gaussian.

Runs are kept in `--out` after each seed and not repeated. From the top of the checkout, about four minutes:

    OMP_NUM_THREADS=1 python benchmarks/reservoir_edge_of_chaos.py
"""

import argparse
import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from recorded_runs import Record, RecordedRuns

from lightning_neuro.reservoir.measures import (
    active_information_storage,
    generalization_rank,
    kernel_rank,
    lyapunov_exponent,
    memory_capacity,
    similar_streams,
    transfer_entropy,
)
from lightning_neuro.reservoir.measures.maps import ReservoirMap
from lightning_neuro.reservoir.measures.trajectory import follow

RESULTS = Path(__file__).parent / "results" / "reservoir_edge_of_chaos.json"
PLACES = (-1.5, -1.4, -1.3, -1.2, -1.15, -1.1, -1.05, -1.0, -0.95, -0.9, -0.8, -0.6)
COLUMNS = ("exponent", "storage", "transfer_median", "transfer_mean", "memory", "ranks")


@dataclass(frozen=True)
class Plan:
    """What all runs share."""

    units: int = 150
    steps: int = 3000
    washout: int = 500
    input_scale: float = 0.1
    delays: int = 100
    streams: int = 150
    stream_steps: int = 100
    same_steps: int = 30


def measured(plan: Plan, seed: int) -> Record:
    """Return every measure at every place, for one draw of weights and inputs."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((plan.units, plan.units))
    inward = rng.uniform(-plan.input_scale, plan.input_scale, (plan.units, 1))
    drive = rng.uniform(-1, 1, (plan.washout + plan.steps, 1))
    streams = rng.uniform(-1, 1, (plan.streams, plan.stream_steps, 1))
    alike = similar_streams(streams, same_steps=plan.same_steps)
    columns: dict[str, list[float]] = {name: [] for name in (*COLUMNS, "transfer_99")}
    for place in PLACES:
        reservoir = ReservoirMap(10**place * weights, inward)
        states = follow("benchmark", reservoir, np.zeros(plan.units), drive)
        kept = states[plan.washout :]
        pairs = np.asarray(transfer_entropy(kept, kept, estimator="gaussian").value)
        pairs = pairs[~np.eye(plan.units, dtype=bool)]
        storage = active_information_storage(kept, history=2, estimator="gaussian")
        memory = memory_capacity(states, drive, washout=plan.washout, max_delay=plan.delays)
        ranks = float(kernel_rank(reservoir, streams)) - float(generalization_rank(reservoir, alike))
        exponent = float(lyapunov_exponent(reservoir, drive, washout=plan.washout))
        row = (exponent, float(np.mean(storage.value)), float(np.median(pairs)), float(pairs.mean()))
        row += (float(memory), ranks, float(np.quantile(pairs, 0.99)))
        for name, value in zip(columns, row, strict=True):
            columns[name].append(round(value, 5))
    return {"places": list(PLACES)} | columns


def crossing(exponents: Sequence[float]) -> float:
    """Return where exponents first pass 0, between places by a straight line."""
    for place, here, after, there in zip(PLACES, exponents, PLACES[1:], exponents[1:], strict=False):
        if here < 0 <= there:
            return place + (after - place) * -here / (there - here)
    return float("nan")


def table(runs: Sequence[Record]) -> str:
    """Return means over seeds, and where each measure peaks seed by seed against where its exponent passes 0."""
    lines = [f"| log10 sigma | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for place, at in enumerate(PLACES):
        cells = [f"{fmean(run[name][place] for run in runs):.3f}" for name in COLUMNS]
        lines.append(f"| {at:g} | {' | '.join(cells)} |")
    lines += ["", "| measure | peak of the mean | peaks of seeds, from the exponent's zero |", "|---|---|---|"]
    for name in COLUMNS[1:]:
        means = [fmean(run[name][place] for run in runs) for place in range(len(PLACES))]
        offsets = [PLACES[int(np.argmax(run[name]))] - crossing(run["exponent"]) for run in runs]
        spread = f"{fmean(offsets):+.3f} ± {stdev(offsets):.3f} ({min(offsets):+.2f} to {max(offsets):+.2f})"
        lines.append(f"| {name} | {PLACES[int(np.argmax(means))]:g} | {spread} |")
    zeros = [crossing(run["exponent"]) for run in runs]
    lines.append(f"\nThe exponent passes 0 at {fmean(zeros):.3f} ± {stdev(zeros):.3f}.")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measures of a reservoir between order and chaos.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    options = parser.parse_args(arguments)
    plan = Plan()
    runs = RecordedRuns(options.out, asdict(plan))
    print(table([runs.get({"seed": seed}, functools.partial(measured, plan, seed)) for seed in options.seeds]))


if __name__ == "__main__":
    main()
