"""How many steps each place of a maze is away from the goal, along the ways that are open."""

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.tasks.maze import Maze
from lightning_neuro.safe_mutation.tasks.walls import squared_distances


def flood_fill(open_cells: Tensor, goal: tuple[int, int]) -> Tensor:
    """Steps from every cell to the goal, moving to one of the four neighbours at a time.

    Args:
        open_cells: bool `(N, M)`, which cells can be walked on.
        goal: index of the cell to reach; it counts as open.

    Returns:
        int64 `(N, M)`: 0 at the goal, -1 where there is no way to it.

    Raises:
        ValueError: `open_cells` is not a bool matrix, or the goal lies outside.

    >>> flood_fill(torch.tensor([[True, True, False, True], [True, False, False, True]]), (0, 0)).tolist()
    [[0, 1, -1, -1], [1, -1, -1, -1]]
    """
    if open_cells.ndim != 2 or open_cells.dtype != torch.bool:
        raise ValueError(
            f"flood_fill: open_cells must be a bool matrix, got {open_cells.dtype} {tuple(open_cells.shape)}."
        )
    shape = tuple(open_cells.shape)
    if not all(0 <= index < size for index, size in zip(goal, shape, strict=True)):
        raise ValueError(f"flood_fill: goal must be the index of a cell of {shape}, got {goal}.")
    walkable = open_cells.numpy(force=True).copy()
    walkable[goal] = True
    origin = int(np.ravel_multi_index(goal, shape))
    steps = dijkstra(_neighbours(walkable), directed=False, indices=origin, unweighted=True)
    return torch.from_numpy(np.where(np.isfinite(steps), steps, -1).astype(np.int64).reshape(shape))


def steps_to_goal(maze: Maze, *, clearance: float = 1.0) -> Tensor:
    """Steps from every cell of a maze to its goal; a cell `(i, j)` stands at the point x = i, y = j.

    Args:
        maze: walls and goal.
        clearance: a cell is open if it lies further than this from every wall. Not below 0.5: a step between two
            cells could cross a wall.

    Returns:
        int64 `(X, Y)` of `maze.size`: 0 at the goal, -1 where there is no way to it.

    Raises:
        ValueError: `clearance` is less than 0.5.

    >>> room = Maze(((0, 0, 9, 0), (9, 0, 9, 9), (9, 9, 0, 9), (0, 9, 0, 0)), start=(2, 2), goal=(7, 7))
    >>> steps = steps_to_goal(room)
    >>> int(steps[7, 7]), int(steps[2, 2]), int(steps[0, 0])
    (0, 10, -1)
    """
    checks.number("steps_to_goal", "clearance", clearance, at_least=0.5)
    columns, rows = (torch.arange(size, dtype=torch.float64) for size in maze.size)
    cells = torch.cartesian_prod(columns, rows).reshape(len(columns), len(rows), 2)
    distances = squared_distances(cells, maze.tables(torch.float64).walls).amin(-1)
    return flood_fill(distances > clearance**2, (int(maze.goal[0]), int(maze.goal[1])))


def _neighbours(walkable: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> coo_array:
    """Which walkable cells touch, as a sparse matrix over flat indices; each pair once."""
    index = np.arange(walkable.size).reshape(walkable.shape)
    down, across = walkable[1:] & walkable[:-1], walkable[:, 1:] & walkable[:, :-1]
    first = np.concatenate([index[:-1][down], index[:, :-1][across]])
    second = np.concatenate([index[1:][down], index[:, 1:][across]])
    return coo_array((np.ones(len(first), np.int8), (first, second)), shape=(walkable.size, walkable.size)).tocsr()
