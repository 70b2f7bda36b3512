"""What the moment passes of spectral learning cost: time against plain matrix products, memory over n, tensorly.

Prints markdown tables; `--out file.json` writes them with what one needs to know to run it again. Times are processor
times, contenders in turns; memory is that of processes of their own (Linux only). From the top of the checkout:

    OMP_NUM_THREADS=1 python benchmarks/spectral_rnn.py
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from facts import facts
from gradient_rewiring import peak_growth
from side_by_side import Row, in_turns, rows, table
from spectral_rnn_errors import SIZES, drawn

from lightning_neuro.spectral_rnn.alarms import SpectralWarning
from lightning_neuro.spectral_rnn.learning import learn
from lightning_neuro.spectral_rnn.moment_kinds import MixedContraction, SecondMoment
from lightning_neuro.spectral_rnn.options import Options
from lightning_neuro.spectral_rnn.passes import SerialPasses
from lightning_neuro.spectral_rnn.prepared import prepare
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.series import Series

SIZE = "20,5,6"
CHUNK = 50_000
TIME_TARGET = 1.5
LESS_MEMORY, LESS_TIME = 20, 3
FLAT = (100_000, 1_000_000, 4_000_000)
TENSORLY_MOST = 4e9
"""Bytes that tensorly may use: what fits a small computer."""


@dataclass(frozen=True)
class Stream:
    """Series of `CHUNK` steps, n steps in all, made anew whenever they are read: the data take no memory."""

    n: int
    net_seed: int = 0

    def __iter__(self) -> Iterator[Series]:
        net = drawn(SIZE, self.net_seed)
        for number in range(-(-self.n // CHUNK)):
            rng = np.random.default_rng([self.net_seed, number])
            x = rng.standard_normal((min(CHUNK, self.n - number * CHUNK), net.input_weights.shape[1]))
            # Without recurrence no state explodes; the moments cost the same.
            y = (x @ net.input_weights.T) ** 2 @ net.output_weights
            yield Series(x, y + 0.5 * rng.standard_normal(y.shape))


@dataclass(frozen=True)
class Peak:
    """Memory of one child process.

    Args:
        name: what ran.
        n: steps.
        bytes: by how much resident memory rose at most.
        seconds: processor time.
    """

    name: str
    n: int
    bytes: int
    seconds: float


def moment_passes(source: Sequence[Series] | Stream, score: str = "iid") -> None:
    """Make the three passes: score, second moment, mixed contraction."""
    net = drawn(SIZE, 0)
    data = prepare(SerialPasses(source), Options(5, score=score), interior=False)
    data.means({"second": SecondMoment()})
    duals = np.linalg.pinv(net.input_weights)
    data.means({"mixed": MixedContraction(np.linalg.pinv(net.output_weights.T), duals, duals)})


def whole(source: Sequence[Series] | Stream, score: str | ScoreModel = "iid", refine: int = 0) -> None:
    """Learn: moments, decomposition and a prediction of everything for the offset."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpectralWarning)
        learn(SerialPasses(source), Options(5, score=score, refine=refine, seed=0))


def products(source: Sequence[Series], *, weighted: bool, block: int = 1024) -> None:
    """Do the bare matrix products of the three passes in one, block by block, and nothing else.

    Args:
        source: the data.
        weighted: multiply the score by each output first, as the second moment demands.
        block: steps at a time, so that operands stay in a cache.
    """
    rng = np.random.default_rng(0)
    whiten, duals, apart = rng.standard_normal((20, 20)), rng.standard_normal((20, 5)), rng.standard_normal((6, 5))
    for series in source:
        for start in range(0, len(series), block):
            x, y = series.x[start : start + block], series.y[start : start + block]
            _ = x.T @ x, x[1:].T @ x[:-1], y.T @ y
            s = x @ whiten
            for column in y.T:
                _ = (s * column[:, None] if weighted else s).T @ s
            alpha, beta, seen = s @ duals, s @ duals, y @ apart
            _ = alpha.T @ beta, seen.T @ beta


def processor_time(run: Callable[[], object]) -> float:
    """Return the milliseconds of processor time that a call takes."""
    start = time.process_time()
    run()
    return 1e3 * (time.process_time() - start)


def timed(n: int, rounds: int) -> list[Row]:
    """Time the passes beside the products, over data in memory."""
    source = list(Stream(n))
    contenders: dict[str, Callable[[], object]] = {
        "plain products": lambda: products(source, weighted=False),
        "products and weights by outputs": lambda: products(source, weighted=True),
        "moment passes, iid score": lambda: moment_passes(source, "iid"),
        "moment passes, AR(1) score": lambda: moment_passes(source, "ar1"),
        "all of learning, refine=0": lambda: whole(source),
    }
    targets = {"moment passes, iid score": TIME_TARGET}
    return rows(in_turns(contenders, rounds, lambda: None, processor_time), 1, targets)


def dense(source: Stream) -> None:
    """Take the same second moment as tensorly takes moments, the mean of outer products of all steps, then `parafac`.

    `higher_order_moment` itself raises a TypeError in tensorly 0.10.0: it gives two arguments to `batched_outer`, which
    takes a list. Its lines are repeated here with that mended, for y, x and x, which is also less than for one matrix.
    """
    import tensorly
    from tensorly.decomposition import parafac
    from tensorly.tenalg.core_tenalg import batched_outer

    parts = list(source)
    x, y = (np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y"))
    moment = tensorly.mean(batched_outer([y - y.mean(axis=0), x, x]), axis=0)
    parafac(moment, rank=5, random_state=0)


def ours(source: Stream) -> None:
    """Take the second moment and decompose it, U left out, as tensorly's route does."""
    from lightning_neuro.spectral_rnn.recovery import recover_input_weights

    data = prepare(SerialPasses(source), Options(5, score="iid"), interior=False)
    moment = data.means({"second": SecondMoment()})["second"]
    recover_input_weights(moment, 5, (0.0, 0.0, 1.0), seed=0)


JOBS: dict[str, Callable[[Stream], None]] = {"moment passes": moment_passes, "tensorly": dense, "ours": ours}


def peak(name: str, n: int) -> Peak:
    """Measure a job in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--job", name, "--n", str(n)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Peak(**json.loads(done.stdout.splitlines()[-1]))


def measured(name: str, n: int) -> Peak:
    """Measure a job in this process, after a small one: libraries load what they need."""
    JOBS[name](Stream(2_000))
    seconds = 0.0

    def run() -> None:
        nonlocal seconds
        seconds = processor_time(lambda: JOBS[name](Stream(n))) / 1e3

    growth = peak_growth(run)
    return Peak(name, n, growth, round(seconds, 3))


def largest_dense() -> int:
    """Return the largest n for which tensorly's array of n x Dy x Dx^2 stays below the limit."""
    inputs, _, outputs = SIZES[SIZE]
    return int(TENSORLY_MOST / (8 * outputs * inputs**2)) // 10_000 * 10_000


def memory_table(title: str, peaks: Sequence[Peak]) -> str:
    """Return peaks as a markdown table."""
    text = [f"\n**{title}**\n", "| | n | peak, MB | CPU s |", "|---|---|---|---|"]
    text += [f"| {p.name} | {p.n:,} | {p.bytes / 1e6:.1f} | {p.seconds:.3f} |" for p in peaks]
    return "\n".join(text)


def against(other: Peak, own: Peak) -> str:
    """Return by how much ours is smaller and faster, and whether that is enough."""
    memory, seconds = other.bytes / own.bytes, other.seconds / own.seconds
    words = [
        f"{value:.0f} times less {what} (wanted {wanted}: {'met' if value >= wanted else 'missed'})"
        for value, what, wanted in ((memory, "memory", LESS_MEMORY), (seconds, "time", LESS_TIME))
    ]
    return ", ".join(words)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What the moment passes of spectral learning cost.")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--job", choices=list(JOBS), help="measure one job here and print its peak")
    options = parser.parse_args(arguments)
    if options.job is not None:
        print(json.dumps(asdict(measured(options.job, options.n))))
        return
    title = f"Moment passes over {options.n:,} steps, Dx, H, Dy = {SIZE}, processor time"
    sections: dict[str, list[Row] | list[Peak]] = {title: (lines := timed(options.n, options.rounds))}
    print(table(title, lines), flush=True)
    if sys.platform == "linux":
        title = "Peak memory over n, data made while they are read"
        sections[title] = flat = [peak("moment passes", n) for n in FLAT]
        print(memory_table(title, flat), flush=True)
        title = "Against tensorly's higher_order_moment and parafac"
        sections[title] = pair = [peak(name, largest_dense()) for name in ("tensorly", "ours")]
        print(memory_table(title, pair), against(*pair), sep="\n", flush=True)
    if options.out is not None:
        content = {
            "facts": facts() | {"peers": {"tensorly": version("tensorly")}},
            "sections": {title: [asdict(line) for line in found] for title, found in sections.items()},
        }
        options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
