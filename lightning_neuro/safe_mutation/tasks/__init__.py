"""Tasks to evolve policies on, each evaluating a whole population at once."""

from lightning_neuro.safe_mutation.tasks import illustrative
from lightning_neuro.safe_mutation.tasks.breadcrumb_maze import BreadcrumbMaze
from lightning_neuro.safe_mutation.tasks.environments import register_environments
from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE, Maze
from lightning_neuro.safe_mutation.tasks.maze_drawing import draw_maze
from lightning_neuro.safe_mutation.tasks.policies import DeepPolicy
from lightning_neuro.safe_mutation.tasks.recurrent_parity import ParityPolicy, RecurrentParity, parity_table
from lightning_neuro.safe_mutation.tasks.topdown_maze import TopdownMaze
from lightning_neuro.safe_mutation.tasks.topdown_policy import TopdownPolicy

register_environments()

__all__ = [
    "HARD_MAZE",
    "BreadcrumbMaze",
    "DeepPolicy",
    "Maze",
    "ParityPolicy",
    "RecurrentParity",
    "TopdownMaze",
    "TopdownPolicy",
    "draw_maze",
    "illustrative",
    "parity_table",
    "register_environments",
]
