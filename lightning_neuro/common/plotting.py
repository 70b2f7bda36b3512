"""Pictures for reports: curves with their spread over seeds, spike rasters, histograms before and after.

Every function returns a `matplotlib.figure.Figure` of its own and leaves pyplot alone. Colours are safe for
colour-blind readers and series also differ by line style. `to_svg` names the colours as CSS variables, so that a page
decides how they look in light and dark; everywhere else the colours in the file are used.

matplotlib is imported when the first picture is drawn: `pip install 'lightning-neuro[plot]'`.
"""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, LINE = "#22262b", "#5c646e", "#dcdfe3"
SERIES = ("#0072b2", "#c14f00", "#00785a", "#a8447f")
_STYLES = ("-", "--", "-.", ":")
_VARIABLES = {INK: "--ink", QUIET: "--quiet", LINE: "--line"} | {
    colour: f"--series-{index}" for index, colour in enumerate(SERIES)
}


def curves(
    series: Mapping[str, ArrayLike],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    x: ArrayLike | None = None,
    log_x: bool = False,
) -> "Figure":
    """Mean over seeds as a thick line, the standard deviation as a band, every seed as a thin line.

    Args:
        series: name -> values `(seeds, points)`.
        title: title of the picture.
        xlabel: what the points are.
        ylabel: what the values are.
        x: `(points,)`, place of each point; 1, 2, ... where left out.
        log_x: logarithmic axis for few places, such as a grid of learning rates; each is marked.

    Raises:
        ValueError: a series is not two-dimensional, or nothing was given.

    >>> figure = curves({"plain": [[0.2, 0.4], [0.4, 0.6]]})
    >>> [float(y) for y in figure.axes[0].lines[-1].get_ydata()]  # the mean
    [0.30000000000000004, 0.5]
    """
    figure, axes = blank(title, xlabel, ylabel)
    _series_count("curves", series)
    for (name, values), colour, style in zip(series.items(), SERIES, _STYLES, strict=False):
        runs = _matrix("curves", name, values)
        at = np.arange(1, runs.shape[1] + 1) if x is None else np.asarray(x)
        mean, std = runs.mean(axis=0), runs.std(axis=0, ddof=1) if len(runs) > 1 else 0.0
        axes.plot(at, runs.T, color=colour, linewidth=0.6, alpha=0.45)
        axes.fill_between(at, mean - std, mean + std, color=colour, alpha=0.16, linewidth=0)
        axes.plot(at, mean, style, color=colour, linewidth=1.9, label=name)
    if x is None:
        axes.locator_params(axis="x", integer=True)
    elif log_x:
        _mark_on_log_axis(axes, np.asarray(x))
    _legend(axes)
    return figure


def spike_raster(spikes: ArrayLike, *, title: str = "", ylabel: str = "neuron") -> "Figure":
    """One mark per spike: time step across, neuron up.

    Args:
        spikes: `(T, N)`; whatever is greater than 0 is a spike.
        title: title of the picture.
        ylabel: what the rows are.

    Raises:
        ValueError: `spikes` is not two-dimensional.

    >>> figure = spike_raster([[0, 1], [1, 1]])
    >>> len(figure.axes[0].collections[0].get_offsets())
    3
    """
    grid = _matrix("spike_raster", "spikes", spikes)
    figure, axes = blank(title, "time step", ylabel)
    step, neuron = np.nonzero(grid > 0)
    axes.scatter(step, neuron, marker="_", s=36, linewidths=1.1, color=SERIES[0])
    axes.set_xlim(-0.5, len(grid) - 0.5)
    axes.set_ylim(-1, grid.shape[1])
    axes.grid(visible=False)
    return figure


def histograms(
    samples: Mapping[str, ArrayLike], *, title: str = "", xlabel: str = "", bins: int = 60, percentile: float = 99.9
) -> "Figure":
    """Outlines of several samples over the same bins, counts on a logarithmic axis.

    Args:
        samples: name -> values of any shape, not all zero.
        title: title of the picture.
        xlabel: what the values are.
        bins: number of bins.
        percentile: the axis ends at this percentile of the largest sizes; what lies beyond is counted in the end bins.

    Raises:
        ValueError: a sample is empty, or nothing was given.

    >>> figure = histograms({"before": [-1.0, 0.0, 1.0], "after": [-0.1, 0.0, 0.1]}, bins=3)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['before', 'after']
    """
    _series_count("histograms", samples)
    flat = {name: np.ravel(np.asarray(values, dtype=float)) for name, values in samples.items()}
    for name, values in flat.items():
        if values.size == 0:
            raise ValueError(f"histograms: sample {name!r} must hold at least one value, got none.")
    figure, axes = blank(title, xlabel, "count")
    limit = max(float(np.percentile(np.abs(values), percentile)) for values in flat.values()) or 1.0
    edges = np.linspace(-limit, limit, bins + 1)
    for (name, values), colour, style in zip(flat.items(), SERIES, _STYLES, strict=False):
        count, _ = np.histogram(np.clip(values, -limit, limit), edges)
        axes.stairs(count, edges, color=colour, linestyle=style, linewidth=1.6, label=name)
    axes.set_yscale("log")
    axes.locator_params(axis="x", nbins=5)
    _legend(axes)
    return figure


def blank(title: str, xlabel: str, ylabel: str) -> tuple["Figure", "Axes"]:
    """A small figure in the house style, and its axes: few lines, a grid across.

    >>> blank("Accuracy", "epoch", "share")[1].get_xlabel()
    'epoch'
    """
    figure = _figure_class()(figsize=(4.2, 2.9), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold")
    axes.set_xlabel(xlabel, color=QUIET)
    axes.set_ylabel(ylabel, color=QUIET)
    axes.tick_params(colors=QUIET, which="both", length=0, labelsize=9)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(LINE)
    return figure, axes


def to_svg(figure: "Figure") -> str:
    """The figure as SVG markup to stand inside a page.

    >>> markup = to_svg(curves({"plain": [[0.2, 0.4]]}, title="Accuracy"))
    >>> markup.startswith("<svg"), "var(--series-0, #0072b2)" in markup, ">Accuracy<" in markup
    (True, True, True)
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    unnamed = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # Text stays text: it can be read aloud, searched, and takes the page's typeface. A fixed salt, with the picture's
    # own words in it, gives the same file for the same picture and different clip names for different ones.
    words = "/".join([axes.get_title() + axes.get_ylabel() for axes in figure.axes])
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": words}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=unnamed)
    markup = buffer.getvalue()
    markup = markup[markup.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        markup = markup.replace(colour, f"var({variable}, {colour})")
    return markup


def _mark_on_log_axis(axes: "Axes", places: "np.ndarray[Any, Any]") -> None:
    axes.set_xscale("log")
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.set_xticks([], minor=True)


def _legend(axes: "Axes") -> None:
    axes.legend(frameon=False, labelcolor=INK, fontsize=9, handlelength=2.2)


def _figure_class() -> "type[Figure]":
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "lightning_neuro: drawing needs matplotlib, which is not installed. "
            "Install it with: pip install 'lightning-neuro[plot]'"
        ) from error
    return Figure


def _series_count(owner: str, series: Mapping[str, Any] | Sequence[Any]) -> None:
    if not 1 <= len(series) <= len(SERIES):
        raise ValueError(f"{owner}: expected 1 to {len(SERIES)} named series, got {len(series)}.")


def _matrix(owner: str, name: str, values: ArrayLike) -> "np.ndarray[Any, np.dtype[np.float64]]":
    matrix = np.asarray(values, dtype=float)
    if matrix.ndim != 2 or matrix.size == 0:
        raise ValueError(f"{owner}: {name!r} must be a table with two dimensions, got shape {matrix.shape}.")
    return matrix
