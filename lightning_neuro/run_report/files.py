"""What lies in the folder of a run: metrics, settings and checkpoints. Nothing that is read is executed."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_neuro.common.checkpoint_file import CheckpointError, read_checkpoint

METRICS, SETTINGS = "metrics.csv", ("config.yaml", "hparams.yaml")
Points = list[tuple[float, float]]  # step, value


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint: where, how large, from when, whose states, and how many weights; or why it cannot be read."""

    name: str
    size: int
    epoch: int | None = None
    step: int | None = None
    callbacks: Sequence[str] = ()
    weights: int = 0
    damage: str = ""


@dataclass(frozen=True)
class Run:
    """One run: its name, metrics over steps, the text of its settings, and its checkpoints."""

    name: str
    metrics: Mapping[str, Points] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    checkpoints: Sequence[Checkpoint] = ()


def find_runs(folder: Path) -> list[Run]:
    """Return the runs in a folder: itself, or the folders below that hold metrics or checkpoints.

    Args:
        folder: a logger's folder such as `lightning_logs/version_0`, or one above several of them.

    Raises:
        FileNotFoundError: no such folder, or nothing of a run in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"report: there is no folder {str(folder)!r}. Correct the path.")
    files = [path for pattern in (METRICS, "*.ckpt") for path in folder.rglob(pattern)]
    homes = sorted({_home(path) for path in files}, key=_natural)
    if not homes:
        raise FileNotFoundError(
            f"report: {str(folder)!r} must hold {METRICS} or checkpoints, got neither. Train with "
            "logger=CSVLogger(...), which writes the former, and give its folder."
        )
    return [_read(home, home.relative_to(folder).as_posix()) for home in homes]


def read_metrics(path: Path) -> dict[str, Points]:
    """Return every metric of a `metrics.csv` of Lightning's CSVLogger, with the steps at which it has a value.

    A last line that is cut short counts for what is whole in it; what is no number is left out.

    Raises:
        ValueError: the file has no column `step`.
    """
    found: dict[str, Points] = {}
    with path.open(newline="", encoding="utf-8", errors="replace") as lines:
        reader = csv.DictReader(lines)
        if "step" not in (reader.fieldnames or ()):
            raise ValueError(
                f"report: {str(path)!r} must have a column 'step', as Lightning's CSVLogger writes it, got "
                f"{list(reader.fieldnames or ())!r}. Give the folder of a CSVLogger."
            )
        for row in reader:
            step = _number(row.get("step"))
            for name, text in row.items():
                value = _number(text) if name not in ("step", "epoch", None) else None
                if step is not None and value is not None:
                    found.setdefault(name, []).append((step, value))
    return found


def look_at(path: Path) -> Checkpoint:
    """Return what a checkpoint holds, or what is wrong with it."""
    size = path.stat().st_size
    try:
        content = read_checkpoint("report", path)
    except CheckpointError as error:
        return Checkpoint(path.name, size, damage=str(error))
    weights = sum(getattr(value, "numel", int)() for value in content["state_dict"].values())
    callbacks = [str(key).partition("{")[0].partition("[")[0] for key in content.get("callbacks", {})]
    return Checkpoint(
        path.name, size, _whole(content.get("epoch")), _whole(content.get("global_step")), callbacks, weights
    )


def _read(home: Path, name: str) -> Run:
    metrics = read_metrics(home / METRICS) if (home / METRICS).is_file() else {}
    settings = {file: (home / file).read_text("utf-8", "replace") for file in SETTINGS if (home / file).is_file()}
    checkpoints = sorted({*home.glob("*.ckpt"), *home.glob("checkpoints/*.ckpt")}, key=_natural)
    return Run("this run" if name == "." else name, metrics, settings, [look_at(path) for path in checkpoints])


def _home(path: Path) -> Path:
    return path.parent.parent if path.parent.name == "checkpoints" else path.parent


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort version_10 after version_9."""
    digits = "".join(letter if letter.isdigit() else f" {letter} " for letter in str(path)).split()
    return [(int(word), "") if word.isdigit() else (-1, word) for word in digits]


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None
