"""The hard maze with a trail of breadcrumbs: a whole population of robots at once."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.evaluation import Evaluation
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.tasks import robot, simulation
from lightning_neuro.safe_mutation.tasks.actor import Actor
from lightning_neuro.safe_mutation.tasks.breadcrumbs import Breadcrumbs
from lightning_neuro.safe_mutation.tasks.kept_observations import KeptObservations
from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE, Maze
from lightning_neuro.safe_mutation.tasks.simulation import BACKENDS, Backend


class BreadcrumbMaze:
    """Drive a robot through a maze; the closer the way that is left, the better. Nothing is random.

    Fitness is minus the number of steps of the flood fill from the robot's last cell to the goal, see `Breadcrumbs`.
    Solved: nearer than `success_distance` to the goal at any step; the episode goes on. An individual whose policy
    returns NaN has fitness -inf. Extras: `reward`, minus the straight distance to the goal at the end; `nearest`, the
    least distance to it; `collisions`.

    Policies take the 11 numbers of `robot.sense` and return turn and speed, each 0 to 1; more is clipped.

    Args:
        maze: walls, start and goal.
        steps: length of an episode.
        action_repeat: steps between two decisions of the policy.
        record_at: which observations become states: those at "decisions", or those of all "steps".
        success_distance: see above.
        backend: "auto" takes compiled loops for tensors on the CPU where numba is installed, else plain torch.

    Raises:
        TypeError: a number is of the wrong type.
        ValueError: a number is out of range, or a name is unknown.

    Source: maze and robot of the novelty-search literature, fitness of arXiv 1712.06563. The flood fill is
    ours: at the start it holds 521 where the authors' file holds 523, the goal has 0, and cells without a way to the
    goal are worst instead of best.

    >>> from lightning_neuro.safe_mutation.tasks.policies import DeepPolicy
    >>> policy = BatchedPolicy(DeepPolicy(11, 2))
    >>> evaluation = BreadcrumbMaze()(policy, torch.zeros(2, policy.size), record=100)  # sigmoid(0) is rest
    >>> evaluation.fitness.tolist(), tuple(evaluation.states.shape)
    ([-521.0, -521.0], (2, 100, 11))
    """

    output_steps = "all"

    def __init__(
        self,
        maze: Maze = HARD_MAZE,
        *,
        steps: int = 400,
        action_repeat: int = 3,
        record_at: Literal["decisions", "steps"] = "decisions",
        success_distance: float = 10.0,
        backend: Backend = "auto",
    ) -> None:
        self.maze = maze
        self.steps = checks.integer("BreadcrumbMaze", "steps", steps, at_least=1)
        self.action_repeat = checks.integer("BreadcrumbMaze", "action_repeat", action_repeat, at_least=1)
        self.record_at = checks.choice("BreadcrumbMaze", "record_at", record_at, ["decisions", "steps"])
        self.success_distance = checks.number("BreadcrumbMaze", "success_distance", success_distance, above=0)
        self.backend: Backend = checks.choice("BreadcrumbMaze", "backend", backend, BACKENDS)
        self.breadcrumbs = Breadcrumbs(maze)

    def __call__(self, policy: BatchedPolicy, params: Tensor, *, record: int = 0) -> Evaluation:
        """Return the evaluation of every row of `params`.

        Args:
            policy: maps `(P, 1, 11)` to `(P, 1, 2)`, with or without a recurrent state.
            params: `(P, d)`.
            record: the last so many observations become states `(P, S, 11)`; for a recurrent policy the first so many,
                `(P, T, 1, 11)`, as it must be run from its zero state.
        """
        kept = KeptObservations(record, self._observed_steps(), recurrent=policy.interface.recurrence == "step")
        actor = Actor("BreadcrumbMaze", policy, params, robot.ACTIONS)
        for state in self._episode(actor, self._start(params), kept):  # noqa: B007, only the last one counts
            pass
        end, broken = state[:, :2], actor.broken
        goal = self.maze.tables(state.dtype, state.device).goal
        return Evaluation(
            fitness=-self.breadcrumbs(end).to(state.dtype).masked_fill(broken, torch.inf),
            states=kept.states(),
            solved=(state[:, robot.NEAREST] < self.success_distance) & ~broken,
            extras={
                "reward": -(end - goal).square().sum(1).sqrt(),
                "nearest": state[:, robot.NEAREST],
                "collisions": state[:, robot.COLLISIONS],
            },
        )

    def trajectories(self, policy: BatchedPolicy, params: Tensor) -> Tensor:
        """Return where every robot was, `(P, steps + 1, 2)`, the start first."""
        start = self._start(params)
        actor = Actor("BreadcrumbMaze", policy, params, robot.ACTIONS)
        states = self._episode(actor, start, KeptObservations(0, [], recurrent=False))
        return torch.stack([start[:, :2], *(state[:, :2] for state in states)], dim=1)

    def _episode(self, actor: Actor, state: Tensor, kept: KeptObservations) -> Iterator[Tensor]:
        """Yield the robots after every step."""
        tables = self.maze.tables(state.dtype, state.device)
        for step in range(self.steps):
            decides = step % self.action_repeat == 0
            if decides or kept.wants(step):
                observations = simulation.sense(state, tables, backend=self.backend)
                kept.take(step, observations[:, None])
            if decides:
                moves = actor(observations[:, None])[:, 0].nan_to_num(nan=0.5).to(state.dtype)
            state = simulation.advance(state, moves, tables, backend=self.backend)
            yield state

    def _observed_steps(self) -> list[int]:
        return list(range(0, self.steps, 1 if self.record_at == "steps" else self.action_repeat))

    def _start(self, params: Tensor) -> Tensor:
        dtype = params.dtype if params.dtype in (torch.float32, torch.float64) else torch.float32
        return robot.initial_state(self.maze, len(params), dtype, params.device)
