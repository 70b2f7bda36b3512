"""Mazes seen from above as a gymnasium environment; needs gymnasium."""

from typing import Any, SupportsInt

import gymnasium
import numpy as np
from numpy.typing import NDArray

from lightning_neuro.safe_mutation.tasks.grid_maze import MOVES, Cell, GridMaze, grid_maze
from lightning_neuro.safe_mutation.tasks.topdown_views import views

Image = NDArray[np.uint8]
PIXELS_PER_CELL_SHOWN = 16


class TopdownMazeEnv(gymnasium.Env[Image, np.int64]):
    """One maze of the kind of `TopdownMaze`; every reset makes another one, by the seed.

    Observations are bytes `(3, V, V)`: walls, goal, agent. The reward is the share by which the way to the goal got
    shorter, so that the return is 1 at the goal, where the episode ends. It is cut after `2 (2 rooms ** 2 - 1)` moves.

    Args:
        rooms: per side of a maze.
        view: cells per side of the window, odd; None shows the whole maze.
        pixels_per_cell: pixels per side of a cell in an observation.
        render_mode: None, or "rgb_array".
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self, rooms: int = 4, view: int | None = 5, pixels_per_cell: int = 3, render_mode: str | None = None
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"TopdownMazeEnv: render_mode must be None or 'rgb_array', got {render_mode!r}.")
        self.render_mode = render_mode
        self._rooms, self._view, self._pixels_per_cell = rooms, view, pixels_per_cell
        self._place: Cell = (0, 0)
        self._moves = 0
        size = (2 * rooms + 1 if view is None else view) * pixels_per_cell
        self.observation_space = gymnasium.spaces.Box(0, 255, (3, size, size), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(MOVES))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Image, dict[str, Any]]:
        """Make a maze and stand at its start."""
        super().reset(seed=seed)
        self._begin(grid_maze(self._rooms, int(self.np_random.integers(2**31))))
        return self._observation(), self._info()

    def step(self, action: SupportsInt) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Move, if no wall is in the way."""
        down, right = MOVES[int(action)]
        there = self._place[0] + down, self._place[1] + right
        before = self._left()
        if not self._maze.walls[there]:
            self._place = there
        self._moves += 1
        reward = (before - self._left()) / int(self._maze.steps_left[self._maze.start])
        arrived = self._left() == 0
        over = self._moves >= 2 * (2 * self._rooms**2 - 1)
        return self._observation(), reward, arrived, over and not arrived, self._info()

    def render(self) -> Image | None:
        """Return an image `(H, W, 3)` of the whole maze: walls red, goal green, agent blue."""
        if self.render_mode is None:
            return None
        picture = views(self._maze, None, PIXELS_PER_CELL_SHOWN)[self._cell()]
        image: Image = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
        return image

    def _begin(self, maze: GridMaze) -> None:
        self._maze = maze
        self._place, self._moves = maze.start, 0
        self._images = views(maze, self._view, self._pixels_per_cell).numpy()

    def _cell(self) -> int:
        return self._place[0] * len(self._maze.walls) + self._place[1]

    def _left(self) -> int:
        return int(self._maze.steps_left[self._place])

    def _observation(self) -> Image:
        seen: Image = self._images[self._cell()].copy()
        return seen

    def _info(self) -> dict[str, Any]:
        return {"steps_left": self._left(), "solved": self._left() == 0}
