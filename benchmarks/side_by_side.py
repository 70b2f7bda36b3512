"""Times contenders side by side, in turns, so that whatever slows the machine slows all of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch

WARM_UP = 3
Clock = Callable[[Callable[[], object]], float]
Times = dict[str, list[float]]


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        name: what was timed.
        threads: torch's threads; 0 on a GPU.
        median_ms: median over the rounds.
        min_ms: minimum over the rounds.
        ratio: median over the rounds of the time against the first row's in the same round.
        ratio_of_min: the same of the minima.
        target: largest acceptable ratio, where there is one.
    """

    name: str
    threads: int
    median_ms: float
    min_ms: float
    ratio: float
    ratio_of_min: float
    target: float | None = None


def wall_clock(run: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def cuda_clock(run: Callable[[], object]) -> float:
    """Return the milliseconds that the current CUDA device works on what a call gives it."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


def in_turns(
    contenders: dict[str, Callable[[], object]], rounds: int, refresh: Callable[[], None], clock: Clock = wall_clock
) -> Times:
    """Time every contender once per round, after an untimed refresh; who begins changes from round to round."""
    names = list(contenders)
    times: Times = {name: [] for name in names}
    for turn in range(WARM_UP + rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            refresh()
            took = clock(contenders[name])
            if turn >= WARM_UP:
                times[name].append(took)
    return times


def rows(times: Times, threads: int, targets: dict[str, float] | None = None) -> list[Row]:
    """Return a row per contender, compared with the first."""
    reference, *_ = times.values()
    return [
        Row(
            name,
            threads,
            round(median(of), 4),
            round(min(of), 4),
            round(median(a / b for a, b in zip(of, reference, strict=True)), 4),
            round(min(of) / min(reference), 4),
            (targets or {}).get(name),
        )
        for name, of in times.items()
    ]


def verdict(row: Row) -> str:
    """Return the target and whether it is met by both ratios, by one (a crowded machine bends either) or by none."""
    if row.target is None:
        return ""
    met = (row.ratio <= row.target) + (row.ratio_of_min <= row.target)
    return f"{row.target:g}: {('missed', 'unclear', 'met')[met]}"


def table(title: str, lines: Sequence[Row]) -> str:
    """Return rows as a markdown table; ratios are against its first row."""
    text = [f"\n**{title}**\n", "| | threads | median, ms | minimum, ms | ratio | ratio of minima | target |"]
    text.append("|---|---|---|---|---|---|---|")
    for row in lines:
        numbers = f"{row.median_ms:.3f} | {row.min_ms:.3f} | {row.ratio:.3f} | {row.ratio_of_min:.3f}"
        text.append(f"| {row.name} | {row.threads or 'GPU'} | {numbers} | {verdict(row)} |")
    return "\n".join(text)
