"""The breadcrumb maze as a gymnasium environment; needs gymnasium."""

from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from lightning_neuro.safe_mutation.tasks import maze_raster, robot, simulation
from lightning_neuro.safe_mutation.tasks.breadcrumbs import Breadcrumbs
from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE, Maze

Observation = NDArray[np.float32]


class BreadcrumbMazeEnv(gymnasium.Env[Observation, Observation]):
    """One robot in the maze, on the step function of `BreadcrumbMaze`; a step is a decision.

    The reward is by how many cells the way to the goal got shorter, so that the return is 521 (the start) plus the
    fitness of `BreadcrumbMaze`. The episode is cut after `steps` steps of the robot; nothing ends it earlier.

    Info: `x`, `y`, `nearest` (least distance to the goal so far), `collisions`, `solved`.

    Args:
        maze: walls, start and goal.
        steps: length of an episode, in steps of the robot.
        action_repeat: steps of the robot per decision.
        success_distance: solved if nearer to the goal than this at any step.
        render_mode: None, or "rgb_array".
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(
        self,
        maze: Maze = HARD_MAZE,
        steps: int = 400,
        action_repeat: int = 3,
        success_distance: float = 10.0,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"BreadcrumbMazeEnv: render_mode must be None or 'rgb_array', got {render_mode!r}.")
        self.render_mode = render_mode
        self._maze, self._tables = maze, maze.tables(torch.float32)
        self._steps, self._action_repeat, self._success_distance = steps, action_repeat, success_distance
        self._breadcrumbs = Breadcrumbs(maze)
        self._background: maze_raster.Image | None = None
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (robot.OBSERVATIONS,), np.float32)
        self.action_space = gymnasium.spaces.Box(0.0, 1.0, (robot.ACTIONS,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Put the robot at the start; the seed changes nothing."""
        super().reset(seed=seed)
        self._state = robot.initial_state(self._maze, 1, torch.float32)
        self._elapsed = 0
        return self._observation(), self._info()

    def step(self, action: ArrayLike) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move the robot `action_repeat` steps, or as many as are left."""
        moves = torch.as_tensor(np.asarray(action, dtype=np.float32)).reshape(1, robot.ACTIONS).nan_to_num(nan=0.5)
        before = self._way_left()
        repeat = min(self._action_repeat, self._steps - self._elapsed)
        for _ in range(repeat):
            self._state = simulation.advance(self._state, moves, self._tables)
        self._elapsed += repeat
        truncated = self._elapsed >= self._steps
        return self._observation(), float(before - self._way_left()), False, truncated, self._info()

    def render(self) -> maze_raster.Image | None:
        """Return an image `(H, W, 3)` of walls, breadcrumbs, goal and robot."""
        if self.render_mode is None:
            return None
        if self._background is None:
            self._background = maze_raster.background(self._maze, self._breadcrumbs)
        image = self._background.copy()
        x, y, heading = self._state[0, :3].tolist()
        maze_raster.paint_robot_(image, x, y, heading)
        return image

    def _observation(self) -> Observation:
        sensed: Observation = simulation.sense(self._state, self._tables)[0].numpy()
        return sensed

    def _way_left(self) -> int:
        return int(self._breadcrumbs(self._state[0, :2]))

    def _info(self) -> dict[str, Any]:
        x, y, *_, collisions, nearest = self._state[0].tolist()
        solved = nearest < self._success_distance
        return {"x": x, "y": y, "nearest": nearest, "collisions": int(collisions), "solved": solved}
