"""Tasks to evolve policies on, each evaluating a whole population at once."""

from lightning_neuro.safe_mutation.tasks.breadcrumb_maze import BreadcrumbMaze
from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE, Maze
from lightning_neuro.safe_mutation.tasks.policies import DeepPolicy
from lightning_neuro.safe_mutation.tasks.recurrent_parity import ParityPolicy, RecurrentParity, parity_table

__all__ = [
    "HARD_MAZE",
    "BreadcrumbMaze",
    "DeepPolicy",
    "Maze",
    "ParityPolicy",
    "RecurrentParity",
    "parity_table",
]
