"""Santa Fe laser, one step ahead: a spectral net beside ridge regression on lags, on their products, and a reservoir.

What is free is chosen on validation steps; then each arm predicts the test steps once. The error is mean squared over
the variance of the test steps. Learns from 6,000 steps, chooses by 1,000, tests on the rest. From the top of the
checkout:

    OMP_NUM_THREADS=1 python benchmarks/santa_fe.py
"""

import argparse
import itertools
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from facts import facts
from reservoirpy.nodes import Reservoir

from lightning_neuro.data.santa_fe import TRAIN, VAL, scaled
from lightning_neuro.spectral_rnn import SpectralRNN
from lightning_neuro.spectral_rnn.alarms import SpectralWarning
from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score, IIDGaussianScore
from lightning_neuro.spectral_rnn.series import Array

RESULTS = Path(__file__).parent / "results" / "santa_fe.json"
SEEDS = (0, 1, 2)
LAGS = (2, 4, 8, 16, 32)
PENALTIES = (1e-8, 1e-6, 1e-4, 1e-2, 1.0, 1e2)
UNITS = 500
LARGEST_STATE = 30.0
"""States of standardised inputs are near 1; at 1e3 a state once off spoils the test error by 1e8."""
Choice = dict[str, Any]
Predict = Callable[[Choice, int], Array]


def lagged(values: Array, lags: int) -> Array:
    """Return the values before each step, the newest first, `(n, lags)`; zeros before the first."""
    padded = np.concatenate([np.zeros(lags), values])
    return np.lib.stride_tricks.sliding_window_view(padded, lags)[: len(values), ::-1]


def ridge(features: Array, values: Array, penalty: float) -> Array:
    """Return predictions of all steps by a regression over the training steps."""
    seen = np.hstack([features, np.ones((len(features), 1))])
    learned, known = seen[100:TRAIN], values[100:TRAIN]
    gram = learned.T @ learned / len(learned) + penalty * np.eye(seen.shape[1])
    return seen @ np.linalg.solve(gram, learned.T @ known / len(learned))


def on_lags(values: Array) -> tuple[Iterator[Choice], Predict]:
    def predict(choice: Choice, _: int) -> Array:
        return ridge(lagged(values, choice["lags"]), values, choice["penalty"])

    return ({"lags": lags, "penalty": p} for lags, p in itertools.product(LAGS, PENALTIES)), predict


def on_products(values: Array) -> tuple[Iterator[Choice], Predict]:
    def predict(choice: Choice, _: int) -> Array:
        x = lagged(values, choice["lags"])
        rows, columns = np.triu_indices(x.shape[1])
        return ridge(np.hstack([x, x[:, rows] * x[:, columns]]), values, choice["penalty"])

    return ({"lags": lags, "penalty": p} for lags, p in itertools.product((4, 8, 16), PENALTIES)), predict


def reservoir(values: Array) -> tuple[Iterator[Choice], Predict]:
    states: dict[tuple[float, float, int], Array] = {}

    def predict(choice: Choice, seed: int) -> Array:
        key = choice["sr"], choice["lr"], seed
        if key not in states:
            node = Reservoir(UNITS, sr=choice["sr"], lr=choice["lr"], input_scaling=0.5, seed=seed)
            states[key] = node.run(lagged(values, 1))
        return ridge(np.hstack([states[key], lagged(values, 1)]), values, choice["penalty"])

    grid = itertools.product((0.6, 0.9, 1.1), (0.5, 1.0), PENALTIES)
    return ({"sr": sr, "lr": lr, "penalty": p} for sr, lr, p in grid), predict


def score(choice: Choice) -> GaussianAR1Score | IIDGaussianScore:
    """Return the score; lags follow from those before nearly without noise, so that AR(1) needs shrinkage."""
    return GaussianAR1Score(shrinkage=choice["shrinkage"]) if choice["shrinkage"] else IIDGaussianScore()


def spectral(values: Array, *, refine: int) -> tuple[Iterator[Choice], Predict]:
    """A quadratic net on standardised principal components of the lags learns what ridge regression leaves.

    The target is one number; a second output, the next value's square, lets the decomposition tell neurons apart.
    """

    def predict(choice: Choice, seed: int) -> Array:
        x = lagged(values, choice["lags"])
        linear = ridge(x, values, 1e-6)
        _, spread, axes = np.linalg.svd(x[100:TRAIN] - x[100:TRAIN].mean(axis=0), full_matrices=False)
        white = (x - x[100:TRAIN].mean(axis=0)) @ axes.T / spread * np.sqrt(TRAIN - 100)
        white = white[:, : choice["components"]]
        left = values - linear
        targets = np.column_stack([left, values**2, values * np.concatenate([[0.0], values[:-1]])])
        node = SpectralRNN(choice["units"], score=score(choice), refine=refine, max_abs_state=LARGEST_STATE, seed=seed)
        node.fit(white[100:TRAIN], targets[100:TRAIN])
        return linear + node.run(white)[:, 0]

    grid = itertools.product((4, 8, 16), (4, 6), (2, 4), (0.0, 0.1))
    names = ("lags", "components", "units", "shrinkage")
    return (dict(zip(names, one, strict=True)) for one in grid if one[1] <= one[0]), predict


def with_readout(values: Array) -> tuple[Iterator[Choice], Predict]:
    """The same net as a feature map: ridge regression on its states and the lags."""

    def predict(choice: Choice, seed: int) -> Array:
        x = lagged(values, choice["lags"])
        _, spread, axes = np.linalg.svd(x[100:TRAIN] - x[100:TRAIN].mean(axis=0), full_matrices=False)
        white = (x - x[100:TRAIN].mean(axis=0)) @ axes.T / spread * np.sqrt(TRAIN - 100)
        white = white[:, : choice["components"]]
        left = values - ridge(x, values, 1e-6)
        targets = np.column_stack([left, values**2, values * np.concatenate([[0.0], values[:-1]])])
        node = SpectralRNN(choice["units"], score=score(choice), max_abs_state=LARGEST_STATE, seed=seed).fit(
            white[100:TRAIN], targets[100:TRAIN]
        )
        return ridge(np.hstack([x, node.to_node().run(white)]), values, choice["penalty"])

    grid = itertools.product((8, 16), (4, 6), (2, 4), (0.0, 0.1), (1e-6, 1e-4))
    names = ("lags", "components", "units", "shrinkage", "penalty")
    return (dict(zip(names, one, strict=True)) for one in grid), predict


def error(predicted: Array, values: Array, part: slice) -> float:
    """Return the normalised mean squared error; infinite where a prediction is not finite."""
    found = float(np.mean((predicted[part] - values[part]) ** 2) / values[part].var())
    return found if np.isfinite(found) else float("inf")


def measure(name: str, arm: tuple[Iterator[Choice], Predict], values: Array) -> dict[str, Any]:
    """Choose by validation steps with seed 100, then test with each seed."""
    choices, predict = arm
    started = time.process_time()
    refused = 0

    def validate(choice: Choice) -> float:
        nonlocal refused
        try:
            return error(predict(choice, 100), values, slice(TRAIN, TRAIN + VAL))
        except (ValueError, FloatingPointError):
            refused += 1
            return float("inf")

    best = min(choices, key=validate)
    spent = time.process_time() - started
    errors = [error(predict(best, seed), values, slice(TRAIN + VAL, None)) for seed in SEEDS]
    return {"arm": name, "choice": best, "refused": refused, "errors": errors, "choosing_cpu_s": round(spent, 1)}


def table(found: Sequence[dict[str, Any]]) -> str:
    """Return a markdown table."""
    lines = ["| arm | chosen | test error | CPU s of choosing |", "|---|---|---|---|"]
    for one in found:
        chosen = ", ".join(f"{name} {value:g}" for name, value in one["choice"].items())
        errors = f"{mean(one['errors']):.4f} ± {stdev(one['errors']):.4f}"
        lines.append(f"| {one['arm']} | {chosen} | {errors} | {one['choosing_cpu_s']} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Santa Fe laser, one step ahead.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    values = scaled()
    arms = {
        "ridge on lags": on_lags,
        "ridge on lags and their products": on_products,
        f"reservoir of {UNITS} and ridge": reservoir,
        "ridge on lags and spectral net, moments alone": lambda v: spectral(v, refine=0),
        "ridge on lags and spectral net, refined": lambda v: spectral(v, refine=6),
        "spectral net's states and lags, ridge": with_readout,
    }
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpectralWarning)
        for name, arm in arms.items():
            found.append(measure(name, arm(values), values))
            print(found[-1], flush=True)
    print(table(found))
    content = {"facts": facts() | {"peers": {"reservoirpy": version("reservoirpy")}}, "arms": found}
    options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
