"""Does every controller reach its target? Twenty seeds of weights and inputs, from a start that nobody tuned.

The task of those that need one is to put out the input of four steps before. Exponents are measured again under inputs
that the controller has not seen. From the top of the checkout:

    OMP_NUM_THREADS=1 python benchmarks/reservoir_guided_targets.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from recorded_runs import Record, planned
from reservoirpy.nodes import Reservoir

from lightning_neuro.reservoir.guided import (
    CapacityMatch,
    EdgeOfChaos,
    HomeostaticRate,
    InformationStorageLeak,
    TransferEntropyCoupling,
)
from lightning_neuro.reservoir.measures.lyapunov import lyapunov_exponent

OUT = Path(__file__).parent / "results" / "reservoir_guided_targets.json"
CONTROLLERS: dict[str, Any] = {
    "EdgeOfChaos, -0.02": EdgeOfChaos(),
    "TransferEntropyCoupling": TransferEntropyCoupling(max_history=8, epochs=25),
    "InformationStorageLeak, 0.5 nats": InformationStorageLeak(target=0.5),
    "CapacityMatch": CapacityMatch(max_delay=10, sr=(0.3, 0.6, 0.9), lr=(0.3, 1.0), rungs=2),
    "HomeostaticRate, 0.2": HomeostaticRate(),
}


@dataclass(frozen=True)
class Plan:
    """How much; results of different plans do not mix."""

    units: int = 100
    steps: int = 1_000
    sr: float = 0.8
    input_scaling: float = 0.1


def run(plan: Plan, name: str, seed: int) -> Record:
    u, unseen = np.random.default_rng(seed).uniform(-1, 1, (2, plan.steps, 1))
    node = Reservoir(plan.units, sr=plan.sr, input_scaling=plan.input_scaling, input_connectivity=1.0, seed=seed)
    report = CONTROLLERS[name].fit(node, u, np.roll(u, 4))
    found: Record = {key: getattr(report, key) for key in ("value", "target", "error", "reached", "stopped")}
    found |= {"first": float(report.history[report.history.steered][0]), "epochs": len(report.history)}
    if "EdgeOfChaos" in name:
        found["unseen"] = float(lyapunov_exponent(report.reservoir, unseen, washout=100))
    return found


def table(runs: Sequence[Record]) -> str:
    lines = [
        "| controller | reached in | steered quantity at first | at the best epoch | epochs |",
        "|---|---|---|---|---|",
    ]
    for name in CONTROLLERS:
        known = [one for one in runs if one["controller"] == name]
        values = [one["value"] for one in known]
        cells = [name, f"{sum(one['reached'] for one in known)} of {len(known)}"]
        cells += [f"{fmean(one['first'] for one in known):.3f}", f"{min(values):.3f} to {max(values):.3f}"]
        lines.append("| " + " | ".join([*cells, f"{fmean(one['epochs'] for one in known):.0f}"]) + " |")
    unseen = [abs(one["unseen"] - one["target"]) for one in runs if "unseen" in one]
    return "\n".join([*lines, f"exponents under unseen inputs: at most {max(unseen):.4f} from the target"])


def main(arguments: Sequence[str] | None = None) -> None:
    plan, seeds, recorded = planned("Targets of controllers.", Plan, OUT, arguments, seeds=range(20))
    for name in CONTROLLERS:
        for seed in seeds:
            key = {"controller": name, "seed": seed}
            recorded.get(key, lambda name=name, seed=seed: run(plan, name, seed))
    print(table(recorded.runs))


if __name__ == "__main__":
    main()
