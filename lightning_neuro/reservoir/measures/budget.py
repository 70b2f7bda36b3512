"""Where information about a target stays on its way from input over reservoir to readout. This is our construction."""

from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.information.choose import chosen
from lightning_neuro.reservoir.measures.information.discrete import codes_of, plug_in_entropy
from lightning_neuro.reservoir.measures.information.gaussian import basis
from lightning_neuro.reservoir.measures.information.samples import (
    AnyArray,
    Array,
    check_length,
    check_same_steps,
    is_discrete,
    lagged,
    quantile_codes,
    rows,
    standardized,
)
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.measures.series import measured, series_of


def information_budget(
    inputs: Any,
    targets: Any,
    states: Any,
    outputs: Any,
    *,
    window: int = 5,
    components: int = 3,
    state_bins: int = 8,
    washout: int = 0,
    estimator: str = "auto",
    seed: int = 0,
    **options: Any,
) -> Measure:
    """Return I(v ; v_hat), what the output tells about the target, and where the rest went. Our construction.

        H(v) = H(v|U_L) + [I(v;U_L) - I(v;x)] + [I(v;x) - I(v;v_hat)] + I(v;v_hat)

    irreducible, lost by the reservoir, lost by the readout, captured. With states that are functions of the last L
    inputs and outputs of states, no part is negative; estimates can be, where L is too short or samples are few.
    Of many continuous states only the directions that follow the target best are taken, so I(v;x) is from below.

    Args:
        inputs: u, `(T, K)`.
        targets: v, `(T, M)`.
        states: x, `(T, N)`, or whatever runs on inputs.
        outputs: v_hat, `(T, M)`.
        window: L.
        components: directions of continuous states that are kept, those with the largest canonical correlations.
        state_bins: quantile bins of each direction where the target is discrete and states are not.
        washout: first steps to drop.
        estimator: see `Estimator`.
        seed: of the noise that breaks ties.
        **options: settings of `Estimator`.

    Returns:
        The captured information; `details`: `of_window`, `of_states`, `of_outputs`, `lost_by_reservoir`,
        `lost_by_readout`, `efficiency` = captured / of_window, and for symbols `entropy` and `irreducible`.

    Raises:
        ValueError: NaN, other lengths, or series that are too short.

    >>> u = np.random.default_rng(0).integers(0, 2, 4000)
    >>> found = information_budget(u, u, u, u, window=1)
    >>> round(float(found), 2), round(found.details["efficiency"], 2), round(abs(found.details["irreducible"]), 2)
    (1.0, 1.0, 0.0)
    """
    owner = "information_budget"
    length = checks.integer(owner, "window", window, at_least=1)
    u, v = series_of(owner, "inputs", inputs, washout=washout), series_of(owner, "targets", targets, washout=washout)
    x = series_of(owner, "states", states, inputs, washout=washout)
    out = series_of(owner, "outputs", outputs, washout=washout)
    check_same_steps(owner, inputs=u, targets=v, states=x, outputs=out)
    check_length(owner, v, length - 1, washout=washout)
    used = chosen(estimator, [u, v], many=False, seed=seed, **options)
    seen = rows(lagged(used.prepared(u), range(length), length - 1))
    target = rows(lagged(used.prepared(v), [0], length - 1))
    reached, told = rows(x[:, length - 1 :]), rows(out[:, length - 1 :])
    if used.name == "discrete":
        reached, told = (_symbols(part, target, components, state_bins) for part in (reached, told))
    elif reached.shape[1] > components and used.name not in ("gaussian", "copula"):
        reached = directions(reached.astype(np.float64), target.astype(np.float64), components)
    scale = 1 / np.log(2) if used.unit == "bits" else 1.0
    of_window, of_states, of_outputs = (used.information(part, target).value for part in (seen, reached, told))
    details = {
        "of_window": of_window * scale,
        "of_states": of_states * scale,
        "of_outputs": of_outputs * scale,
        "lost_by_reservoir": (of_window - of_states) * scale,
        "lost_by_readout": (of_states - of_outputs) * scale,
        "efficiency": of_outputs / of_window if of_window > 0 else 0.0,
    }
    if used.name == "discrete":
        whole = plug_in_entropy(codes_of(target))
        details |= {"entropy": whole * scale, "irreducible": (whole - of_window) * scale}
    return measured(
        owner,
        of_outputs,
        used,
        params={"window": length, "components": components, "washout": washout, **options},
        details={name: float(number) for name, number in details.items()},
    )


def directions(states: Array, target: Array, components: int) -> Array:
    """Return the combinations of states with the largest canonical correlations with the target.

    Args:
        states: `(n, N)`.
        target: `(n, M)`.
        components: how many at most.

    >>> x = np.random.default_rng(0).standard_normal((500, 4))
    >>> found = directions(x, x[:, :1] + x[:, 1:2], 2)
    >>> found.shape, round(abs(np.corrcoef(found[:, 0], x[:, 0] + x[:, 1])[0, 1]), 6)
    ((500, 1), np.float64(1.0))
    """
    own, wanted = basis(standardized(states)), basis(standardized(target))
    turn, _, _ = np.linalg.svd(own.T @ wanted, full_matrices=False)
    return own @ turn[:, :components]


def _symbols(part: AnyArray, target: AnyArray, components: int, bins: int) -> AnyArray:
    """Symbols as they are; numbers by quantiles of the directions that tell the target's symbols apart."""
    if is_discrete(part[None]) and len(np.unique(part, axis=0)) <= max(len(part) // 20, 2):
        return part
    indicator = np.eye(int(codes_of(target).max()) + 1)[codes_of(target)]
    return quantile_codes(directions(part.astype(np.float64), indicator, components), bins)
