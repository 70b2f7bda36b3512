"""What the information measures share: series of any source, results in a unit, surrogates, summaries of pairs."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.information.choose import Estimator
from lightning_neuro.reservoir.measures.information.samples import AnyArray, Array, as_batch
from lightning_neuro.reservoir.measures.result import Measure

NEARLY_DETERMINISTIC = 1e-3
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
SURROGATES = ("shift", "permutation")


def series_of(owner: str, name: str, source: Any, inputs: Any = None, *, washout: int = 0) -> AnyArray:
    """Return `(B, T - washout, N)` of an array, a tensor, or of what runs on inputs.

    Args:
        owner: who asks; opens messages.
        name: the argument's name.
        source: array or tensor `(T,)`, `(T, N)`, `(B, T, N)`; with `inputs` also a node, a model or a `TorchReservoir`.
        inputs: `(T, K)`, what a reservoir is driven by.
        washout: first steps to drop.

    Raises:
        ValueError: NaN, a shape that is no series, or fewer steps than the washout.

    >>> series_of("entropy", "x", [1.0, 2.0, 3.0], washout=1).ravel().tolist()
    [2.0, 3.0]
    """
    washout = checks.integer(owner, "washout", washout, at_least=0)
    is_array = hasattr(source, "detach") or isinstance(source, np.ndarray | list | tuple | int | float)
    if not is_array:
        from lightning_neuro.reservoir.measures.drive import states_of

        source = states_of(source, inputs)
    batch = as_batch(owner, name, source)
    if batch.shape[1] <= washout:
        raise ValueError(
            f"{owner}: {name} must be longer than the washout of {washout} steps, got {batch.shape[1]} steps."
        )
    return batch[:, washout:]


def shared_condition(owner: str, condition: Any, like: AnyArray, washout: int) -> AnyArray | None:
    """Return the condition as a series beside `like`, or None.

    Raises:
        ValueError: it has another length.
    """
    if condition is None:
        return None
    batch = series_of(owner, "condition", condition, washout=washout)
    if batch.shape[:2] != like.shape[:2]:
        raise ValueError(
            f"{owner}: condition must have {like.shape[1] + washout} steps like the series, "
            f"got {batch.shape[1] + washout}."
        )
    return batch


def measured(
    name: str,
    value: Any,
    estimator: Estimator,
    *,
    p_value: Any = None,
    null: Array | None = None,
    local: Array | None = None,
    remaining: Any = None,
    curve: Array | None = None,
    curve_at: Any = None,
    curve_label: str = "",
    params: Mapping[str, Any],
    details: Mapping[str, Any] | None = None,
) -> Measure:
    """Return the result, told in the estimator's unit, single values as floats; warn of almost deterministic targets.

    With a null the p-value is the share of surrogates, the value among them, that reach the value.
    """
    if remaining is not None:
        warn_if_deterministic(name, remaining)
    scale = 1 / np.log(2) if estimator.unit == "bits" else 1.0
    found = np.asarray(value, float) * scale
    more: dict[str, Any] = dict(details or {})
    if null is not None:
        null = null * scale
        p_value = (1 + (null >= found).sum(axis=0)) / (1 + len(null))
        more["effective"] = plain(found - null.mean(axis=0))
    if local is not None:
        more["local"] = local * scale
    if found.ndim:
        more |= summary(found)
    return Measure(
        name,
        plain(found),
        unit=estimator.unit,
        curve=None if curve is None else curve * scale,
        curve_at=curve_at,
        curve_label=curve_label,
        null=null,
        p_value=None if p_value is None else plain(np.asarray(p_value, float)),
        params={"estimator": estimator.name, **params},
        details=more,
    )


def plain(value: Array) -> Any:
    """Return an array without axes as a float, others as they are."""
    return value if np.ndim(value) else float(value)


def summary(values: Array) -> dict[str, Any]:
    """Return median, quantiles and mean of units, or of pairs without the diagonal of a square table.

    Pairs are heavy-tailed: a few can carry the mean, so the median comes first.

    >>> summary(np.array([[9.0, 1.0], [3.0, 9.0]]))["median"]
    2.0
    """
    square = values.ndim == 2 and values.shape[0] == values.shape[1] > 1
    flat = values[~np.eye(len(values), dtype=bool)] if square else values.ravel()
    # Between a number and the entropy of a constant, which is -inf, there is nothing to interpolate.
    method: Any = "linear" if np.isfinite(flat).all() else "lower"
    quantiles = dict(zip(map(str, QUANTILES), np.quantile(flat, QUANTILES, method=method).tolist(), strict=True))
    return {"median": float(np.median(flat)), "quantiles": quantiles, "mean": float(flat.mean())}


def surrogates(
    owner: str, count: int, kind: str, seed: int, evaluate: Callable[[np.random.Generator], Any]
) -> Array | None:
    """Return what `evaluate` finds under `count` surrogates, surrogates first; None for none.

    Raises:
        ValueError: `kind` is unknown or `count` negative.
    """
    checks.choice(owner, "surrogate", kind, SURROGATES)
    if checks.integer(owner, "permutations", count, at_least=0) == 0:
        return None
    rng = np.random.default_rng(seed)
    return np.array([evaluate(rng) for _ in range(count)], float)


def warn_if_deterministic(owner: str, remaining: Any) -> None:
    """Warn where a condition leaves less than a thousandth of a target's variance, but not nothing."""
    left = np.asarray(remaining)
    share = float(((left > 0) & (left < NEARLY_DETERMINISTIC)).mean())
    if share > 0:
        warnings.warn(
            f"{owner}: the condition leaves less than {NEARLY_DETERMINISTIC:g} of the variance of "
            f"{100 * share:.0f} % of the targets. Information about such a rest tells of rounding and transients. "
            "Run the reservoir with noise.",
            UserWarning,
            stacklevel=4,
        )
