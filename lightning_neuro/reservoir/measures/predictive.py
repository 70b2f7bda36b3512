"""What the past tells about the future: predictive information, and excess entropy with the entropy rate."""

from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.information.choose import chosen
from lightning_neuro.reservoir.measures.information.discrete import (
    Codes,
    codes_of,
    joined,
    plug_in_entropy,
    warn_if_undersampled,
)
from lightning_neuro.reservoir.measures.information.samples import AnyArray, check_length, lagged, rows
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.measures.series import measured, series_of


def predictive_information(
    x: Any,
    *,
    history: int = 1,
    horizon: int = 1,
    inputs: Any = None,
    washout: int = 0,
    estimator: str = "auto",
    seed: int = 0,
    **options: Any,
) -> Measure:
    """Return I(x_{t-k+1} .. x_t ; x_{t+1} .. x_{t+h}) of the whole vector x.

    One step of a linear network: `1/2 ln(|S| / |Q|)`, S the covariance of states and Q of the noise.

    Args:
        x: series, or whatever runs on `inputs`; all columns are one vector.
        history: k.
        horizon: h.
        inputs: what a node, model or `TorchReservoir` is driven by.
        washout: first steps to drop.
        estimator: see `Estimator`.
        seed: of the noise that breaks ties.
        **options: settings of `Estimator`.

    Raises:
        ValueError: NaN, or series shorter than washout, history and horizon.

    >>> round(float(predictive_information([0, 1, 2] * 200)), 4)  # log2 3
    1.585
    """
    owner = "predictive_information"
    batch = series_of(owner, "x", x, inputs, washout=washout)
    history = checks.integer(owner, "history", history, at_least=1)
    horizon = checks.integer(owner, "horizon", horizon, at_least=1)
    check_length(owner, batch, history + horizon - 1, washout=washout)
    used = chosen(estimator, [batch], many=batch.shape[2] > 1, seed=seed, **options)
    ready = used.prepared(batch)
    past = lagged(ready, range(history), history - 1, horizon)
    future = lagged(ready, range(-1, -horizon - 1, -1), history - 1, horizon)
    found = used.information(rows(past), rows(future))
    return measured(
        owner,
        found.value,
        used,
        p_value=found.p_value,
        params={"history": history, "horizon": horizon, "washout": washout, **options},
    )


def excess_entropy(
    x: Any,
    *,
    max_length: int = 6,
    inputs: Any = None,
    washout: int = 0,
    estimator: str = "auto",
    seed: int = 0,
    **options: Any,
) -> Measure:
    """Return E = I(past ; future), from blocks of up to L steps.

    Symbols: `E = sum_{l<=L} (h(l) - h(L))`, h(l) = H(l) - H(l-1) of blocks of l symbols; h(L) is the entropy rate and
    the estimate approaches E from below. Numbers: `I(x_{-l+1} .. x_0 ; x_1 .. x_l)`, l up to L.

    Args:
        x: series, or whatever runs on `inputs`; all columns are one vector.
        max_length: L.
        inputs: what a node, model or `TorchReservoir` is driven by.
        washout: first steps to drop.
        estimator: see `Estimator`.
        seed: of the noise that breaks ties.
        **options: settings of `Estimator`.

    Returns:
        E at L; the curve is h(l) of symbols, E(l) of numbers; `details["entropy_rate"]` for symbols.

    Raises:
        ValueError: NaN, or series shorter than washout and blocks.

    Warns:
        UserWarning: too few samples for that many blocks.

    >>> found = excess_entropy([0, 1, 1] * 300, max_length=4)
    >>> round(float(found), 2), round(abs(found.details["entropy_rate"]), 2)  # log2 3, 0
    (1.58, 0.0)
    """
    owner = "excess_entropy"
    length = checks.integer(owner, "max_length", max_length, at_least=1)
    batch = series_of(owner, "x", x, inputs, washout=washout)
    check_length(owner, batch, 2 * length - 1, washout=washout)
    used = chosen(estimator, [batch], many=batch.shape[2] > 1, seed=seed, **options)
    ready = used.prepared(batch)
    params = {"max_length": length, "washout": washout, **options}
    at = np.arange(1, length + 1)
    if used.name == "discrete":
        rate = np.diff(block_entropies(ready, length), prepend=0.0)
        scale = 1 / np.log(2)
        details = {"entropy_rate": float(rate[-1] * scale)}
        total = float((rate - rate[-1]).sum())
        return measured(
            owner, total, used, curve=rate, curve_at=at, curve_label="block length", params=params, details=details
        )
    curve = np.array([used.information(*_halves(ready, steps)).value for steps in range(1, length + 1)])
    return measured(owner, curve[-1], used, curve=curve, curve_at=at, curve_label="steps each way", params=params)


def block_entropies(batch: AnyArray, length: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return H(l) of blocks of l = 1 .. L symbols in nats; all lengths from the same positions.

    >>> block_entropies(np.array([[[0], [1]] * 50]), 2).round(3).tolist()
    [0.693, 0.693]
    """
    steps = [codes_of(rows(lagged(batch, [lag], length - 1))) for lag in range(length)]
    blocks: list[Codes] = [steps[0]]
    for codes in steps[1:]:
        blocks.append(joined(blocks[-1], codes))
    warn_if_undersampled(len(blocks[-1]), int(blocks[-1].max()) + 1)
    return np.array([plug_in_entropy(codes) for codes in blocks])


def _halves(ready: AnyArray, steps: int) -> tuple[AnyArray, AnyArray]:
    past = lagged(ready, range(steps), steps - 1, steps)
    return rows(past), rows(lagged(ready, range(-1, -steps - 1, -1), steps - 1, steps))
