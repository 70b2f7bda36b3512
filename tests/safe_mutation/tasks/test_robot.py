import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.safe_mutation.tasks import robot, simulation
from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE
from lightning_neuro.safe_mutation.tasks.walls import squared_distances

GOLD_OBSERVATION = [1, 1, 0.815560, 0.552432, 0.240711, 0.173830, 0.293529, 0, 0, 0, 1]
# action, step, x, y, heading, speed, spin, collisions
GOLD_TRACE = [
    ((0.5, 1.0), 10, 47.0000, 184.0000, 0.0, 2.0, 0.0, 0),
    ((0.5, 1.0), 50, 78.0000, 184.0000, 0.0, 3.0, 0.0, 29),
    ((0.6, 1.0), 10, 46.9813, 184.5790, 5.4, 2.0, 0.6, 0),
    ((0.6, 1.0), 400, 14.8526, 188.4328, 239.4009, 3.0, 0.6, 359),
    ((0.2, 1.0), 10, 46.9473, 183.0807, 349.2, 2.0, -1.8, 0),
    ((0.2, 1.0), 50, 106.7086, 144.3533, 277.2005, 3.0, -1.8, 15),
    ((0.2, 1.0), 400, 79.7339, 183.5534, 7.2007, 3.0, -1.8, 281),
]
BACKENDS = ["reference", "auto"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_gold_observation_at_the_start(backend):
    state = robot.initial_state(HARD_MAZE, 2, torch.float32)
    sensed = simulation.sense(state, HARD_MAZE.tables(torch.float32), backend=backend)
    torch.testing.assert_close(sensed, torch.tensor([GOLD_OBSERVATION] * 2), atol=1e-6, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("action", [(0.5, 1.0), (0.6, 1.0), (0.2, 1.0)])
def test_gold_trace(action, backend):
    state, tables = robot.initial_state(HARD_MAZE, 1, torch.float32), HARD_MAZE.tables(torch.float32)
    wanted = {row[1]: row[2:] for row in GOLD_TRACE if row[0] == action}
    for step in range(1, max(wanted) + 1):
        state = simulation.advance(state, torch.tensor([action]), tables, backend=backend)
        if step in wanted:
            loose = 0.05 if step == 400 else 1e-3  # the order of rounding shows in long scrapes along walls
            torch.testing.assert_close(state[0, :6].tolist(), [float(v) for v in wanted[step]], atol=loose, rtol=0)


@given(st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_robots_stay_inside_keep_their_limits_and_never_touch_a_wall(seed):
    generator = torch.Generator().manual_seed(seed)
    tables = HARD_MAZE.tables(torch.float64)
    state = robot.initial_state(HARD_MAZE, 4, torch.float64)
    for _ in range(60):
        before = state
        actions = torch.randn(4, 2, generator=generator, dtype=torch.float64) * 2
        state = robot.advance(state, actions, tables)
        assert (squared_distances(state[:, :2], tables.walls) >= 64).all()
        assert (state[:, [robot.SPEED, robot.SPIN]].abs() <= 3).all()
        change = (state - before)[:, [robot.SPEED, robot.SPIN]]
        assert (change.abs() <= 0.2 + 1e-12).all()
        assert ((state[:, robot.HEADING] >= 0) & (state[:, robot.HEADING] <= 360)).all()
        refused = state[:, robot.COLLISIONS] > before[:, robot.COLLISIONS]
        assert torch.equal(state[refused, :2], before[refused, :2])
        to_goal = (state[:, :2] - tables.goal).norm(dim=1)
        torch.testing.assert_close(state[:, robot.NEAREST], torch.minimum(before[:, robot.NEAREST], to_goal))


def test_actions_beyond_the_limits_are_clipped():
    state, tables = robot.initial_state(HARD_MAZE, 1, torch.float64), HARD_MAZE.tables(torch.float64)
    wild, tame = (torch.tensor([pair], dtype=torch.float64) for pair in ((-7.0, 9.0), (0.0, 1.0)))
    assert torch.equal(robot.advance(state, wild, tables), robot.advance(state, tame, tables))


@pytest.mark.parametrize(
    ("heading", "quarter"), [(268.2, 0), (200.0, 1), (90.0, 2), (350.0, 3), (223.0, 1), (224.0, 0)]
)
def test_one_radar_sees_the_goal(heading, quarter):
    state = robot.initial_state(HARD_MAZE, 1, torch.float64)
    state[0, robot.HEADING] = heading  # the goal lies at 268.25 degrees
    radars = robot.sense(state, HARD_MAZE.tables(torch.float64))[0, 7:]
    assert radars.tolist() == [float(k == quarter) for k in range(4)]
