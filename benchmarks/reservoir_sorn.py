"""Does self-organisation help a net of binary units to count? SORN against nets that lack a part of it.

The task: words "a b...b c" and "d e...e f" of n letters b or e, in random order; a logistic regression predicts the
next letter from the state. Only who has counted knows a word's last letter. All arms of a seed start from the same net:

- "SORN": thresholds, STDP and normalisation;
- "no STDP": thresholds alone, for as many steps;
- "shuffled": SORN's weights, dealt out among new partners, then thresholds alone for as many steps;
- "as drawn": nothing adapts.

Nothing changes while the readout is trained and tested. Every finished run is written to `--out` at once, and runs
found there are not repeated. From the top of the checkout:

    OMP_NUM_THREADS=1 python benchmarks/reservoir_sorn.py --seeds 0 1 2 3 4
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from recorded_runs import Record, planned
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from lightning_neuro.reservoir.sorn import SORN
from lightning_neuro.reservoir.tasks import CountingTask, counting_task

OUT = Path(__file__).parent / "results" / "reservoir_sorn.json"
REPEATS = (4, 8, 12)
WASHOUT = 100


@dataclass(frozen=True)
class Plan:
    """How much; results of different plans do not mix."""

    units: int = 200
    adapting_steps: int = 50_000
    training_steps: int = 5_000
    test_steps: int = 5_000
    max_iterations: int = 3_000


def whole(inputs: np.ndarray, units: int, seed: int) -> SORN:
    """SORN, all rules."""
    node = SORN(units, seed=seed)
    node.adapt(inputs)
    return node


def without_stdp(inputs: np.ndarray, units: int, seed: int) -> SORN:
    """The same net; only thresholds adapt."""
    node = SORN(units, learning_rate=0.0, seed=seed)
    node.adapt(inputs)
    return node


def shuffled(inputs: np.ndarray, units: int, seed: int) -> SORN:
    """SORN's weights among new partners, thresholds adapted to them."""
    organised = whole(inputs, units, seed)
    node = SORN(units, learning_rate=0.0, seed=seed)
    node.initialize(inputs[0])
    node.W = with_new_partners(organised.W, np.random.default_rng(seed + 1000))
    node.adapt(inputs)
    return node


def as_drawn(inputs: np.ndarray, units: int, seed: int) -> SORN:
    """Nothing adapts."""
    node = SORN(units, seed=seed)
    node.initialize(inputs[0])
    return node


ARMS: dict[str, Callable[[np.ndarray, int, int], SORN]] = {
    "SORN": whole,
    "no STDP": without_stdp,
    "shuffled": shuffled,
    "as drawn": as_drawn,
}


def with_new_partners(weights: csr_array, rng: np.random.Generator) -> csr_array:
    """Return the matrix with each row's weights at new, different columns off the diagonal."""
    units = weights.shape[0]
    rows, columns = [], []
    for row, count in enumerate(np.diff(weights.indptr)):
        others = np.delete(np.arange(units), row)
        columns.append(rng.choice(others, count, replace=False))
        rows.append(np.full(count, row))
    return csr_array((weights.data, (np.concatenate(rows), np.concatenate(columns))), shape=weights.shape)


def states_of(node: SORN, task: CountingTask) -> np.ndarray:
    node.reset()
    return node.run(task.inputs)[WASHOUT:]


def run(plan: Plan, repeats: int, arm: str, seed: int) -> Record:
    """Adapt, train the readout, test it on new words."""
    start = time.perf_counter()
    node = ARMS[arm](counting_task(plan.adapting_steps, repeats, seed=seed).inputs, plan.units, seed)
    seconds = time.perf_counter() - start
    train = counting_task(plan.training_steps + WASHOUT, repeats, seed=seed + 100)
    test = counting_task(plan.test_steps + WASHOUT, repeats, seed=seed + 200)
    readout = LogisticRegression(max_iter=plan.max_iterations)
    states = states_of(node, train)
    readout.fit(states, train.targets[WASHOUT:])
    right = readout.predict(states_of(node, test)) == test.targets[WASHOUT:]
    return {
        "last_letter": float(right[test.is_last[WASHOUT:]].mean()),
        "known_letters": float(right[test.is_known[WASHOUT:]].mean()),
        "rate": float(states.mean()),
        "readout_converged": bool(readout.n_iter_.max() < plan.max_iterations),
        "adapting_seconds": seconds,
    }


def table(runs: Sequence[Record]) -> str:
    """Return mean and standard deviation over seeds, a line for each arm and n."""
    lines = ["  n  arm        last letter      known letters    rate   seeds"]
    for repeats in REPEATS:
        for arm in ARMS:
            found = [one for one in runs if (one["repeats"], one["arm"]) == (repeats, arm)]
            if found:
                last, known = ([one[name] for one in found] for name in ("last_letter", "known_letters"))
                rate = fmean(one["rate"] for one in found)
                lines.append(f"{repeats:3}  {arm:9}  {spread(last)}    {spread(known)}    {rate:.3f}  {len(found)}")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    return f"{fmean(values):.3f} +- {stdev(values) if len(values) > 1 else 0.0:.3f}"


def main(arguments: Sequence[str] | None = None) -> None:
    plan, seeds, recorded = planned("Counting with SORN.", Plan, OUT, arguments)
    keys: list[dict[str, Any]] = [
        {"seed": seed, "repeats": repeats, "arm": arm} for seed in seeds for repeats in REPEATS for arm in ARMS
    ]
    for key in keys:
        recorded.get(key, lambda key=key: run(plan, key["repeats"], key["arm"], key["seed"]))
    print(table(recorded.runs))


if __name__ == "__main__":
    main()
