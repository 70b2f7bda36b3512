import pytest
import torch

from lightning_neuro.safe_mutation.tasks.flood_fill import flood_fill
from lightning_neuro.safe_mutation.tasks.grid_maze import grid_maze


@pytest.mark.parametrize("rooms", [2, 3, 4, 7])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_place_can_be_reached_in_one_way(rooms, seed):
    maze = grid_maze(rooms, seed)
    free = ~maze.walls
    assert bool(maze.walls[[0, -1]].all())
    assert bool(maze.walls[:, [0, -1]].all())
    assert bool(free[1::2, 1::2].all())  # every room
    assert bool(maze.walls[::2, ::2].all())  # every corner
    assert torch.equal(flood_fill(free, maze.goal) >= 0, free)
    joined = int((free[1:] & free[:-1]).sum() + (free[:, 1:] & free[:, :-1]).sum())
    assert joined == int(free.sum()) - 1 == 2 * rooms**2 - 2  # a tree


def test_the_goal_is_furthest_from_the_start():
    for seed in range(5):
        maze = grid_maze(4, seed)
        away = flood_fill(~maze.walls, maze.start)
        assert int(away[maze.goal]) == int(away.max()) == int(maze.steps_left[maze.start])


def test_a_seed_makes_one_maze_and_seeds_make_many():
    assert torch.equal(grid_maze(5, 3).walls, grid_maze(5, 3).walls)
    made = {(tuple(maze.walls.flatten().tolist()), maze.start) for maze in (grid_maze(4, seed) for seed in range(30))}
    assert len(made) == 30
    assert len({start for _, start in made}) > 8


def test_refusals():
    with pytest.raises(ValueError, match="rooms must be at least 2, got 1"):
        grid_maze(1, 0)
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        grid_maze(3, -1)
