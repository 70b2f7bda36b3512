"""Pictures of what states do, for any array of them; measures and reports draw themselves with `.plot()`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lightning_neuro.common import plotting

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def phase_portrait(states: Mapping[str, ArrayLike], ax: "Axes | None" = None) -> "Axes":
    """Draw trajectories in the plane of the first two principal components of all of them together.

    Args:
        states: name -> `(T, N)`, one or more trajectories of the same N; washed out by the caller.
        ax: axes of matplotlib to draw into; a figure of its own where left out.

    Raises:
        ValueError: nothing given, more than four, not two-dimensional, fewer than two units, other N, or not finite.

    >>> turn = np.linspace(0, 2 * np.pi, 50)
    >>> ax = phase_portrait({"circle": np.stack([np.sin(turn), np.cos(turn)], axis=1)})
    >>> ax.get_xlabel(), len(ax.lines)
    ('first component', 1)
    """
    points = projected({name: np.asarray(values, dtype=float) for name, values in states.items()})
    axes = ax if ax is not None else plotting.blank("", "", "")[1]
    for (name, path), colour in zip(points.items(), plotting.SERIES, strict=False):
        axes.plot(*path.T, marker=".", markersize=2.0, linewidth=0.4, alpha=0.7, color=colour, label=name)
    axes.set_xlabel("first component", color=plotting.QUIET)
    axes.set_ylabel("second component", color=plotting.QUIET)
    if len(points) > 1:
        axes.legend(frameon=False, fontsize=9, labelcolor=plotting.INK)
    return axes


def projected(states: Mapping[str, "np.ndarray[Any, Any]"]) -> dict[str, "np.ndarray[Any, Any]"]:
    """Return each trajectory `(T, 2)` in the first two principal components of all rows together, from their mean.

    Args:
        states: name -> `(T, N)`.

    >>> line = np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0]])
    >>> abs(projected({"line": line})["line"][:, 0])
    array([2.5, 2.5])
    """
    _check(states)
    rows = np.concatenate(list(states.values()))
    mean = rows.mean(axis=0)
    _, _, directions = np.linalg.svd(rows - mean, full_matrices=False)
    return {name: (values - mean) @ directions[:2].T for name, values in states.items()}


def _check(states: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
    if not 1 <= len(states) <= len(plotting.SERIES):
        raise ValueError(f"phase_portrait: expected 1 to {len(plotting.SERIES)} trajectories, got {len(states)}.")
    units = {values.shape[1] if values.ndim == 2 else None for values in states.values()}
    if len(units) > 1 or None in units or units == {1}:
        shapes = {name: values.shape for name, values in states.items()}
        raise ValueError(
            f"phase_portrait: states must be of shape (T, N) with the same N of 2 or more, got {shapes}. "
            "Give the states that `run` returns."
        )
    for name, values in states.items():
        if len(values) < 2 or not np.isfinite(values).all():
            raise ValueError(f"phase_portrait: {name!r} must hold two or more rows of finite numbers.")
