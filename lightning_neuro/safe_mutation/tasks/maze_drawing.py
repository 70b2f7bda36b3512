"""A maze as a figure: walls, the trail of breadcrumbs, the way a robot took."""

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import ArrayLike

from lightning_neuro.common import plotting
from lightning_neuro.safe_mutation.tasks.breadcrumbs import Breadcrumbs
from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE, Maze

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_maze(
    path: ArrayLike | None = None, ax: "Axes | None" = None, *, maze: Maze = HARD_MAZE, title: str = ""
) -> "Figure":
    """Draw walls, start, goal, how far the goal is from everywhere, and a path.

    Args:
        path: `(T, 2)`, places of a robot, as from `BreadcrumbMaze.trajectories`.
        ax: where to draw; a figure of its own if not given.
        maze: what to draw.
        title: title of the picture.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        ValueError: `path` is not `(T, 2)`.

    >>> figure = draw_maze([[36, 184], [60, 184], [90, 150]])
    >>> len(figure.axes[0].lines)  # the walls, the path
    14
    """
    axes = _axes(title) if ax is None else ax
    figure = cast("Figure", axes.figure)
    _shade(axes, maze)
    for x1, y1, x2, y2 in maze.walls:
        axes.plot([x1, x2], [y1, y2], color=plotting.INK, linewidth=1.6, solid_capstyle="round")
    if path is not None:
        places = np.asarray(path, dtype=float)
        if places.ndim != 2 or places.shape[1] != 2:
            raise ValueError(f"draw_maze: path must be places (T, 2), got shape {places.shape}.")
        axes.plot(places[:, 0], places[:, 1], color=plotting.SERIES[0], linewidth=1.6)
        axes.scatter(places[-1, 0], places[-1, 1], s=34, color=plotting.SERIES[0], zorder=3)
    axes.scatter([maze.start[0]], [maze.start[1]], s=34, facecolor="white", edgecolor=plotting.SERIES[0], zorder=3)
    axes.scatter([maze.goal[0]], [maze.goal[1]], s=90, marker="*", color=plotting.SERIES[1], zorder=3)
    return figure


def _shade(axes: "Axes", maze: Maze) -> None:
    breadcrumbs = Breadcrumbs(maze)
    steps = breadcrumbs.table[1:-1, 1:-1].numpy().T
    known = np.ma.masked_equal(steps, breadcrumbs.worst)
    height, width = steps.shape
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(known, cmap="Greens_r", alpha=0.55, extent=extent, interpolation="nearest")
    axes.set_aspect("equal")
    axes.set_axis_off()


def _axes(title: str) -> "Axes":
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "draw_maze: drawing needs matplotlib, which is not installed. Install it with: "
            "pip install 'lightning-neuro[plot]', or take the image of maze_raster.background."
        ) from error
    figure = Figure(figsize=(4.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, color=plotting.INK, fontweight="bold")
    return axes
