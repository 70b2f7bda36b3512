import pytest
import torch

from lightning_neuro.safe_mutation.tasks.grid_maze import grid_maze
from lightning_neuro.safe_mutation.tasks.topdown_views import AGENT, GOAL, WALLS, views

MAZE = grid_maze(4, seed=2)
SIDE = 9


@pytest.mark.parametrize("view", [3, 5, 7])
def test_a_window_shows_what_is_around(view):
    images = views(MAZE, view, pixels_per_cell=1)
    around = view // 2
    for cell, image in enumerate(images):
        row, column = divmod(cell, SIDE)
        for down in range(-around, around + 1):
            for right in range(-around, around + 1):
                there = row + down, column + right
                inside = all(0 <= index < SIDE for index in there)
                pixel = image[:, down + around, right + around]
                assert bool(pixel[WALLS]) == (not inside or bool(MAZE.walls[there]))
                assert bool(pixel[GOAL]) == (there == MAZE.goal)
                assert bool(pixel[AGENT]) == (down == right == 0)


def test_the_whole_maze_shows_the_agent_at_its_place():
    images = views(MAZE, None, pixels_per_cell=1)
    assert images.shape == (81, 3, 9, 9)
    for cell in range(81):
        assert images[cell, AGENT].flatten().nonzero().item() == cell
        assert torch.equal(images[cell, WALLS] == 255, MAZE.walls)
        assert images[cell, GOAL].flatten().nonzero().item() == MAZE.goal[0] * 9 + MAZE.goal[1]


def test_pixels_repeat_cells():
    coarse, fine = views(MAZE, 5, 1), views(MAZE, 5, 3)
    assert fine.dtype == torch.uint8
    assert fine.unique().tolist() == [0, 255]
    for row in range(3):
        for column in range(3):
            assert torch.equal(fine[:, :, row::3, column::3], coarse)
