"""What reservoirs and their measures cost beside reservoirpy, a loop over pairs, ennemi and rcbench, in one run.

Prints markdown tables; `--out file.json` writes them with what one needs to know to run it again. Pairs whose other
half is not installed are left out with a line. From the top of the checkout, on one thread:

    pip install ennemi; pip install --no-deps --target peers rcbench
    OMP_NUM_THREADS=1 PYTHONPATH=peers python benchmarks/reservoir.py
"""

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from facts import facts
from reservoirpy.nodes import Reservoir
from side_by_side import Row, in_turns, rows, table

from lightning_neuro import TorchReservoir
from lightning_neuro.reservoir.measures import information_processing_capacity, transfer_entropy
from lightning_neuro.reservoir.measures.readouts import factorised

SERIES, BATCH_STEPS, BATCHED = 64, 1000, {100: 10, 500: 3}  # units: how many times as fast as reservoirpy
SINGLE_STEPS, SINGLE = 3000, (100, 200, 500, 1000, 2000)
UNITS, STEPS, SAMPLES = 150, 3000, 10_000
CAPACITY_UNITS, CAPACITY_STEPS, DELAYS = 100, 10_000, 10
Contenders = dict[str, Callable[[], object]]
Section = tuple[str, Contenders, dict[str, float], int]  # title, contenders, targets, rounds for each asked


def nothing() -> None:
    """Bring nothing back between rounds."""


def peer(name: str) -> bool:
    """Whether a package is there; else a line says that its pair is left out."""
    there = find_spec(name) is not None
    if not there:
        print(f"{name} cannot be imported: its pair is left out.")
    return there


def reservoir(units: int, seed: int = 0) -> Reservoir:
    """A reservoirpy reservoir with its weights drawn: sparse, a tenth of all synapses."""
    node = Reservoir(units, sr=0.9, lr=0.5, rc_connectivity=0.1, seed=seed)
    node.initialize(np.zeros((1, 1)))
    return node


def many_series(units: int, times: int, differences: dict[str, Any]) -> Section:
    """64 series at once in single precision beside 64 runs."""
    node, u = reservoir(units), np.random.default_rng(0).uniform(-1, 1, (SERIES, BATCH_STEPS, 1))
    module, inputs = TorchReservoir.from_node(node, dtype=torch.float32), torch.as_tensor(u, dtype=torch.float32)
    node.reset()
    differences[f"{units} units, single precision"] = float(np.abs(module(inputs)[0].numpy() - node.run(u[0])).max())
    name = "TorchReservoir, float32"
    contenders: Contenders = {
        f"reservoirpy, {SERIES} runs": lambda: [node.run(series) for series in u],
        name: lambda: module(inputs),
    }
    return f"{SERIES} series of {BATCH_STEPS} steps, {units} units", contenders, {name: round(1 / times, 4)}, 1


def long_series(units: int, differences: dict[str, Any]) -> Section:
    """One series in double precision beside one run."""
    node, u = reservoir(units), np.random.default_rng(0).uniform(-1, 1, (SINGLE_STEPS, 1))
    module, inputs = TorchReservoir.from_node(node), torch.as_tensor(u)
    node.reset()
    differences[f"{units} units, double precision"] = float(np.abs(module(inputs).numpy() - node.run(u)).max())
    name = "TorchReservoir, float64"
    contenders: Contenders = {"reservoirpy": lambda: node.run(u), name: lambda: module(inputs)}
    return f"One series of {SINGLE_STEPS} steps, {units} units", contenders, {name: 1.0}, 1


def noisy_states() -> np.ndarray:
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


def all_pairs(differences: dict[str, Any]) -> Section:
    """Transfer entropy of all pairs at once beside a loop."""
    x = noisy_states()
    pairs = transfer_entropy(x, estimator="gaussian", bias_correction=False).value
    differences["all pairs, largest difference"] = float(abs(pairs - by_loop(x)).max())
    name = "all pairs at once"
    contenders: Contenders = {
        "loop over pairs, determinants": lambda: by_loop(x),
        name: lambda: transfer_entropy(x, estimator="gaussian"),
    }
    return f"Gaussian transfer entropy of {UNITS} units over {STEPS} steps", contenders, {name: 0.02}, 1


def neighbours(differences: dict[str, Any]) -> Section:
    """Transfer entropy from nearest neighbours beside ennemi, on a white source and a series that it drives."""
    import ennemi

    source, noise = np.random.default_rng(0).standard_normal((2, SAMPLES + 1))
    target = np.zeros(SAMPLES + 1)
    for t in range(SAMPLES):
        target[t + 1] = 0.5 * target[t] + source[t] + noise[t]

    def theirs() -> float:
        return ennemi.estimate_mi(target[1:], source[:-1], cond=target[:-1], k=4).item()

    ours = float(transfer_entropy(source, target, estimator="ksg"))
    differences["ksg and ennemi, difference"] = abs(ours - theirs())
    contenders: Contenders = {
        "ennemi, conditional": theirs,
        "ksg": lambda: transfer_entropy(source, target, estimator="ksg"),
    }
    return f"Transfer entropy from neighbours, {SAMPLES} samples", contenders, {"ksg": 1.0}, 5


def capacities(differences: dict[str, Any]) -> Section:
    """Information processing capacity to degree 3 beside rcbench, and beside the products that it cannot do without.

    The same 165 targets: one or two delays from 1 to 10, degrees up to 3. rcbench fits each by regression on four
    fifths of the series; we project all on states of the whole.
    """
    from rcbench import IPCEvaluator

    logging.getLogger().setLevel(logging.ERROR)
    for name in list(logging.Logger.manager.loggerDict):
        if name.startswith("rcbench"):
            logging.getLogger(name).setLevel(logging.ERROR)
    u = np.random.default_rng(0).uniform(-1, 1, CAPACITY_STEPS)
    states = reservoir(CAPACITY_UNITS).run(u[:, None])

    def theirs() -> dict[str, Any]:
        evaluator = IPCEvaluator(u, states, max_delay=DELAYS, max_degree=3)
        return evaluator.calculate_total_capacity(feature_selection_method="kbest", modeltype="Linear")

    def ours() -> Any:
        return information_processing_capacity(
            states, u, max_degree=3, max_delay=DELAYS, first_delay=1, max_factors=2, washout=DELAYS, basis="legendre"
        )

    found, they = ours(), theirs()
    targets = np.random.default_rng(1).standard_normal((CAPACITY_STEPS, found.details["targets"]))
    differences["capacity by degree"] = found.details["by_degree"]
    differences["capacity by degree, rcbench"] = {str(d): float(c) for d, c in they["capacity_by_degree"].items()}
    differences["capacity, targets"] = [found.details["targets"], len(they["all_results"])]
    contenders: Contenders = {
        "rcbench, a regression per target": theirs,
        "all targets at once": ours,
        "floor: one factorisation, one product": lambda: factorised(states).projected(targets),
    }
    size = f"{CAPACITY_UNITS} units, {CAPACITY_STEPS} steps, {len(targets[0])} targets"
    title = f"Information processing capacity, {size}"
    return title, contenders, {"all targets at once": 1.0}, 1


def timed(section: Section, rounds: int) -> list[Row]:
    """Time the contenders of a section in turns."""
    _, contenders, targets, each = section
    return rows(in_turns(contenders, each * rounds, nothing), torch.get_num_threads(), targets)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Reservoirs and their measures beside other libraries.")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    differences: dict[str, Any] = {}
    made: list[Callable[[], Section]] = [
        *(lambda n=n, times=times: many_series(n, times, differences) for n, times in BATCHED.items()),
        *(lambda n=n: long_series(n, differences) for n in SINGLE),
        lambda: all_pairs(differences),
    ]
    made += [lambda: neighbours(differences)] if peer("ennemi") else []
    made += [lambda: capacities(differences)] if peer("rcbench") else []
    sections = {}
    for make in made:
        section = make()
        sections[section[0]] = timed(section, options.rounds)
        print(table(section[0], sections[section[0]]), flush=True)
    print(differences)
    if options.out is not None:
        names = ("reservoirpy", "scipy", "ennemi", "rcbench")
        peers = {name: metadata.version(name) for name in names if find_spec(name) is not None}
        content = {
            "facts": facts() | {"peers": peers},
            "differences": differences,
            "sections": {title: [asdict(line) for line in lines] for title, lines in sections.items()},
        }
        options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
