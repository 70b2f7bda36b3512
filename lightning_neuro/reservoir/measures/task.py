"""What a task asks for: memory, non-linearity, storage and transfer of a target series. This is our construction."""

from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.information.choose import Estimator, chosen
from lightning_neuro.reservoir.measures.information.gaussian import gaussian_information
from lightning_neuro.reservoir.measures.information.samples import (
    AnyArray,
    Array,
    check_length,
    check_same_steps,
    lagged,
    rows,
)
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.measures.series import measured, series_of

_PLATEAU = 0.95


def task_profile(
    inputs: Any,
    targets: Any,
    *,
    window: int = 5,
    history: int = 1,
    washout: int = 0,
    estimator: str = "auto",
    seed: int = 0,
    **options: Any,
) -> Measure:
    """Return what the last L inputs tell about the target v, and how it spreads over delays. Our construction.

        dI(l) = I(v_t ; u_{t-l} | u_t .. u_{t-l+1}),  sum_l dI(l) = I(v_t ; u_t .. u_{t-L+1})

    Args:
        inputs: u, `(T, K)` or `(T,)`.
        targets: v, `(T, M)` or `(T,)`, one vector.
        window: L.
        history: k, of the target's storage and of the transfer to it.
        washout: first steps to drop.
        estimator: see `Estimator`.
        seed: of the noise that breaks ties.
        **options: settings of `Estimator`.

    Returns:
        I(v ; window) with dI as curve over delays, and in `details`: `horizon`, the shortest window with 95 % of the
        plateau; `single`, I(v_t ; u_{t-l}) of each delay alone; `gaussian`, the Gaussian information of the window;
        `nonlinearity`, 1 - gaussian / value; `synergy`, whether single delays together tell less than half;
        `squared_correlations` of each delay; `storage`, `transfer` and `autonomous_share`.

    Raises:
        ValueError: NaN, other lengths, or series that are too short.

    >>> u = np.random.default_rng(0).integers(0, 2, 4000)
    >>> found = task_profile(u, np.roll(u, 2), window=3)
    >>> (found.curve + 1e-9).round(2).tolist(), found.details["horizon"]
    ([0.0, 0.0, 1.0], 3)
    """
    owner = "task_profile"
    length = checks.integer(owner, "window", window, at_least=1)
    history = checks.integer(owner, "history", history, at_least=1)
    u = series_of(owner, "inputs", inputs, washout=washout)
    v = series_of(owner, "targets", targets, washout=washout)
    check_same_steps(owner, inputs=u, targets=v)
    start = max(length - 1, history)
    check_length(owner, v, start, washout=washout)
    used = chosen(estimator, [u, v], many=False, seed=seed, **options)
    drive, wanted = used.prepared(u), used.prepared(v)
    steps = [rows(lagged(drive, [lag], start)) for lag in range(length)]
    target = rows(lagged(wanted, [0], start))
    gains = np.array(
        [used.information(steps[lag], target, _side_by_side(steps[:lag], target)).value for lag in range(length)]
    )
    single = np.array([used.information(step, target).value for step in steps])
    total = float(gains.sum())
    scale = 1 / np.log(2) if used.unit == "bits" else 1.0
    linear = max(_gaussian(np.concatenate(steps, axis=1), target), 0.0)
    details = {
        "horizon": _horizon(gains),
        "single": single * scale,
        "gaussian": linear * scale,
        "nonlinearity": float(np.clip(1 - linear / total, 0, 1)) if total > 0 else 0.0,
        "synergy": bool(single.sum() < total / 2),
        "squared_correlations": np.array([1 - np.exp(-2 * max(_gaussian(step, target), 0)) for step in steps]),
    } | _autonomy(drive, wanted, target, start, history, used, scale)
    return measured(
        owner,
        total,
        used,
        curve=gains,
        curve_at=np.arange(length),
        curve_label="delay",
        params={"window": length, "history": history, "washout": washout, **options},
        details=details,
    )


def _autonomy(
    drive: AnyArray, wanted: AnyArray, target: AnyArray, start: int, history: int, used: Estimator, scale: float
) -> dict[str, float]:
    """Storage of the target and transfer from the input, which acts within the step."""
    past = rows(lagged(wanted, range(1, history + 1), start))
    source = rows(lagged(drive, range(history), start))
    storage = used.information(past, target).value * scale
    transfer = used.information(source, target, past).value * scale
    known = max(storage, 0) + max(transfer, 0)
    share = max(storage, 0) / known if known > 0 else 0.0
    return {"storage": float(storage), "transfer": float(transfer), "autonomous_share": float(share)}


def _horizon(gains: Array) -> int:
    reached = np.cumsum(gains)
    return int(np.argmax(reached >= _PLATEAU * reached[-1])) + 1 if reached[-1] > 0 else 0


def _side_by_side(blocks: list[AnyArray], like: AnyArray) -> AnyArray:
    return np.concatenate(blocks, axis=1) if blocks else np.empty((len(like), 0), like.dtype)


def _gaussian(x: AnyArray, y: AnyArray) -> float:
    return gaussian_information(x.astype(np.float64), y.astype(np.float64)).value
