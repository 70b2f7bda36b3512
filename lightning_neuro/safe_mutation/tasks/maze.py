"""Mazes made of straight walls, with a start and a goal; the hard maze."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.tasks.walls import Segment, squared_distances, wall_rows

Point = tuple[float, float]


@dataclass(frozen=True)
class Maze:
    """Walls as line segments, a start and a goal. The y axis points down, as in pictures.

    Args:
        walls: `(x1, y1, x2, y2)` of each wall.
        start: where the robot sets off.
        goal: where it should go.
        heading: where it looks at first, in degrees; 0 is along x, 90 along y.

    Raises:
        ValueError: no wall, a wall of length 0, a coordinate below 0, or start or goal on a wall.
    """

    walls: tuple[Segment, ...]
    start: Point
    goal: Point
    heading: float = 0.0

    def __post_init__(self) -> None:
        if not self.walls:
            raise ValueError("Maze: walls must hold at least one wall, got none.")
        for wall in self.walls:
            if len(wall) != 4 or wall[:2] == wall[2:]:
                raise ValueError(f"Maze: every wall must be x1, y1, x2, y2 with two different ends, got {wall}.")
        for name, point in (("start", self.start), ("goal", self.goal)):
            if len(point) != 2 or squared_distances(torch.tensor([point], dtype=torch.float64), self._exact).min() == 0:
                raise ValueError(f"Maze: {name} must be x, y off every wall, got {point}.")
        for value in (*self.start, *self.goal, *(value for wall in self.walls for value in wall)):
            checks.number("Maze", "every coordinate", value, at_least=0)
        checks.number("Maze", "heading", self.heading)

    @property
    def size(self) -> tuple[int, int]:
        """Whole cells along x and y that hold every wall."""
        ends = self._exact
        far = torch.maximum(ends[:, :2], ends[:, :2] + ends[:, 2:4]).amax(0)
        return int(far[0]) + 1, int(far[1]) + 1

    def tables(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> "WallTables":
        """Walls and goal as tensors; the same ones for the same question."""
        return _tables(self, dtype, torch.device(device))

    @property
    def _exact(self) -> Tensor:
        return wall_rows(self.walls, torch.float64)


class WallTables(NamedTuple):
    """What the simulation asks a maze for.

    Args:
        walls: `(W, 5)`, see `wall_rows`.
        goal: `(2,)`.
    """

    walls: Tensor
    goal: Tensor


@functools.lru_cache(maxsize=16)
def _tables(maze: Maze, dtype: torch.dtype, device: torch.device) -> WallTables:
    goal = torch.tensor(maze.goal, dtype=dtype, device=device)
    return WallTables(wall_rows(maze.walls, dtype).to(device), goal)


HARD_MAZE = Maze(
    walls=(
        (41, 5, 3, 8),
        (3, 8, 4, 49),
        (4, 49, 57, 53),
        (4, 49, 7, 202),
        (7, 202, 195, 198),
        (195, 198, 186, 8),
        (186, 8, 39, 5),
        (56, 54, 56, 157),
        (57, 106, 158, 162),
        (77, 201, 108, 164),
        (6, 80, 33, 121),
        (192, 146, 87, 91),
        (56, 55, 133, 30),
    ),
    start=(36, 184),
    goal=(31, 20),
)
"""The hard maze of the novelty-search literature."""
