"""What is counted, logged and shown of weights and their connections."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from lightning_neuro.gradient_rewiring import statistics
from lightning_neuro.gradient_rewiring.managed import Candidate
from lightning_neuro.gradient_rewiring.projection import Projection
from lightning_neuro.gradient_rewiring.statistics import Turnover, dead_units, dormant_quantiles

Table: TypeAlias = tuple[str, list[str], list[list[str]]]
TURNOVER = ("pruned", "regrown")
DEAD = ("empty_rows", "empty_columns")
SHOWN_THETA = 1 << 16


def counted(weights: Mapping[str, Tensor], turnover: Turnover) -> dict[str, float]:
    """Return connectivity, connections pruned and regrown since the last look, and empty rows and columns.

    >>> import torch
    >>> counted({"w": torch.tensor([[0.0, 1.0]])}, Turnover())["connectivity/w"]
    0.5
    """
    changed = turnover.look(weights)
    dead = {name: dead_units(weight) for name, weight in weights.items()}
    values: dict[str, float] = {f"connectivity/{name}": v for name, v in statistics.connectivity(weights).items()}
    values |= {f"{what}/total": sum(pair[i] for pair in changed.values()) for i, what in enumerate(TURNOVER)}
    values |= {f"{what}/{name}": pair[i] for name, pair in changed.items() for i, what in enumerate(TURNOVER)}
    return values | {f"{what}/{name}": pair[i] for name, pair in dead.items() for i, what in enumerate(DEAD)}


def show_histograms(loggers: Sequence[Any], prefix: str, thetas: Mapping[str, Tensor], step: int) -> None:
    """Give theta to those loggers that draw histograms, as TensorBoard's does; at most 65,536 values of each."""
    for logger in loggers:
        add = getattr(logger.experiment, "add_histogram", None)
        if callable(add):
            for name, theta in thetas.items():
                stride = -(-theta.numel() // SHOWN_THETA)
                add(f"{prefix}/theta/{name}", theta.detach().flatten()[::stride].cpu(), step)


def start_table(owner: str, candidates: Sequence[Candidate]) -> Table:
    """Return a table of all parameters, and why some are left alone."""
    rows = [[c.name, "x".join(map(str, c.parameter.shape)), c.reason or "rewired"] for c in candidates]
    return f"{owner}: what is rewired", ["parameter", "shape", ""], rows


def summary(owner: str, projections: Sequence[Projection]) -> Table:
    """Return a table of connections, dead units and dormant theta per weight."""
    header = ["weight", "shape", "connected", "connectivity", "empty rows", "empty columns", "dormant median"]
    rows, sizes = [], 0
    for projection in projections:
        for name, weight in projection.weights.items():
            median = dormant_quantiles(projection.theta[name]).get(0.5)
            shape, count = "x".join(map(str, weight.shape)), int(weight.count_nonzero())
            depth = "" if median is None else f"{median:.3g}"
            rows.append([name, shape, str(count), _share(count, weight.numel()), *map(str, dead_units(weight)), depth])
            sizes += weight.numel()
    if rows:
        count = sum(int(row[2]) for row in rows)
        rows.append(["total", "", str(count), _share(count, sizes), "", "", ""])
    return f"{owner}: connections", header, rows


def _share(count: int, size: int) -> str:
    return f"{100 * count / size:.2f} %"
