import numpy as np
import pytest

from lightning_neuro.safe_mutation import tasks
from lightning_neuro.safe_mutation.tasks.grid_maze import MOVES

gymnasium = pytest.importorskip("gymnasium")


def make(**options):
    return gymnasium.make("lightning_neuro/TopdownMaze-v0", **options)


def test_the_environment_keeps_the_rules_of_gymnasium():
    from gymnasium.utils.env_checker import check_env

    check_env(make(render_mode="rgb_array").unwrapped)


def test_the_shortest_way_earns_one_and_ends_the_episode():
    env = make().unwrapped
    env.reset(seed=3)
    maze, place, total, terminated = env._maze, env._maze.start, 0.0, False
    for _ in range(int(maze.steps_left[maze.start])):
        assert not terminated
        left = [int(maze.steps_left[place[0] + down, place[1] + right]) for down, right in MOVES]
        closer = next(k for k, steps in enumerate(left) if steps == int(maze.steps_left[place]) - 1)
        place = place[0] + MOVES[closer][0], place[1] + MOVES[closer][1]
        _, reward, terminated, truncated, info = env.step(np.int64(closer))
        total += reward
    assert terminated
    assert not truncated
    assert info == {"steps_left": 0, "solved": True}
    assert total == pytest.approx(1)


def test_a_wall_stops_and_time_runs_out():
    env = make(rooms=2)
    first, _ = env.reset(seed=0)
    maze = env.unwrapped._maze
    blocked = next(
        k for k, (down, right) in enumerate(MOVES) if maze.walls[maze.start[0] + down, maze.start[1] + right]
    )
    for move in range(14):
        observation, reward, terminated, truncated, _ = env.step(blocked)
        assert np.array_equal(observation, first)
        assert (reward, terminated, truncated) == (0.0, False, move == 13)


def test_resets_make_other_mazes_and_seeds_repeat_them():
    env = make()
    first, again, other = (env.reset(seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rendering_shows_the_whole_maze():
    env = make(render_mode="rgb_array")
    env.reset(seed=0)
    image, maze = env.render(), env.unwrapped._maze
    assert image.shape == (9 * 16, 9 * 16, 3)
    assert np.array_equal(image[::16, ::16, 0] == 255, maze.walls.numpy())
    assert image[16 * maze.goal[0], 16 * maze.goal[1], 1] == 255
    assert image[16 * maze.start[0], 16 * maze.start[1], 2] == 255
    with pytest.raises(ValueError, match="render_mode must be None or 'rgb_array', got 'human'"):
        tasks.topdown_env.TopdownMazeEnv(render_mode="human")
