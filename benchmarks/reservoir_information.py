"""What information measures cost: all pairs beside a loop over pairs, neighbours beside ennemi, in turns in one run.

Prints markdown tables; `--out file.json` writes them with what one needs to know to run it again. Without ennemi that
part is left out. From the top of the checkout, on one thread:

    OMP_NUM_THREADS=1 python benchmarks/reservoir_information.py
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from facts import facts
from side_by_side import Row, in_turns, rows, table

from lightning_neuro.reservoir.measures import transfer_entropy

UNITS, STEPS, SAMPLES = 150, 3000, 10_000
LOOP, PAIRS = "loop over pairs, determinants", "all pairs at once"
ENNEMI, OURS = "ennemi, conditional", "ksg"
TARGETS = {PAIRS: 0.02, OURS: 1.0}


def nothing() -> None:
    """Bring nothing back between rounds."""


def states() -> np.ndarray:
    """States of a noisy tanh reservoir near the edge of chaos."""
    rng = np.random.default_rng(0)
    weights = 10**-1.05 * rng.standard_normal((UNITS, UNITS))
    x = np.zeros((STEPS, UNITS))
    drive, noise = rng.uniform(-0.1, 0.1, (STEPS, UNITS)), 0.01 * rng.standard_normal((STEPS, UNITS))
    for t in range(1, STEPS):
        x[t] = np.tanh(weights @ x[t - 1] + drive[t]) + noise[t]
    return x


def by_loop(x: np.ndarray) -> np.ndarray:
    """Transfer entropy pair by pair, from the determinants of the covariance of (next, past, source)."""
    found = np.zeros((UNITS, UNITS))
    log = np.linalg.slogdet
    for j in range(UNITS):
        for i in range(UNITS):
            if i != j:
                c = np.cov(np.stack([x[1:, j], x[:-1, j], x[:-1, i]]))
                found[i, j] = (log(c[:2, :2])[1] + log(c[1:, 1:])[1] - np.log(c[1, 1]) - log(c)[1]) / 2
    return found


def driven() -> tuple[np.ndarray, np.ndarray]:
    """Return a white source and a series that it drives."""
    source, noise = np.random.default_rng(0).standard_normal((2, SAMPLES + 1))
    target = np.zeros(SAMPLES + 1)
    for t in range(SAMPLES):
        target[t + 1] = 0.5 * target[t] + source[t] + noise[t]
    return source, target


def timed(contenders: dict[str, Callable[[], object]], rounds: int) -> list[Row]:
    """Time contenders in turns."""
    return rows(in_turns(contenders, rounds, nothing), torch.get_num_threads(), TARGETS)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Information measures beside a loop and beside ennemi.")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    x = states()
    sections = {}
    pairs = transfer_entropy(x, estimator="gaussian", bias_correction=False).value
    difference = {"all pairs, largest difference": float(abs(pairs - by_loop(x)).max())}
    title = f"Gaussian transfer entropy of {UNITS} units over {STEPS} steps"
    sections[title] = timed(
        {LOOP: lambda: by_loop(x), PAIRS: lambda: transfer_entropy(x, estimator="gaussian")}, options.rounds
    )
    if find_spec("ennemi") is not None:
        import ennemi

        source, target = driven()

        def theirs() -> float:
            return ennemi.estimate_mi(target[1:], source[:-1], cond=target[:-1], k=4).item()

        values = float(transfer_entropy(source, target, estimator="ksg")), theirs()
        difference["ksg and ennemi, difference"] = abs(values[0] - values[1])
        title = f"Transfer entropy from neighbours, {SAMPLES} samples"
        sections[title] = timed(
            {ENNEMI: theirs, OURS: lambda: transfer_entropy(source, target, estimator="ksg")}, 5 * options.rounds
        )
    for title, lines in sections.items():
        print(table(title, lines))
    print(difference)
    if options.out is not None:
        peers = {name: metadata.version(name) for name in ("ennemi", "scipy") if find_spec(name) is not None}
        content = {
            "facts": facts() | {"peers": peers},
            "differences": difference,
            "sections": {title: [asdict(line) for line in lines] for title, lines in sections.items()},
        }
        options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
