"""What a step of ST-RSBP costs beside backpropagation through time: every net side by side, in turns, in one run.

An optimisation step is forward, backward and a step of Adam; all nets fire at the same rate. Libraries that are not
installed are named and left out. Prints markdown tables; `--out file.json` writes them with what one needs to know to
run it again. From the top of the checkout, with spikingjelly and norse if they are wanted:

    python benchmarks/st_rsbp.py
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import torch
from facts import facts
from side_by_side import Row, cuda_clock, in_turns, rows, table
from st_rsbp_floors import additions, products, rows_added
from st_rsbp_memory import peak
from st_rsbp_nets import ADJOINT, CONTENDERS, PUBLISHED, Contender, Size, active, contender, missing

SIZES = Size(32, 100, 78, 100, 10), Size(16, 300, 78, 400, 10), Size(64, 100, 784, 400, 10)
TARGETS = {ADJOINT: 0.25, PUBLISHED: 0.143}  # 4 and 7 times as fast
MEMORY_SIZE = Size(16, 300, 78, 400, 10)
MEMORY_TARGET, GROWTH_TARGET = 0.6, 0.5


@dataclass(frozen=True)
class Floor:
    """A step beside what its matrix products alone take.

    Args:
        name: the contender.
        threads: torch's threads.
        step_ms: median over the rounds.
        products_ms: of its products as dense ones, and of its linear systems, measured in turns with it.
        times_products: step against products.
        additions_ms: for loops over spikes, their additions at the rate of a product with a vector, and the systems.
        times_additions: step against additions.
        hidden_rate: spikes per neuron and step of the hidden layer.
        output_rate: the same of the output.
    """

    name: str
    threads: int
    step_ms: float
    products_ms: float
    times_products: float
    additions_ms: float | None
    times_additions: float | None
    hidden_rate: float
    output_rate: float


@dataclass(frozen=True)
class Memory:
    """Memory of two steps above what libraries take.

    Args:
        name: the contender.
        steps: T.
        bytes: the peak.
        ratio: against the first contender's at this T.
        growth: bytes more than at half of T, against the first contender's.
    """

    name: str
    steps: int
    bytes: int
    ratio: float
    growth: float | None = None


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of packages that are installed."""
    return {name: metadata.version(name) for name in packages if find_spec(name) is not None}


def nothing() -> None:
    """Bring nothing back between rounds: weights hardly move at the learning rate of the nets."""


def timed(made: dict[str, Contender], size: Size, rounds: int, threads: int) -> tuple[list[Row], list[Floor]]:
    """Time steps on the CPU, with products of the same sizes in the same turns."""
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    floors = products(size, active(made[ADJOINT]))
    work: dict[str, Callable[[], object]] = {name: one.step for name, one in made.items()}
    times = in_turns(work | floors | {"rows": rows_added(size)}, rounds, nothing)
    lines = rows({name: times[name] for name in made}, threads, TARGETS)
    medians = {name: median(of) for name, of in times.items()}
    return lines, [floor(one, name, size, threads, medians) for name, one in made.items()]


def floor(one: Contender, name: str, size: Size, threads: int, medians: dict[str, float]) -> Floor:
    """Return a contender's step beside its floors."""
    rates, step = one.rates(one.inputs), medians[name]
    dense = medians[f"products {name}"] if name in TARGETS else medians["products through time"]
    systems = medians["systems"] if name == ADJOINT else 0.0
    sparse = None
    if name in TARGETS:
        sparse = (
            additions(size, *rates, solved=active(one) if name == ADJOINT else 0) * medians["rows"] / threads + systems
        )
    return Floor(
        name,
        threads,
        round(step, 3),
        round(dense, 3),
        round(step / dense, 2),
        None if sparse is None else round(sparse, 3),
        None if sparse is None else round(step / sparse, 2),
        *(round(rate, 4) for rate in rates),
    )


def timed_on_gpu(size: Size, names: Sequence[str], rounds: int) -> list[Row]:
    """Time steps on the GPU."""
    work = {name: contender(name, size, "cuda").step for name in names}
    return rows(in_turns(work, rounds, nothing, cuda_clock), 0, dict.fromkeys(TARGETS, 1.0))


def memory(names: Sequence[str], threads: int, size: Size = MEMORY_SIZE) -> list[Memory]:
    """Measure every contender at T and 2T, each in a process of its own."""
    longer = replace(size, steps=2 * size.steps)
    short, long = ({name: peak(name, of, threads) for name in names} for of in (size, longer))
    first, *_ = names
    found = [Memory(name, size.steps, short[name], round(short[name] / short[first], 3)) for name in names]
    for name in names:
        growth = (long[name] - short[name]) / (long[first] - short[first])
        found.append(Memory(name, longer.steps, long[name], round(long[name] / long[first], 3), round(growth, 3)))
    return found


def floor_table(title: str, floors: Sequence[Floor]) -> str:
    """Return steps beside their floors as a markdown table."""
    text = [f"\n**{title}: floors**\n"]
    text.append(
        "| | threads | step, ms | products, ms | step / products | additions, ms | step / additions | rates, % |"
    )
    text.append("|---|---|---|---|---|---|---|---|")
    for each in floors:
        sparse = [each.additions_ms, each.times_additions]
        numbers = [each.threads, each.step_ms, each.products_ms, each.times_products, *sparse]
        rates = f"{100 * each.hidden_rate:.1f}, {100 * each.output_rate:.1f}"
        words = [each.name, *("" if number is None else f"{number:g}" for number in numbers), rates]
        text.append(f"| {' | '.join(words)} |")
    return "\n".join(text)


def memory_table(title: str, lines: Sequence[Memory]) -> str:
    """Return memory as a markdown table."""
    text = [f"\n**{title}**\n", "| | T | MB | ratio | growth, ratio | target |", "|---|---|---|---|---|---|"]
    for line in lines:
        value, target = (line.ratio, MEMORY_TARGET) if line.growth is None else (line.growth, GROWTH_TARGET)
        verdict = f"{target:g}: {'met' if value <= target else 'missed'}" if line.name in TARGETS else ""
        growth = "" if line.growth is None else f"{line.growth:g}"
        text.append(f"| {line.name} | {line.steps} | {line.bytes / 1e6:.1f} | {line.ratio:g} | {growth} | {verdict} |")
    return "\n".join(text)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Optimisation steps of ST-RSBP and of backpropagation through time.")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, torch.get_num_threads()}))
    parser.add_argument("--gpu-only", action="store_true", help="leave out times and memory on the CPU")
    options = parser.parse_args(arguments)
    reasons = missing()
    for name, reason in reasons.items():
        print(f"Left out: {name}, {reason}")
    names = [name for name in CONTENDERS if name not in reasons]
    sections: dict[str, list[Row] | list[Floor] | list[Memory]] = {}
    made = {} if options.gpu_only else {size: {name: contender(name, size) for name in names} for size in SIZES}
    # From many threads to few: with torch 2.13 on the CPU, factorisations of several matrices fail inside MKL after
    # torch.set_num_threads of more than one.
    for threads in sorted(options.threads, reverse=True):
        for size in made:
            title = f"Step at B, T, M, N, K = {size}, threads: {threads}"
            lines, floors = timed(made[size], size, options.rounds, threads)
            sections |= {title: lines, f"{title}: floors": floors}
            print(table(title, lines), floor_table(title, floors), sep="\n", flush=True)
    if sys.platform == "linux" and made:
        title = "Peak memory of two steps above the libraries'"
        sections[title] = found = memory(names, min(options.threads))
        print(memory_table(title, found), flush=True)
    if torch.cuda.is_available():
        for size in SIZES:
            title = f"Step at B, T, M, N, K = {size} on the GPU"
            sections[title] = lines = timed_on_gpu(size, names, options.rounds)
            print(table(title, lines), flush=True)
    if options.out is not None:
        content = {
            "facts": facts() | {"peers": versions("snntorch", "spikingjelly", "norse", "numba")},
            "left_out": reasons,
            "sections": {title: [asdict(line) for line in lines] for title, lines in sections.items()},
        }
        options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
