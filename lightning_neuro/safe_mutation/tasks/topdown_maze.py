"""Mazes seen from above as pixels: find the goal with a view of a few cells."""

import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.evaluation import Evaluation
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.tasks.actor import Actor
from lightning_neuro.safe_mutation.tasks.grid_maze import MOVES, grid_maze
from lightning_neuro.safe_mutation.tasks.kept_observations import KeptObservations
from lightning_neuro.safe_mutation.tasks.topdown_policy import TopdownPolicy
from lightning_neuro.safe_mutation.tasks.topdown_views import views


class TopdownMaze:
    """A handful of mazes, each run through by every individual. Nothing is random but the mazes, which `seed` makes.

    The design is ours; it reproduces no published task. An agent sees a window of pixels around itself (walls, goal,
    itself) and moves up, right, down or left, whichever output is largest; a move into a wall leaves it where it is.
    Much looks the same from many places, so that a policy without memory turns in circles. Keeping to a wall finds
    the goal of every maze within the default number of steps.

    Fitness is the mean over mazes of `1 - steps left / steps at the start`: 0 for standing still, 1 if every goal is
    reached. Solved: it is. An individual whose policy returns NaN has fitness -inf. Extras: `reached`, the share of
    goals reached.

    Args:
        mazes: how many; each individual plays all.
        rooms: per side of a maze.
        steps: length of an episode; `2 (2 rooms ** 2 - 1)`, twice the number of free cells, if not given.
        view: cells per side of the window, odd; None shows the whole maze.
        pixels_per_cell: pixels per side of a cell.
        seed: of the mazes; another seed gives others of the kind, to see whether a policy learnt more than its own.

    Raises:
        TypeError: a number is not an integer.
        ValueError: a number is out of range.

    >>> task = TopdownMaze(mazes=2)
    >>> policy = BatchedPolicy(task.policy())
    >>> task(policy, torch.zeros(5, policy.size)).extras["reached"].tolist()  # up, whatever happens
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """

    output_steps = "all"

    def __init__(
        self,
        mazes: int = 8,
        rooms: int = 4,
        *,
        steps: int | None = None,
        view: int | None = 5,
        pixels_per_cell: int = 3,
        seed: int = 0,
    ) -> None:
        checks.integer("TopdownMaze", "mazes", mazes, at_least=1)
        checks.integer("TopdownMaze", "rooms", rooms, at_least=2)
        checks.integer("TopdownMaze", "seed", seed, at_least=0)
        default = 2 * (2 * rooms**2 - 1)
        self.steps = default if steps is None else checks.integer("TopdownMaze", "steps", steps, at_least=1)
        self.pixels_per_cell = checks.integer("TopdownMaze", "pixels_per_cell", pixels_per_cell, at_least=1)
        if view is not None and checks.integer("TopdownMaze", "view", view, at_least=3) % 2 == 0:
            raise ValueError(f"TopdownMaze: view must be odd, so that the agent is in the middle, got {view}.")
        self.mazes = [grid_maze(rooms, seed * 1_000_003 + index) for index in range(mazes)]
        side = len(self.mazes[0].walls)
        self._side = side
        self._moves = torch.tensor([down * side + right for down, right in MOVES])
        self._images = torch.stack([views(maze, view, pixels_per_cell) for maze in self.mazes])
        self._steps_left = torch.stack([maze.steps_left.flatten() for maze in self.mazes])
        self._starts = torch.tensor([maze.start[0] * side + maze.start[1] for maze in self.mazes])

    @property
    def image_size(self) -> int:
        """V, pixels per side of an observation `(3, V, V)`."""
        return self._images.shape[-1]

    def policy(self, *, filters: int = 4, hidden: int = 16) -> TopdownPolicy:
        """Return a convolutional recurrent policy for these images; see `TopdownPolicy`."""
        return TopdownPolicy(self.image_size, self.pixels_per_cell, filters, hidden)

    def __call__(self, policy: BatchedPolicy, params: Tensor, *, record: int = 0) -> Evaluation:
        """Return the evaluation of every row of `params`.

        Args:
            policy: maps bytes `(P, mazes, 3, V, V)` to `(P, mazes, 4)`, with or without a recurrent state.
            params: `(P, d)`.
            record: how many observations become states, bytes `(P, S, 3, V, V)`: the last; for a recurrent policy
                segments of the first steps `(P, T, S, 3, V, V)`, of as many mazes as fit.
        """
        self._to(params.device)
        recurrent = policy.interface.recurrence == "step"
        kept = KeptObservations(record, range(self.steps), batch=len(self.mazes), recurrent=recurrent)
        actor = Actor("TopdownMaze", policy, params, len(MOVES))
        cells = self._starts.repeat(len(params), 1)
        which = torch.arange(len(self.mazes), device=params.device)
        for step in range(self.steps):
            images = self._images[which, cells]
            kept.take(step, images)
            cells = self._moved(cells, which, actor(images).argmax(-1))
        left = self._steps_left[which, cells]
        progress = 1 - left / self._steps_left[which, self._starts]
        reached = left == 0
        return Evaluation(
            fitness=progress.mean(1).masked_fill(actor.broken, -torch.inf),
            states=kept.states(),
            solved=reached.all(1) & ~actor.broken,
            extras={"reached": reached.to(progress.dtype).mean(1)},
        )

    def _moved(self, cells: Tensor, which: Tensor, actions: Tensor) -> Tensor:
        """Return the next cells `(P, mazes)`; whoever is at the goal stays."""
        there = cells + self._moves[actions]
        stays = (self._steps_left[which, there] < 0) | (self._steps_left[which, cells] == 0)
        return torch.where(stays, cells, there)

    def _to(self, device: torch.device) -> None:
        if self._images.device != device:
            for name in ("_moves", "_images", "_steps_left", "_starts"):
                setattr(self, name, getattr(self, name).to(device))
