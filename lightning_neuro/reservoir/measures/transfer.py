"""Transfer entropy: what a source's past tells about a target's next state beyond the target's own past."""

from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.information.choose import Estimate, chosen
from lightning_neuro.reservoir.measures.information.samples import (
    check_length,
    check_same_steps,
    lagged,
    rows,
    surrogate,
)
from lightning_neuro.reservoir.measures.mutual_information import information_of
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.measures.series import measured, series_of, shared_condition, surrogates


def transfer_entropy(
    source: Any,
    target: Any = None,
    *,
    source_history: int = 1,
    target_history: int = 1,
    delay: int = 1,
    condition: Any = None,
    condition_history: int = 1,
    condition_delay: int = 1,
    joint: bool = False,
    inputs: Any = None,
    washout: int = 0,
    estimator: str = "auto",
    local: bool = False,
    permutations: int = 0,
    surrogate_kind: str = "shift",
    seed: int = 0,
    **options: Any,
) -> Measure:
    """Return T_{y->x} = I(y_{t-d+1} .. (l steps) ; x_{t+1} | x_t .. (k steps), c_{t+1-d_c} .. (m steps)).

    Pairs of a noise-free reservoir are heavy-tailed, so read the median in `details`, not the mean. Conditioning on
    a shared input does not mend that; it can leave targets that are almost deterministic, of which a warning tells.
    The transfer of `a` in `x = a xor b` is 0 alone and 1 bit given `b`.

    Args:
        source: y, or whatever runs on `inputs`.
        target: x beside it; None for `source` itself, every unit to every unit.
        source_history: l.
        target_history: k.
        delay: d, steps from y to x; 1 for the step before.
        condition: series c, shared by all pairs: other sources, or the input.
        condition_history: m.
        condition_delay: d_c; 0 for an input that acts within the same step, as a reservoir's does.
        joint: take all columns of y, and all of x, as one vector each.
        inputs: what a node, model or `TorchReservoir` is driven by.
        washout: first steps to drop.
        estimator: see `Estimator`.
        local: put the pointwise terms into `details["local"]`; for single pairs.
        permutations: surrogates of the source for `null`, `p_value` and `details["effective"]`, the value above the
            surrogates' mean.
        surrogate_kind: `"shift"` around a circle or `"permutation"`.
        seed: of surrogates and of the noise that breaks ties.
        **options: settings of `Estimator`.

    Returns:
        A float for single series; a table `(N, M)` from row to column for matrices.

    Raises:
        ValueError: NaN, other lengths, series shorter than washout and histories, `local` for a table.

    Warns:
        UserWarning: target's past and condition leave less than 1e-3 of its variance.

    >>> rng = np.random.default_rng(0)
    >>> bits = rng.integers(0, 2, 4000)
    >>> round(float(transfer_entropy(bits, np.roll(bits, 1))), 3)
    1.0
    """
    owner = "transfer_entropy"
    given_lengths = {"source_history": source_history, "target_history": target_history, "delay": delay}
    for name, value in (given_lengths | {"condition_history": condition_history}).items():
        checks.integer(owner, name, value, at_least=1)
    checks.integer(owner, "condition_delay", condition_delay, at_least=0)
    y = series_of(owner, "source", source, inputs, washout=washout)
    x = y if target is None else series_of(owner, "target", target, inputs, washout=washout)
    check_same_steps(owner, source=y, target=x)
    c = shared_condition(owner, condition, x, washout)
    single = joint or y.shape[2] == x.shape[2] == 1
    if local and not single:
        raise ValueError(f"{owner}: local needs one source and one target, got {y.shape[2]} and {x.shape[2]} columns.")
    start = max(target_history, delay + source_history - 1, 0 if c is None else condition_delay + condition_history - 1)
    check_length(owner, x, start, washout=washout)
    used = chosen(estimator, [b for b in (y, x, c) if b is not None], many=not single, seed=seed, **options)
    ready = used.prepared(x)
    history = lagged(used.prepared(y), range(delay, delay + source_history), start)
    past = lagged(ready, range(1, target_history + 1), start)
    following = lagged(ready, [0], start)
    lags = range(condition_delay, condition_delay + condition_history)
    rest = None if c is None else rows(lagged(used.prepared(c), lags, start))
    found = information_of(history, past, following, rest, used, single=single)

    def shuffled(rng: np.random.Generator) -> Any:
        moved = surrogate(history, surrogate_kind, rng)
        return information_of(moved, past, following, rest, used, single=single).value

    return measured(
        owner,
        found.value,
        used,
        p_value=found.p_value,
        null=surrogates(owner, permutations, surrogate_kind, seed, shuffled),
        local=found.local if local and isinstance(found, Estimate) else None,
        remaining=found.remaining,
        params=given_lengths | {"condition_delay": condition_delay, "washout": washout, **options},
    )
