"""How far an estimate can be trusted, for a person to read: a table and three pictures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lightning_neuro.common.plotting import LINE, QUIET, SERIES, blank
from lightning_neuro.spectral_rnn.alarms import LARGEST_Z
from lightning_neuro.spectral_rnn.series import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN_NOISE = 4
DECADE = 10


class Reading(NamedTuple):
    """A line of the table: what was measured, its value, and what is wrong with it if anything is."""

    name: str
    value: str
    remark: str = ""


def table(readings: Sequence[Reading]) -> str:
    """Return the readings in aligned columns, remarks behind an exclamation mark.

    >>> print(table([Reading("steps", "90"), Reading("dropped series", "1", "they exploded")]))
    steps           90
    dropped series  1   ! they exploded
    """
    name, value = (max((len(reading[column]) for reading in readings), default=0) for column in (0, 1))
    lines = [
        f"{one.name:{name}}  {one.value:{value}}" + (f"  ! {one.remark}" if one.remark else "") for one in readings
    ]
    return "\n".join(line.rstrip() for line in lines)


def spectrum(values: Array, units: int) -> str:
    """Return singular values as text: those of neurons, a bar, the largest of the noise.

    >>> spectrum(np.array([3.45, 1.52, 0.1]), 2)
    '3.45 1.52 | 0.1'
    """
    neurons, noise = (
        " ".join(f"{value:.3g}" for value in part) for part in (values[:units], values[units:][:SHOWN_NOISE])
    )
    return f"{neurons} | {noise}" if noise else neurons


def draw_singular_values(ax: "Axes | None", values: Array, units: int) -> "Axes":
    """Draw singular values by rank on a logarithmic axis, filled for neurons and hollow for noise.

    Args:
        ax: where to draw; None for a figure of its own.
        values: falling `(n,)`.
        units: how many of them are neurons.

    >>> axes = draw_singular_values(None, np.array([3.0, 1.0, 0.1]), 2)
    >>> [line.get_xdata().tolist() for line in axes.lines]
    [[1, 2], [3]]
    """
    ax = _axes(ax, "Singular values", "rank", "singular value")
    places = np.arange(1, len(values) + 1)
    ax.plot(places[:units], values[:units], "o", color=SERIES[0], label="neurons")
    ax.plot(places[units:], values[units:], "o", color=QUIET, markerfacecolor="none", label="noise")
    if (values > 0).any():
        ax.set_yscale("log", nonpositive="mask")
    ax.locator_params(axis="x", integer=True)
    ax.legend(frameon=False)
    return ax


def draw_errors(ax: "Axes | None", errors: Sequence[float]) -> "Axes":
    """Draw the normalised squared error over steps of refinement; 1 is that of the outputs' mean.

    >>> draw_errors(None, [0.5, 0.1]).lines[0].get_ydata().tolist()
    [0.5, 0.1]
    """
    ax = _axes(ax, "Refinement", "step", "normalised squared error")
    ax.plot(np.arange(len(errors)), errors, "o-", color=SERIES[0])
    if max(errors, default=0) > DECADE * min(errors, default=0):
        ax.set_yscale("log", nonpositive="mask")
    ax.locator_params(axis="x", integer=True)
    return ax


def draw_score_z(ax: "Axes | None", z: Mapping[str, float]) -> "Axes":
    """Draw the z-scores of the score's identities as bars, broken ones in another colour, the limit as lines.

    >>> axes = draw_score_z(None, {"first": 0.3, "fourth": 20.0})
    >>> len({bar.get_facecolor() for bar in axes.patches})
    2
    """
    ax = _axes(ax, "Does the score fit?", "standard errors", "")
    colours = [SERIES[1] if abs(value) > LARGEST_Z else SERIES[0] for value in z.values()]
    ax.barh(list(z), list(z.values()), color=colours)
    for limit in (-LARGEST_Z, 0.0, LARGEST_Z):
        ax.axvline(limit, color=LINE if limit == 0 else QUIET, linestyle="-" if limit == 0 else "--", linewidth=0.9)
    ax.invert_yaxis()
    ax.grid(visible=False)
    return ax


def _axes(ax: "Axes | None", title: str, xlabel: str, ylabel: str) -> "Axes":
    if ax is None:
        return blank(title, xlabel, ylabel)[1]
    ax.set_title(title)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    return ax
