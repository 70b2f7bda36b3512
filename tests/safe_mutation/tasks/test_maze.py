import math

import pytest
import torch

from lightning_neuro.safe_mutation.tasks.flood_fill import flood_fill
from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE, Maze
from lightning_neuro.safe_mutation.tasks.walls import squared_distances

ROOM = ((0, 0, 9, 0), (9, 0, 9, 9), (9, 9, 0, 9), (0, 9, 0, 0))


def test_gold_hard_maze_has_13_walls_and_21402_cells_for_a_disc_of_radius_8():
    assert len(HARD_MAZE.walls) == 13
    assert HARD_MAZE.size == (196, 203)
    assert math.dist(HARD_MAZE.start, HARD_MAZE.goal) == pytest.approx(164.0762, abs=1e-4)
    cells = torch.cartesian_prod(torch.arange(196.0), torch.arange(203.0)).double()
    free = squared_distances(cells, HARD_MAZE.tables(torch.float64).walls).amin(-1) >= 64
    assert int((flood_fill(free.reshape(196, 203), (36, 184)) >= 0).sum()) == 21402


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"walls": ()}, "at least one wall, got none"),
        ({"walls": ((1, 1, 1, 1),)}, "two different ends"),
        ({"walls": ((1, 1, 2),)}, "two different ends"),
        ({"start": (0, 4)}, "start must be x, y off every wall"),
        ({"goal": (4, 9)}, "goal must be x, y off every wall"),
        ({"goal": (-4, 3)}, "at least 0, got -4"),
        ({"heading": math.nan}, "heading must be finite"),
    ],
)
def test_a_maze_that_cannot_be_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        Maze(**{"walls": ROOM, "start": (2, 2), "goal": (7, 7)} | changes)


def test_tables_are_made_once_per_precision():
    tables = HARD_MAZE.tables(torch.float32)
    assert tables is HARD_MAZE.tables(torch.float32)
    assert tables.walls.dtype == tables.goal.dtype == torch.float32
    assert HARD_MAZE.tables(torch.float64).walls.dtype == torch.float64
