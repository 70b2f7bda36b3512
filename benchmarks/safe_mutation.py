"""What safe mutations and populations cost: every pair side by side, in turns, in one run, in processor time.

Prints markdown tables; `--out file.json` writes them with what one needs to know to run it again. Libraries that are
not installed are named and left out. From the top of the checkout, with evotorch and gymnasium if they are wanted:

    OMP_NUM_THREADS=1 python benchmarks/safe_mutation.py
"""

import argparse
import json
import os
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import torch
from facts import facts
from safe_mutation_generations import (
    ENVIRONMENT,
    EPISODE,
    missing,
    on_environment,
    on_parity,
    operators,
    quieten_evotorch,
)
from safe_mutation_pairs import populations, sensitivities
from safe_mutation_work import Row, Work, table, timed

PEERS = ("evotorch", "gymnasium", "numba")
PARTS = ("populations", "sensitivities", "generations", "maze")
Timed = Iterator[tuple[str, list[Row]]]


def tables(jobs: dict[str, dict[str, Work]], rounds: int) -> Timed:
    """Time one table after the other."""
    for title, work in jobs.items():
        yield title, timed(work, rounds)


def generations(population: int, rounds: int, left_out: Collection[str]) -> Timed:
    """Time generations, and the operators alone."""
    works = {"Generation, MLP of 3,947 weights on 16 samples": on_parity}
    if "gymnasium" not in left_out:
        works[f"Generation, {ENVIRONMENT}, {EPISODE} steps of the environment"] = on_environment
    for title, make in works.items():
        work, runs = make(population, peers="evotorch" not in left_out)
        try:
            yield title, timed(work, rounds)
        finally:
            for run in runs:
                run.stop()
    yield "Operators alone, MLP of 3,947 weights, 16 states", timed(operators(population), rounds)


def mazes(population: int, rounds: int, left_out: Collection[str]) -> Timed:
    """Time episodes of the maze, compiled and in plain torch."""
    if "gymnasium" in left_out:
        return iter(())
    from safe_mutation_maze import mazes as ways

    return tables(ways(population, compiled="numba" not in left_out), rounds)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Populations, sensitivities and generations side by side.")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--population", type=int, default=250)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    left_out = missing(PEERS)
    for name, reason in left_out.items():
        print(f"Left out: {name}, {reason}")
    if "evotorch" not in left_out:
        quieten_evotorch()
    population, rounds = options.population, options.rounds
    parts: dict[str, Callable[[], Timed]] = {
        "populations": lambda: tables(populations(population), rounds),
        "sensitivities": lambda: tables(sensitivities(population), rounds),
        "generations": lambda: generations(population, rounds, left_out),
        "maze": lambda: mazes(population, rounds, left_out),
    }
    measured: dict[str, list[Row]] = {}
    for part in options.parts:
        for title, lines in parts[part]():
            measured[title] = lines
            print(table(title, lines), flush=True)
    if options.out is not None:
        content = {
            "facts": facts() | {"peers": {name: metadata.version(name) for name in PEERS if name not in left_out}},
            "clock": "processor time of one process",
            "load": round(os.getloadavg()[0], 1),
            "population": population,
            "left_out": left_out,
            "sections": {title: [asdict(line) for line in lines] for title, lines in measured.items()},
        }
        options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
