"""Mazes on a grid, made by chance: one way between any two places."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.tasks.flood_fill import flood_fill

MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""What the four actions add to row and column: up, right, down, left."""

Cell = tuple[int, int]


@dataclass(frozen=True)
class GridMaze:
    """Walls, start and goal on a grid.

    Args:
        walls: bool `(N, N)`, rows down; the rim is wall.
        start: row and column.
        goal: row and column.
        steps_left: int64 `(N, N)`, steps to the goal, -1 in walls.
    """

    walls: Tensor
    start: Cell
    goal: Cell
    steps_left: Tensor


def grid_maze(rooms: int, seed: int) -> GridMaze:
    """Carve a maze of `rooms x rooms` rooms and as many corridors as join them without a circle.

    It starts in a random room; the goal is the place furthest from it.

    Args:
        rooms: per side; the grid has `2 rooms + 1` cells per side.
        seed: of the maze.

    Raises:
        TypeError: a number is not an integer.
        ValueError: fewer than two rooms per side, or a seed below 0.

    >>> maze = grid_maze(3, seed=0)
    >>> tuple(maze.walls.shape), int((~maze.walls).sum())  # 9 rooms and 8 corridors
    ((7, 7), 17)
    """
    checks.integer("grid_maze", "rooms", rooms, at_least=2)
    generator = np.random.default_rng(checks.integer("grid_maze", "seed", seed, at_least=0))
    row, column = (int(index) for index in generator.integers(rooms, size=2))
    start = 2 * row + 1, 2 * column + 1
    walls = _carved(rooms, start, generator)
    from_start = flood_fill(~walls, start)
    goal = divmod(int(from_start.argmax()), len(walls))
    return GridMaze(walls, start, goal, flood_fill(~walls, goal))


def _carved(rooms: int, start: Cell, generator: np.random.Generator) -> Tensor:
    """Walk from room to unseen room, breaking the wall between, and back where there is none left."""
    walls = torch.ones(2 * rooms + 1, 2 * rooms + 1, dtype=torch.bool)
    walls[start] = False
    way = [start]
    while way:
        row, column = way[-1]
        ahead = [
            (down, right)
            for down, right in MOVES
            if 0 < row + 2 * down < len(walls) and 0 < column + 2 * right < len(walls)
            if walls[row + 2 * down, column + 2 * right]
        ]
        if not ahead:
            way.pop()
            continue
        down, right = ahead[generator.integers(len(ahead))]
        walls[row + down, column + right] = False
        walls[row + 2 * down, column + 2 * right] = False
        way.append((row + 2 * down, column + 2 * right))
    return walls
