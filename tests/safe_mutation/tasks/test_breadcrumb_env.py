import numpy as np
import pytest
import torch

from lightning_neuro.safe_mutation import tasks
from lightning_neuro.safe_mutation.population import BatchedPolicy

gymnasium = pytest.importorskip("gymnasium")


def make(**options):
    return gymnasium.make("lightning_neuro/BreadcrumbMaze-v0", **options)


def test_the_environment_keeps_the_rules_of_gymnasium():
    from gymnasium.utils.env_checker import check_env

    check_env(make(render_mode="rgb_array").unwrapped)


def test_one_robot_earns_what_the_population_evaluator_says():
    policy = BatchedPolicy(tasks.DeepPolicy(11, 2, layers=1))
    params = torch.randn(3, policy.size, generator=torch.Generator().manual_seed(5))
    evaluation = tasks.BreadcrumbMaze()(policy, params)
    env = make()
    for index, vector in enumerate(params):
        observation, _ = env.reset(seed=0)
        total, decisions, over = 0.0, 0, False
        while not over:
            action = policy(vector[None], torch.from_numpy(observation)[None])[0, 0].numpy()
            observation, reward, terminated, truncated, info = env.step(action)
            total, decisions, over = total + reward, decisions + 1, terminated or truncated
        assert decisions == 134
        # In single precision a scrape along a wall may end differently when policies run one by one.
        assert total == pytest.approx(521 + float(evaluation.fitness[index]), abs=3)
        assert info["solved"] == bool(evaluation.solved[index])


def test_rendering_shows_the_robot_where_it_is():
    env = make(render_mode="rgb_array")
    env.reset()
    before = env.render()
    for _ in range(10):
        _, _, _, _, info = env.step(np.array([0.5, 1.0], np.float32))
    after = env.render()
    assert before.dtype == np.uint8
    assert before.ndim == 3
    changed = np.argwhere((before != after).any(-1))
    assert changed.min(0) == pytest.approx([2 * (184 - 8), 2 * (36 - 8)], abs=1)
    assert changed.max(0) == pytest.approx([2 * (184 + 8), 2 * (info["x"] + 8)], abs=1)
    assert make().unwrapped.render() is None


def test_an_unknown_render_mode_is_refused():
    with pytest.raises(ValueError, match="render_mode must be None or 'rgb_array', got 'human'"):
        tasks.breadcrumb_env.BreadcrumbMazeEnv(render_mode="human")
