"""Jobs that are done side by side: what is run, how much of the job that is, and the table of what it took."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from side_by_side import Times, in_turns


@dataclass(frozen=True)
class Work:
    """One way to do a job.

    Args:
        run: does it, or a part of it.
        times: how often the part would have to be run for the whole job.
        target: how many times as fast as the first way of the table it should be.
        steps: environment steps in the whole job, where there are any.
    """

    run: Callable[[], object]
    times: float = 1.0
    target: float | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        name: what was timed.
        median_ms: processor time of the whole job, median over the rounds.
        min_ms: minimum over the rounds.
        extrapolated: by which factor from the part that was run.
        gain: how many times as fast as the first row of the table, median of the ratios within a round.
        gain_of_min: the same of the minima.
        least: the smallest ratio of all rounds.
        most: the largest.
        target: what the gain should reach, where there is a target.
        steps_per_second: of environments, by the median.
    """

    name: str
    median_ms: float
    min_ms: float
    extrapolated: float
    gain: float
    gain_of_min: float
    least: float
    most: float
    target: float | None = None
    steps_per_second: float | None = None


def processor_clock(run: Callable[[], object]) -> float:
    """Return the milliseconds of processor time that a call takes, of all threads of this process."""
    start = time.process_time()
    run()
    return 1e3 * (time.process_time() - start)


def nothing() -> None:
    """Bring nothing back between rounds."""


def timed(ways: dict[str, Work], rounds: int) -> list[Row]:
    """Time all ways in turns, in processor time, for a crowded machine makes others wait."""
    return rows(ways, in_turns({name: work.run for name, work in ways.items()}, rounds, nothing, processor_clock))


def rows(ways: dict[str, Work], times: Times) -> list[Row]:
    """Return a row per way, compared with the first."""
    whole = {name: [work.times * each for each in times[name]] for name, work in ways.items()}
    reference, *_ = whole.values()
    found = []
    for name, work in ways.items():
        gains = [a / b for a, b in zip(reference, whole[name], strict=True)]
        took, fastest = median(whole[name]), min(whole[name])
        found.append(
            Row(
                name,
                round(took, 3),
                round(fastest, 3),
                work.times,
                round(median(gains), 3),
                round(min(reference) / fastest, 3),
                round(min(gains), 3),
                round(max(gains), 3),
                work.target,
                None if work.steps is None else round(1e3 * work.steps / took),
            )
        )
    return found


def verdict(row: Row) -> str:
    """Return the target and whether it is met by both ratios, by one (a crowded machine bends either) or by none."""
    if row.target is None:
        return ""
    met = (row.gain >= row.target) + (row.gain_of_min >= row.target)
    return f"{row.target:g}: {('missed', 'unclear', 'met')[met]}"


def table(title: str, lines: Sequence[Row]) -> str:
    """Return rows as a markdown table; the gain is against its first row."""
    rates = any(line.steps_per_second is not None for line in lines)
    head = ["", "median, ms", "minimum, ms", "times as fast", "range", "of minima", "target"]
    head += ["steps per second"] * rates
    text = [f"\n**{title}**\n", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for line in lines:
        part = "" if line.extrapolated == 1 else f" (extrapolated, times {line.extrapolated:g})"
        cells = [line.name + part, f"{line.median_ms:.2f}", f"{line.min_ms:.2f}", f"{line.gain:.2f}"]
        cells += [f"{line.least:.2f} to {line.most:.2f}", f"{line.gain_of_min:.2f}", verdict(line)]
        if rates:
            cells.append("" if line.steps_per_second is None else f"{line.steps_per_second:,}")
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)
