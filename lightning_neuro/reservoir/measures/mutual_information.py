"""Mutual information of series, of all pairs of units, and of an input with the states that follow it."""

from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.information.choose import Estimate, Estimator, chosen
from lightning_neuro.reservoir.measures.information.gaussian import gaussian_information
from lightning_neuro.reservoir.measures.information.gaussian_pairs import Pairs, all_pairs
from lightning_neuro.reservoir.measures.information.samples import (
    AnyArray,
    Array,
    check_length,
    check_same_steps,
    lagged,
    rows,
    surrogate,
)
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.measures.series import measured, series_of, shared_condition, surrogates


def mutual_information(
    x: Any,
    y: Any = None,
    *,
    delay: int = 0,
    joint: bool = False,
    condition: Any = None,
    inputs: Any = None,
    washout: int = 0,
    estimator: str = "auto",
    local: bool = False,
    permutations: int = 0,
    surrogate_kind: str = "shift",
    seed: int = 0,
    **options: Any,
) -> Measure:
    """Return I(x_{t-d} ; y_t | c_t).

    Args:
        x: series, or whatever runs on `inputs`.
        y: series beside it; None for `x` itself, every unit with every unit. A unit with itself then has infinite
            information, which shows as the largest that the estimator resolves.
        delay: d, steps from x to y.
        joint: take all columns of x, and all of y, as one vector each.
        condition: series c.
        inputs: what a node, model or `TorchReservoir` is driven by.
        washout: first steps to drop.
        estimator: see `Estimator`.
        local: put the pointwise terms into `details["local"]`.
        permutations: surrogates of x for `null`, `p_value` and `details["effective"]`.
        surrogate_kind: `"shift"` around a circle or `"permutation"`.
        seed: of surrogates and of the noise that breaks ties.
        **options: settings of `Estimator`.

    Returns:
        A float for single series; a table `(N, M)` for matrices, with median and quantiles in `details`.

    Raises:
        ValueError: NaN, other lengths, series that are too short.

    >>> bits = np.random.default_rng(0).integers(0, 2, 4000)
    >>> found = mutual_information(bits, bits)
    >>> round(float(found), 3), found.unit
    (1.0, 'bits')
    """
    owner = "mutual_information"
    delay = checks.integer(owner, "delay", delay, at_least=0)
    first = series_of(owner, "x", x, inputs, washout=washout)
    second = first if y is None else series_of(owner, "y", y, inputs, washout=washout)
    check_same_steps(owner, x=first, y=second)
    check_length(owner, second, delay, washout=washout)
    given = shared_condition(owner, condition, second, washout)
    single = joint or first.shape[2] == second.shape[2] == 1
    used = chosen(
        estimator, [b for b in (first, second, given) if b is not None], many=not single, seed=seed, **options
    )
    source = lagged(used.prepared(first), [delay], delay)
    target = lagged(used.prepared(second), [0], delay)
    past = np.empty((*target.shape[:3], 0))
    rest = None if given is None else rows(lagged(used.prepared(given), [0], delay))
    found = information_of(source, past, target, rest, used, single=single)

    def shuffled(rng: np.random.Generator) -> Any:
        moved = surrogate(source, surrogate_kind, rng)
        return information_of(moved, past, target, rest, used, single=single).value

    return measured(
        owner,
        found.value,
        used,
        p_value=found.p_value,
        null=surrogates(owner, permutations, surrogate_kind, seed, shuffled),
        local=found.local if local and isinstance(found, Estimate) else None,
        params={"delay": delay, "joint": joint, "washout": washout, **options},
    )


def information_of(
    source: AnyArray,
    past: AnyArray,
    target: AnyArray,
    rest: AnyArray | None,
    used: Estimator,
    *,
    single: bool,
) -> Estimate | Pairs:
    """Return I(source ; target | past, rest), of whole vectors or of all pairs.

    Args:
        source: `(B, n, N, l)`.
        past: `(B, n, M, k)`, each target's own.
        target: `(B, n, M, 1)`.
        rest: `(B n, d)`, shared.
        used: the estimator.
        single: take everything as vectors.
    """
    shared = np.empty((target.shape[0] * target.shape[1], 0)) if rest is None else rest
    if single:
        return used.information(rows(source), rows(target), np.concatenate([rows(past), shared], axis=1))
    if used.name == "gaussian":
        correct = used.bias_correction is not False
        return all_pairs(source, past, target[..., 0], rest, bias_correction=correct)
    table = np.empty((2, source.shape[2], target.shape[2]))
    for j in range(target.shape[2]):
        given = np.concatenate([rows(past[:, :, j]), shared], axis=1)
        for i in range(source.shape[2]):
            one = used.information(rows(source[:, :, i]), rows(target[:, :, j]), given)
            table[:, i, j] = one.value, np.nan if one.p_value is None else one.p_value
    known = None if np.isnan(table[1]).any() else table[1]
    return Pairs(table[0], known, None)


def input_information(
    inputs: Any, states: Any, *, max_delay: int = 20, washout: int = 0, per_unit: bool = False, seed: int = 0
) -> Measure:
    """Return what states tell about each past input, and about all of them together, in nats.

        I(u_{t-k} ; x(t)) = -1/2 ln(1 - MC_k),  Gaussian, MC_k the share of the best linear readout

    The curve has the delays of a memory curve, 0 the input that states already hold.

    Args:
        inputs: `(T, K)`.
        states: `(T, N)`, or whatever runs on inputs.
        max_delay: largest k.
        washout: first steps to drop.
        per_unit: put `(N, max_delay + 1)`, each unit alone, into `details["per_unit"]`.
        seed: unused by the Gaussian estimator; kept with the result.

    Returns:
        As value the information of the whole window, `1/2 ln(|S_x| / |S_{x|u}|)`.

    Raises:
        ValueError: NaN, other lengths, series that are too short.

    >>> u = np.random.default_rng(0).standard_normal(3000)
    >>> found = input_information(u, np.stack([u, np.roll(u, 2)], axis=1) + 0.0, max_delay=3)
    >>> (found.curve > 1).tolist()
    [True, False, True, False]
    """
    owner = "input_information"
    drive = series_of(owner, "inputs", inputs, washout=washout)
    reached = series_of(owner, "states", states, inputs, washout=washout)
    check_same_steps(owner, inputs=drive, states=reached)
    max_delay = checks.integer(owner, "max_delay", max_delay, at_least=0)
    check_length(owner, reached, max_delay, washout=washout)
    window = lagged(drive, range(max_delay + 1), max_delay).astype(np.float64)
    state = rows(reached[:, max_delay:]).astype(np.float64)
    curve = np.array([gaussian_information(rows(window[..., k]), state).value for k in range(max_delay + 1)])
    details: dict[str, Any] = {}
    if per_unit:
        details["per_unit"] = _per_unit(window, state)
    total = gaussian_information(rows(window), state).value
    return measured(
        owner,
        total,
        Estimator("gaussian", seed=seed),
        curve=curve,
        curve_at=np.arange(max_delay + 1),
        curve_label="delay",
        params={"max_delay": max_delay, "washout": washout},
        details=details,
    )


def _per_unit(window: Array, state: Array) -> Array:
    steps = range(window.shape[3])
    return np.array(
        [[gaussian_information(rows(window[..., k]), unit[:, None]).value for k in steps] for unit in state.T]
    )
