"""Separation: how far apart different inputs drive a reservoir."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.drive import Array
from lightning_neuro.reservoir.measures.maps import StateMap, as_map
from lightning_neuro.reservoir.measures.result import Measure


def separation(
    reservoir: Any, streams: npt.ArrayLike, *, labels: npt.ArrayLike | None = None, seed: int = 0
) -> Measure:
    """Return the mean distance of the final states of all pairs of streams, over `sqrt(N)`.

    Args:
        reservoir: what runs from its zero state.
        streams: `(m, L, K)`, m of at least 2.
        labels: `(m,)`, classes of the streams.
        seed: of the initial states of `network_mediated`.

    Returns:
        The mean distance; `curve` is that of every pair over the distance of the two streams, root mean square per
        step, in rising order. `details`: `network_mediated`, the mean distance between different streams less that of
        one stream from two initial states, our reading of Natschlaeger et al. 2004: large only where inputs count and
        initial states do not; with labels `class_ratio`, mean distance between class means over one plus the mean
        distance within classes, of states unscaled.

    Raises:
        ValueError: streams of other axes or with NaN, fewer than two, labels that do not fit, or an explosion.

    Source: Maass et al. 2002 for the distance; Norton and Ventura 2010 for the ratio, both from memory.

    >>> from lightning_neuro.reservoir.measures.maps import ReservoirMap
    >>> def identity(z):
    ...     return z
    >>> adding = ReservoirMap(np.zeros((4, 4)), np.ones((4, 1)), function=identity)
    >>> float(separation(adding, [[[0.0]], [[2.0]]]))
    2.0
    """
    owner = "separation"
    drives = np.asarray(streams, np.float64)
    if drives.ndim != 3 or 0 in drives.shape or len(drives) < 2:
        raise ValueError(
            f"{owner}: streams must be (streams, steps, columns) with at least 2 streams, got shape {drives.shape}."
        )
    if not np.isfinite(drives).all():
        raise ValueError(f"{owner}: streams must hold finite numbers, got NaN or infinite ones.")
    system = as_map(reservoir, drives[0], owner=owner)
    rng = np.random.default_rng(checks.integer(owner, "seed", seed, at_least=0))
    from_zero = _final(owner, system, drives, np.zeros((len(drives), system.units)))
    elsewhere = _final(owner, system, drives, rng.uniform(-1, 1, (len(drives), system.units)))
    first, second = np.triu_indices(len(drives), k=1)
    root = np.sqrt(system.units)
    apart = np.linalg.norm(from_zero[first] - from_zero[second], axis=1) / root
    inputs = np.sqrt(np.square(drives[first] - drives[second]).sum(2).mean(1))
    order = np.argsort(inputs, kind="stable")
    own = np.linalg.norm(from_zero - elsewhere, axis=1).mean() / root
    details: dict[str, Any] = {"network_mediated": float(apart.mean() - own)}
    if labels is not None:
        details["class_ratio"] = _class_ratio(owner, from_zero, np.asarray(labels))
    return Measure(
        "separation",
        float(apart.mean()),
        curve=apart[order],
        curve_at=inputs[order],
        curve_label="distance of inputs",
        params={"streams": len(drives), "steps": drives.shape[1], "seed": seed},
        details=details,
    )


def _final(owner: str, system: StateMap, drives: Array, states: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        for now in range(drives.shape[1]):
            states = system.step(states, drives[:, now])
        final = system.output(states)
    if not np.isfinite(final).all():
        raise ValueError(f"{owner}: states must stay finite, but the reservoir ran away. Make W smaller.")
    return final


def _class_ratio(owner: str, states: Array, labels: npt.NDArray[Any]) -> float:
    if labels.shape != (len(states),) or len(np.unique(labels)) < 2:
        raise ValueError(
            f"{owner}: labels must be one for each of {len(states)} streams, of at least 2 classes, "
            f"got shape {labels.shape} with {len(np.unique(labels))}."
        )
    groups = [states[labels == label] for label in np.unique(labels)]
    means = np.array([group.mean(0) for group in groups])
    first, second = np.triu_indices(len(means), k=1)
    between = np.linalg.norm(means[first] - means[second], axis=1).mean()
    within = np.mean([np.linalg.norm(group - mean, axis=1).mean() for group, mean in zip(groups, means, strict=True)])
    return float(between / (within + 1))
