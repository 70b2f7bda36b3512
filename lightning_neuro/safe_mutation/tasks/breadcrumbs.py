"""How far the goal of a maze is along the corridors, for any place in it."""

import functools

import torch
from torch import Tensor

from lightning_neuro.safe_mutation.tasks.flood_fill import steps_to_goal
from lightning_neuro.safe_mutation.tasks.maze import Maze


class Breadcrumbs:
    """Steps from the cell of a place to the goal, moving to one of four neighbours at a time.

    A place belongs to the cell of its whole coordinates. Where there is no way to the goal - in a wall, behind one,
    outside - it is one step more than in the worst cell that has one.

    Args:
        maze: walls and goal.

    >>> from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE
    >>> breadcrumbs = Breadcrumbs(HARD_MAZE)
    >>> breadcrumbs(torch.tensor([[36.9, 184.0], [31.0, 20.0], [-5.0, 900.0]])).tolist()
    [521, 0, 641]
    """

    def __init__(self, maze: Maze) -> None:
        steps = _steps(maze)
        self.worst = int(steps.max()) + 1
        # A rim without a way stands for everything outside.
        self.table = torch.nn.functional.pad(steps.where(steps >= 0, self.worst), (1, 1, 1, 1), value=self.worst)

    def __call__(self, places: Tensor) -> Tensor:
        """Return int64 `(...)` for places `(..., 2)`; NaN and infinity count as outside."""
        if self.table.device != places.device:
            self.table = self.table.to(places.device)
        most = torch.tensor(self.table.shape, device=places.device) - 1
        cells = (torch.floor(places.nan_to_num(nan=-1.0)) + 1).clamp(min=0).minimum(most.to(places.dtype)).long()
        return self.table[cells[..., 0], cells[..., 1]]


@functools.lru_cache(maxsize=16)
def _steps(maze: Maze) -> Tensor:
    """Environments are made by the hundred for one maze."""
    return steps_to_goal(maze)
