"""Runs of an experiment in a file that is rewritten after each, so that what is there is not repeated."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from facts import facts

Record = dict[str, Any]
Plan = TypeVar("Plan")  # a dataclass


class RecordedRuns:
    """The runs so far.

    Args:
        path: the JSON file; read if it is there.
        plan: what all runs follow; runs of different plans do not mix.

    Raises:
        ValueError: the file holds runs of another plan.
    """

    def __init__(self, path: Path, plan: Mapping[str, Any]) -> None:
        self.path, self.plan = path, dict(plan)
        self.runs: list[Record] = []
        if path.exists():
            found = json.loads(path.read_text())
            if found["plan"] != self.plan:
                raise ValueError(f"{path}: expected runs of {self.plan}, got {found['plan']}. Give another --out.")
            self.runs = found["runs"]

    def get(self, key: Record, run: Callable[[], Record]) -> Record:
        """Return the run with this key, done now if it is not there yet."""
        for known in self.runs:
            if all(known[name] == value for name, value in key.items()):
                return known
        self.runs.append(key | run())
        print(json.dumps(self.runs[-1]), flush=True)
        self.write()
        return self.runs[-1]

    def write(self) -> None:
        """Write everything, through a second file, so that an interruption leaves the old one whole."""
        content = {"facts": facts(), "plan": self.plan, "runs": self.runs}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(content, indent=1) + "\n")
        draft.replace(self.path)


def planned(
    description: str,
    plan_type: type[Plan],
    out: Path,
    arguments: Sequence[str] | None,
    seeds: Sequence[int] = (0, 1, 2),
) -> tuple[Plan, list[int], RecordedRuns]:
    """Read a plan, the seeds and where runs are kept from the command line, and open the runs.

    Args:
        description: of the script.
        plan_type: a dataclass; every field becomes an option.
        out: where runs are kept if nothing else is said.
        arguments: of the command line; None for this process's own.
        seeds: if nothing else is said.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    for name, default in asdict(plan_type()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    options = vars(parser.parse_args(arguments))
    path, wanted = options.pop("out"), options.pop("seeds")
    plan = plan_type(**options)
    return plan, wanted, RecordedRuns(path, asdict(plan))
