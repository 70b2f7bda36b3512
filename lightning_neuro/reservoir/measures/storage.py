"""Active information storage: what a unit's own past tells about its next state."""

from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.information.choose import Estimate, Estimator, chosen
from lightning_neuro.reservoir.measures.information.gaussian_pairs import Pairs, all_units
from lightning_neuro.reservoir.measures.information.samples import AnyArray, check_length, lagged, rows, surrogate
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.measures.series import measured, series_of, shared_condition, surrogates


def active_information_storage(
    x: Any,
    *,
    history: int = 1,
    condition: Any = None,
    inputs: Any = None,
    washout: int = 0,
    estimator: str = "auto",
    local: bool = False,
    permutations: int = 0,
    surrogate_kind: str = "permutation",
    seed: int = 0,
    **options: Any,
) -> Measure:
    """Return I(x_t .. x_{t-k+1} ; x_{t+1} | c_{t+1}) for each unit.

    Args:
        x: series, or whatever runs on `inputs`.
        history: k.
        condition: series c, such as the input that drives the next state.
        inputs: what a node, model or `TorchReservoir` is driven by.
        washout: first steps to drop.
        estimator: see `Estimator`.
        local: put the pointwise terms, `(n,)` or `(n, N)`, into `details["local"]`.
        permutations: surrogates of the histories for `null`, `p_value` and `details["effective"]`.
        surrogate_kind: `"permutation"`, or `"shift"`, which keeps slow dynamics on both sides.
        seed: of surrogates and of the noise that breaks ties.
        **options: settings of `Estimator`.

    Returns:
        A float for one series, `(N,)` for a matrix of units.

    Raises:
        ValueError: NaN, or series shorter than washout and history.

    >>> round(float(active_information_storage([0, 1] * 200)), 4)  # bits
    1.0
    """
    owner = "active_information_storage"
    history = checks.integer(owner, "history", history, at_least=1)
    batch = series_of(owner, "x", x, inputs, washout=washout)
    check_length(owner, batch, history, washout=washout)
    given = shared_condition(owner, condition, batch, washout)
    units = batch.shape[2]
    used = chosen(estimator, [b for b in (batch, given) if b is not None], many=units > 1, seed=seed, **options)
    ready = used.prepared(batch)
    past, target = lagged(ready, range(1, history + 1), history), lagged(ready, [0], history)
    rest = None if given is None else rows(lagged(used.prepared(given), [0], history))
    found = _per_unit(past, target, rest, used, local)

    def shuffled(rng: np.random.Generator) -> Any:
        return _per_unit(surrogate(past, surrogate_kind, rng), target, rest, used, False)[0].value

    result, pointwise = found
    one = units == 1
    null = surrogates(owner, permutations, surrogate_kind, seed, shuffled)
    return measured(
        owner,
        result.value[0] if one else result.value,
        used,
        p_value=None if result.p_value is None else result.p_value[0] if one else result.p_value,
        null=null[:, 0] if one and null is not None else null,
        local=None if pointwise is None else pointwise[:, 0] if one else pointwise,
        params={"history": history, "washout": washout, **options},
    )


def _per_unit(
    past: AnyArray, target: AnyArray, rest: AnyArray | None, used: Estimator, local: bool
) -> tuple[Pairs, Any]:
    if used.name == "gaussian" and not local:
        return all_units(past, target[..., 0], rest, bias_correction=used.bias_correction is not False), None
    found: list[Estimate] = [
        used.information(rows(past[:, :, unit]), rows(target[:, :, unit]), rest) for unit in range(past.shape[2])
    ]
    p_values = [one.p_value for one in found]
    known = None if None in p_values else np.array(p_values, float)
    pointwise = np.stack([one.local for one in found], axis=1) if local else None
    return Pairs(np.array([one.value for one in found]), known, None), pointwise
