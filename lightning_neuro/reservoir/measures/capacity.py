"""Short-term memory capacity: how much of past inputs linear readouts recover from present states."""

from typing import Any

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.drive import Array, as_drive, column_of, states_of
from lightning_neuro.reservoir.measures.fisher import linear_parts
from lightning_neuro.reservoir.measures.readouts import RCOND, factorised
from lightning_neuro.reservoir.measures.result import Measure

ESTIMATORS = ("holdout", "projection")
BLOCK = 512  # delays at a time


def memory_capacity(
    reservoir_or_states: Any,
    inputs: Any,
    *,
    max_delay: int | None = None,
    washout: int = 0,
    first_delay: int = 1,
    estimator: str = "holdout",
    split: float = 0.5,
    ridge: float = 0.0,
    rcond: float = RCOND,
    column: int = 0,
) -> Measure:
    """Return `MC = sum_k MC_k`, `MC_k = max_w corr^2(u(t-k), w x(t))`, over inputs that are independent of each other.

    "holdout" fits readouts on the first part of the series and correlates on the second; where there is no memory it
    finds 1 / T_test at each delay. "projection" is the share of the inputs in the span of the states, of the same
    steps; without memory it finds r / T, r the rank of the states. Either bias b is taken away:
    `MC_k = (found - b) / (1 - b)`. This leaves noise of both signs, so that the value is unbiased without memory;
    the curve is cut to 0 .. 1.

    One factorisation serves all delays: 4 T N^2 flops, and 2 T N for each delay; "holdout" counts half of T in either
    part. At least 50 N steps are advised, 10,000 for small N.

    Args:
        reservoir_or_states: states `(T, N)`, where row t has seen input t, or what runs on the inputs.
        inputs: u `(T,)` or `(T, K)`; steps before the washout still count as past inputs.
        max_delay: last delay; 2 N if None.
        washout: leading states to drop; at least `max_delay` are.
        first_delay: 1, as in Jaeger's definition and in reservoirpy, or 0 to count the present input.
        estimator: "holdout" or "projection".
        split: share of the steps that "holdout" fits on.
        ridge: penalty on readouts; of "holdout" only.
        rcond: directions of states below so much of the largest do not count.
        column: of inputs.

    Returns:
        MC, between 0 and N for a long series; `curve` is MC_k from `first_delay`. `details`: `present` is MC_0,
        `bias` what was taken away from each delay, `rank` of the states, `uncorrected` the curve before.

    Raises:
        ValueError: NaN, a constant input, or too few steps for readouts of N units after the washout and all delays.

    Source: Jaeger 2001.

    >>> u = np.random.default_rng(0).uniform(-1, 1, 4000)
    >>> line = np.stack([np.roll(u, k) for k in range(5)], axis=1)  # the present input and four past ones
    >>> memory = memory_capacity(line, u, max_delay=6, washout=10)
    >>> round(float(memory), 2), memory.curve.round(2).tolist()
    (4.0, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    """
    owner = "memory_capacity"
    checks.choice(owner, "estimator", estimator, ESTIMATORS)
    checks.number(owner, "split", split, above=0, below=1)
    checks.number(owner, "ridge", ridge, at_least=0)
    checks.number(owner, "rcond", rcond, above=0, below=1)
    if ridge > 0 and estimator == "projection":
        raise ValueError(f"{owner}: ridge must be 0 with estimator='projection', got {ridge!r}. Take 'holdout'.")
    washout = checks.integer(owner, "washout", washout, at_least=0)
    first = checks.integer(owner, "first_delay", first_delay, at_least=0)
    states, drive = states_of(reservoir_or_states, inputs, owner=owner), as_drive(inputs, owner=owner)
    last = 2 * states.shape[1] if max_delay is None else max_delay
    last = checks.integer(owner, "max_delay", last, at_least=first)
    start = max(washout, last)
    fitted = int(split * (len(states) - start)) if estimator == "holdout" else len(states) - start
    _check_steps(owner, len(states), start, fitted, states.shape[1], len(states) - start - fitted, estimator)
    series = column_of(drive, column, owner=owner)
    if estimator == "holdout":
        found, bias, rank = _held_out(states[start:], series, last, fitted, ridge, rcond)
    else:
        found, bias, rank = _projected(states[start:], series, last, rcond)
    corrected = (found - bias) / (1 - bias)
    return Measure(
        "memory capacity",
        float(corrected[first:].sum()),
        curve=np.clip(corrected[first:], 0.0, 1.0),
        curve_at=np.arange(first, last + 1.0),
        curve_label="delay",
        params={"max_delay": last, "first_delay": first, "washout": washout, "estimator": estimator, "ridge": ridge},
        details={"present": float(np.clip(corrected[0], 0, 1)), "bias": bias, "rank": rank, "uncorrected": found},
    )


def linear_memory_capacity(
    reservoir: Any,
    win: Any = None,
    *,
    max_delay: int | None = None,
    first_delay: int = 1,
    column: int = 0,
    rcond: float = 1e-13,
) -> Measure:
    """Return the capacity of a linear reservoir without noise, `MC_k = (W^k v)^T C^-1 (W^k v)`.

    C is the covariance of the states, `sum_k W^k v v^T W^kT`. In exact arithmetic all delays from 0 add to its rank. A
    random dense W has directions that double precision cannot reach, which `details["rank"]` tells.

    Args:
        reservoir: W `(N, N)`, dense or sparse, with `win`; or a node, taken as linear about rest.
        win: v `(N,)`, where `reservoir` is a matrix.
        max_delay: last delay; 2 N if None.
        first_delay: 1, or 0 to count the present input.
        column: of the input weights of a node.
        rcond: eigenvalues of C below so much of the largest do not count.

    Raises:
        ValueError: W is not square, its spectral radius is 1 or more, or v has another length.

    >>> float(linear_memory_capacity(np.eye(10, k=-1), np.eye(10)[0], first_delay=0))  # a delay line
    10.0
    """
    owner = "linear_memory_capacity"
    weights, v, linearised = linear_parts(owner, reservoir, win, column)
    first = checks.integer(owner, "first_delay", first_delay, at_least=0)
    last = checks.integer(owner, "max_delay", 2 * len(weights) if max_delay is None else max_delay, at_least=first)
    values, vectors = np.linalg.eigh(solve_discrete_lyapunov(weights, np.outer(v, v)))
    kept = values > rcond * values[-1]
    signals = [v]
    for _ in range(last):
        signals.append(weights @ signals[-1])
    curve = (((np.array(signals) @ vectors[:, kept]) ** 2) / values[kept]).sum(axis=1)
    return Measure(
        "memory capacity",
        float(curve[first:].sum()),
        curve=curve[first:],
        curve_at=np.arange(first, last + 1.0),
        curve_label="delay",
        params={"max_delay": last, "first_delay": first, "linearised": linearised},
        details={"present": float(curve[0]), "rank": int(kept.sum())},
    )


def _check_steps(owner: str, steps: int, start: int, fitted: int, units: int, tested: int, estimator: str) -> None:
    if fitted <= units + 1 or (estimator == "holdout" and tested < 3):
        raise ValueError(
            f"{owner}: readouts of {units} units need more than {units + 1} steps to fit, but of {steps} steps "
            f"{start} go to the washout and the longest delay, and {max(fitted, 0)} are left for the fit. "
            "Give a longer series, or a smaller max_delay."
        )


def _held_out(
    states: Array, series: Array, last: int, fitted: int, ridge: float, rcond: float
) -> tuple[Array, float, int]:
    """Return squared correlations `(last + 1,)` on steps that readouts have not seen, their bias, and the rank."""
    fit = factorised(states[:fitted], rcond)
    unseen = states[fitted:] - fit.mean
    found = np.zeros(last + 1)
    for delays in _blocks(last):
        targets = _delayed(series, len(states), delays)
        said = unseen @ fit.weights(fit.projected(targets[:fitted] - targets[:fitted].mean(axis=0)), ridge)
        said -= said.mean(axis=0)
        true = targets[fitted:] - targets[fitted:].mean(axis=0)
        size = (said**2).sum(axis=0) * (true**2).sum(axis=0)
        along = (said * true).sum(axis=0) ** 2
        found[delays] = np.divide(along, size, out=np.zeros_like(size), where=size > 0)
    return found, 1 / len(unseen), fit.rank


def _projected(states: Array, series: Array, last: int, rcond: float) -> tuple[Array, float, int]:
    """Return the shares `(last + 1,)` of delayed inputs within the span of the states, their bias, and the rank."""
    fit = factorised(states, rcond)
    found = np.zeros(last + 1)
    for delays in _blocks(last):
        targets = _delayed(series, len(states), delays)
        targets = targets - targets.mean(axis=0)
        size = (targets**2).sum(axis=0)
        found[delays] = np.divide(
            (fit.projected(targets) ** 2).sum(axis=0), size, out=np.zeros_like(size), where=size > 0
        )
    return found, fit.rank / len(states), fit.rank


def _blocks(last: int) -> list[slice]:
    return [slice(begin, min(begin + BLOCK, last + 1)) for begin in range(0, last + 1, BLOCK)]


def _delayed(series: Array, steps: int, delays: slice) -> Array:
    """Inputs `(steps, M)` that lie so many steps behind each of the last `steps` states; a view."""
    windows = np.lib.stride_tricks.sliding_window_view(series, steps)
    newest = len(windows) - 1
    return windows[newest - delays.stop + 1 : newest - delays.start + 1][::-1].T
