"""What a grid maze looks like from above, for an agent at any place of it."""

import torch
from torch import Tensor

from lightning_neuro.safe_mutation.tasks.grid_maze import GridMaze

WALLS, GOAL, AGENT = range(3)
"""Channels of an image."""


def views(maze: GridMaze, view: int | None, pixels_per_cell: int) -> Tensor:
    """Return the image for every cell the agent may stand on.

    Args:
        maze: what to look at.
        view: cells per side of a window with the agent in its middle, odd; None for the whole maze.
        pixels_per_cell: pixels per side of a cell.

    Returns:
        uint8 `(N * N, 3, V, V)`, 0 or 255: walls, goal, agent. Outside the maze is wall.

    >>> from lightning_neuro.safe_mutation.tasks.grid_maze import grid_maze
    >>> views(grid_maze(4, seed=0), view=5, pixels_per_cell=3).shape
    torch.Size([81, 3, 15, 15])
    """
    pictures = _whole(maze) if view is None else _windows(maze, view)
    pixels = pictures.repeat_interleave(pixels_per_cell, dim=-1).repeat_interleave(pixels_per_cell, dim=-2)
    return pixels.to(torch.uint8) * 255


def _whole(maze: GridMaze) -> Tensor:
    side = len(maze.walls)
    pictures = _ground(maze).repeat(side * side, 1, 1, 1)
    pictures[:, AGENT] = torch.eye(side * side, dtype=torch.bool).reshape(-1, side, side)
    return pictures


def _windows(maze: GridMaze, view: int) -> Tensor:
    side, around = len(maze.walls), view // 2
    ground = _ground(maze).to(torch.uint8)
    padded = torch.nn.functional.pad(ground, (around,) * 4)
    padded[WALLS] = torch.nn.functional.pad(ground[WALLS], (around,) * 4, value=1)
    windows = padded.unfold(1, view, 1).unfold(2, view, 1).movedim(0, 2).reshape(side * side, 3, view, view).clone()
    windows[:, AGENT, around, around] = 1
    return windows.bool()


def _ground(maze: GridMaze) -> Tensor:
    picture = torch.zeros(3, *maze.walls.shape, dtype=torch.bool)
    picture[WALLS] = maze.walls
    picture[(GOAL, *maze.goal)] = True
    return picture
