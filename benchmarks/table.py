"""Write docs/benchmarks.md from what the benchmarks recorded: every row beside each peer and beside the floor.

`python benchmarks/table.py` writes the page, and the table of docs/scale.md; `--check` only tells whether
both are up to date (exit status 1 if not).
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "benchmarks.md"
SCALE, BEGIN, END = ROOT / "docs" / "scale.md", "<!-- measured: benchmarks/table.py -->\n", "<!-- end of it -->\n"
Row = Mapping[str, Any]

TITLES = {
    "gradient_activation": "GAF",
    "gradient_rewiring": "Grad R",
    "st_rsbp": "ST-RSBP",
    "st_rsbp_gpu": "ST-RSBP on a GPU",
    "safe_mutation": "SM-G",
    "spectral_rnn": "Spectral learning",
    "reservoir": "Reservoirs and their measures",
}
# What is not ours, by how its name begins. "BatchedPolicy" and the like are ours.
PEERS = (
    "bare torch", "mul_, atan_", "step without", "SGD", "snnTorch", "spikingjelly", "norse", "evotorch", "gymnasium",
    "ennemi", "rcbench", "tensorly", "loop over", "reservoirpy", "one process",
)  # fmt: skip
FLOORS = ("floor", "plain products", "its matrix products", "matrix products of")
MEASURES = {"median_ms": "median, ms", "step_ms": "step, ms", "value": "", "bytes": "bytes", "seconds": "seconds"}
HEAD = """# Benchmarks

What `make bench` recorded last, written by `benchmarks/table.py` from `benchmarks/results/`. A ratio is the
time (or the memory) of a row over that of the column: below 1 is better than it. "first" is the first row of the table,
or of its part, by medians within rounds where a benchmark ran in rounds; floors are work that no program for the task
can avoid. What the figures mean, and the comparisons of accuracy, stand in [verification](verification.md).
"""


def measure(row: Row) -> str:
    """Return the name of the first of the known measures that a row has."""
    return next((name for name in MEASURES if row.get(name) is not None), "")


def number(value: float | None) -> str:
    """Return a number in three digits.

    >>> number(1234.5), number(0.12345), number(None)
    ('1,234', '0.123', '')
    """
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Take rows apart where what they can be compared with begins anew: other threads, steps or recorded reference."""
    part: list[Row] = []
    for row in rows:
        if part and any(row.get(key) != part[-1].get(key) for key in ("threads", "steps")):
            yield part
            part = []
        part.append(row)
    yield part


def columns(part: Sequence[Row]) -> list[Row]:
    """Return the rows that the others are compared with: each peer, and the floors."""
    return [row for row in part if row["name"].startswith((*PEERS, *FLOORS))]


def recorded_ratio(row: Row) -> float | None:
    """Return time over the first row's, as recorded: medians within rounds where there were rounds."""
    if row.get("gain"):
        return 1 / row["gain"]
    return row.get("ratio", row.get("times_products"))


def section(rows: Sequence[Row]) -> list[str]:
    """Return the lines of one section's tables."""
    name = measure(rows[0])
    if not name:
        return []
    if "times_products" in rows[0]:
        return _floors(rows)
    lines: list[str] = []
    # Recorded as times as fast or as small, which its targets tell.
    gains = any(str(row.get("target", "")).startswith(">=") for row in rows)
    for part in parts(rows):
        compared = columns(part)[1:] if columns(part) and columns(part)[0] is part[0] else columns(part)
        heads = [
            "",
            *_conditions(part[0]),
            MEASURES[name] or part[0]["unit"],
            "first",
            *(row["name"] for row in compared),
        ]
        lines += [f"| {' | '.join(heads)} | wanted |", "|---" * (len(heads) + 1) + "|"]
        for row in part:
            first = recorded_ratio(row) if recorded_ratio(row) is not None else row[name] / part[0][name]
            first = 1 / first if gains else first
            others = [row[name] / other[name] for other in compared]
            cells = [row["name"], *_conditions(row).values(), number(row[name]), *map(number, [first, *others])]
            lines.append(f"| {' | '.join(map(str, cells))} | {_wanted(row)} |")
        lines.append("")
    return lines


def _conditions(row: Row) -> dict[str, Any]:
    found = {key: row[key] for key in ("threads", "steps", "n") if key in row}
    return found | ({"threads": "GPU"} if row.get("threads") == 0 else {})


def _floors(rows: Sequence[Row]) -> list[str]:
    lines = ["| | step, ms | times its matrix products | times its additions |", "|---|---|---|---|"]
    for row in rows:
        times = [number(row[key]) for key in ("step_ms", "times_products", "times_additions")]
        lines.append(f"| {row['name']} | {' | '.join(times)} |")
    return [*lines, ""]


def _wanted(row: Row) -> str:
    target = row.get("target")
    if target in (None, ""):
        return ""
    if "gain" in row:
        return f"{target:g} times faster: {'met' if row['gain'] >= target else 'missed'}"
    if isinstance(target, str):
        sign, _, bound = target.partition(" ")
        met = {"<=": row["ratio"] <= float(bound), ">=": row["ratio"] >= float(bound)}[sign]
        words = f"{bound} times less" if sign == ">=" else f"at most {bound} times"
        return f"{words}: {'met' if met else 'missed'}"
    met = (row["ratio"] <= target) + (row.get("ratio_of_min", row["ratio"]) <= target)
    return f"{target:g}: {('missed', 'unclear', 'met')[met]}"


def page(results: Path) -> str:
    """Return the page of all recorded benchmarks that have sections."""
    lines = [HEAD]
    for stem, title in TITLES.items():
        path = results / f"{stem}.json"
        if not path.exists():
            continue
        content = json.loads(path.read_text(encoding="utf-8"))
        facts = content["facts"]
        versions = facts["versions"] | facts.get("peers", {})
        lines += [
            f"## {title}\n",
            _circumstances(facts, versions),
        ]
        for heading, rows in content["sections"].items():
            tables = section(rows)
            lines += [f"### {heading}\n", *tables] if tables else []
    return "\n".join(lines).rstrip() + "\n"


def _circumstances(facts: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    return (
        f"`{facts['command'].partition(' --out')[0]}`, {facts['date']}; {facts.get('gpu') or facts['processor']}, "
        f"{facts['cores']} cores; Python {facts['python']}, "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ".\n"
    )


def scale(results: Path) -> str:
    """Return the page on scale with the recorded table in its place."""
    content = json.loads((results / "scaling.json").read_text(encoding="utf-8"))
    lines = [_circumstances(content["facts"], content["facts"]["versions"])]
    lines += ["| two processes over one | processor time of the busier one | clock |", "|---|---|---|"]
    for name, found in content["methods"].items():
        lines.append(f"| {name} | {number(found['processor']['ratio'])} | {number(found['clock']['ratio'])} |")
    lines += ["", f"The machine had {content['facts']['load']:g} processes waiting for its cores when this ended."]
    before, _, rest = SCALE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + "\n".join([*lines, ""]) + END + rest.partition(END)[2]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    written = {PAGE: page(RESULTS), SCALE: scale(RESULTS)}
    if not parser.parse_args(arguments).check:
        for path, text in written.items():
            path.write_text(text, encoding="utf-8")
        return 0
    old = [path.name for path, text in written.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if old:
        print(f"{', '.join(old)}: older than the recorded results. Run python benchmarks/table.py.")
    return bool(old)


if __name__ == "__main__":
    sys.exit(main())
