"""How far spectral estimates are from the network that made the data: over n, sizes, inputs, noise, and ways to U.

For each case networks are drawn whose rows of A1 have length 1 and those of U 0.12; series have 100 steps, those that
explode are dropped. Relative errors are up to the order and signs of neurons. Results are written after every run, and
runs found in the file are not repeated. From the top of the checkout:

    OMP_NUM_THREADS=1 python benchmarks/spectral_rnn_errors.py
    python benchmarks/spectral_rnn_errors.py --summarise
"""

import argparse
import functools
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from recorded_runs import Record, RecordedRuns

from lightning_neuro.spectral_rnn.alarms import SpectralWarning
from lightning_neuro.spectral_rnn.learning import learn
from lightning_neuro.spectral_rnn.model import PolynomialModel
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import SerialPasses
from lightning_neuro.spectral_rnn.series import Series
from lightning_neuro.spectral_rnn.symmetry import relative_errors

RESULTS = Path(__file__).parent / "results" / "spectral_rnn_errors.json"
STEPS, COUPLING = 100, 0.12
SIZES = {"10,3,4": (10, 3, 4), "20,5,6": (20, 5, 6), "5,2,3": (5, 2, 3)}
LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
# Size, memory of the inputs, standard deviation of the noise.
CASES = [
    ("10,3,4", 0.0, 0.0),
    ("10,3,4", 0.6, 0.0),
    ("10,3,4", 0.0, 1.0),
    ("10,3,4", 0.6, 1.0),
    ("10,3,4", 0.0, 0.5),
    ("10,3,4", 0.6, 0.5),
    ("20,5,6", 0.0, 0.0),
    ("20,5,6", 0.0, 0.5),
    ("20,5,6", 0.0, 1.0),
    ("20,5,6", 0.6, 0.0),
    ("5,2,3", 0.0, 0.0),
    ("5,2,3", 0.0, 1.0),
    ("5,2,3", 0.6, 0.0),
]
WAYS = ("moments", "s4", "refined")


def drawn(size: str, seed: int) -> PolynomialModel:
    """Return a random quadratic network."""
    inputs, units, outputs = SIZES[size]
    rng = np.random.default_rng(seed)
    a, u, c = (rng.standard_normal(shape) for shape in ((units, inputs), (units, units), (units, outputs)))
    a, u = (each / np.linalg.norm(each, axis=1)[:, None] for each in (a, u))
    return PolynomialModel(a, COUPLING * u, c)


def data(net: PolynomialModel, n: int, memory: float, noise: float, seed: int) -> list[Series]:
    """Return series of 100 steps, n in all."""
    rng = np.random.default_rng([seed, 1])
    x = rng.standard_normal((n // STEPS, STEPS, net.input_weights.shape[1]))
    for step in range(1, STEPS if memory else 0):
        x[:, step] = memory * x[:, step - 1] + np.sqrt(1 - memory**2) * x[:, step]
    # Where a state explodes the output is NaN from there on: such series are left out as a whole.
    outputs = [(one, y) for one, y in zip(x, net.predict_all(list(x)), strict=True) if np.isfinite(y).all()]
    return [Series(one, y + noise * rng.standard_normal(y.shape)) for one, y in outputs]


def measure(size: str, memory: float, noise: float, n: int, way: str, seed: int) -> Record:
    """Learn once, and compare with the network that made the data."""
    net = drawn(size, seed)
    series = data(net, n, memory, noise, seed)
    score = "ar1" if memory else "iid"
    method = "s4" if way == "s4" else "mixed"
    options = Options(len(net.recurrent_weights), score=score, u_method=method, refine=6 * (way == "refined"), seed=0)
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpectralWarning)
        found = learn(SerialPasses(series), options)
    spent = time.process_time() - started
    errors = relative_errors(found.model, replace(net, offset=found.model.offset))
    return {
        **{name: float(f"{value:.4g}") for name, value in errors.items()},
        "converged": found.converged,
        "refused": found.diagnostics.recurrent_refused,
        "cpu_s": round(spent, 3),
    }


def table(runs: Sequence[Record]) -> str:
    """Return medians over seeds as a markdown table."""
    titles = ["Dx, H, Dy", "inputs", "noise", "n", "seeds", "A1", "A2", "U", "U by S4", "refined: A1", "A2", "U"]
    titles.append("CPU s: moments, refined")
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for size, memory, noise in CASES:
        for n in LENGTHS:
            case = [r for r in runs if (r["size"], r["memory"], r["noise"], r["n"]) == (size, memory, noise, n)]
            by_way = {way: [run for run in case if run["way"] == way] for way in WAYS}
            if not by_way["moments"]:
                continue

            def middle(way: str, name: str, by_way: dict[str, list[Record]] = by_way) -> str:
                values = [run[name] for run in by_way[way]]
                return f"{median(values):.2g}" if values else ""

            words = [size, f"AR {memory}" if memory else "iid", f"{noise:g}", f"{n:g}", str(len(by_way["moments"]))]
            words += [middle("moments", name) for name in ("A1", "A2", "U")] + [middle("s4", "U")]
            words += [middle("refined", name) for name in ("A1", "A2", "U")]
            words.append(f"{middle('moments', 'cpu_s')}, {middle('refined', 'cpu_s')}")
            lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Errors of spectral estimates over the amount of data.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--seeds", type=int, default=5, help="networks per case, two where n is above 100,000")
    parser.add_argument("--summarise", action="store_true", help="only print what is recorded")
    options = parser.parse_args(arguments)
    runs = RecordedRuns(options.out, {"steps": STEPS, "coupling": COUPLING})
    for n in [] if options.summarise else options.lengths:
        for size, memory, noise in CASES:
            for seed in range(options.seeds if n <= 100_000 else min(options.seeds, 2)):
                for way in WAYS:
                    key = {"size": size, "memory": memory, "noise": noise, "n": n, "way": way, "seed": seed}
                    runs.get(key, functools.partial(measure, size, memory, noise, n, way, seed))
    print(table(runs.runs))


if __name__ == "__main__":
    main()
