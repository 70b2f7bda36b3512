import pytest
import torch
from torch import nn

from lightning_neuro.safe_mutation.evaluation import evaluate
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.tasks import robot
from lightning_neuro.safe_mutation.tasks.breadcrumb_maze import BreadcrumbMaze
from lightning_neuro.safe_mutation.tasks.breadcrumbs import Breadcrumbs
from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE, Maze
from lightning_neuro.safe_mutation.tasks.policies import DeepPolicy

ROOM = Maze(((0, 0, 90, 0), (90, 0, 90, 60), (90, 60, 0, 60), (0, 60, 0, 0)), start=(20, 30), goal=(65, 30))


@pytest.fixture(scope="module")
def population():
    policy = BatchedPolicy(DeepPolicy(11, 2, layers=1).double())
    generator = torch.Generator().manual_seed(1)
    return policy, torch.randn(4, policy.size, generator=generator, dtype=torch.float64)


class Memory(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.GRUCell(11, 4), nn.Linear(4, 2)

    def forward(self, observations, state=None):
        state = self.cell(observations, state)
        return torch.sigmoid(self.out(state)), state


def one_robot(module, steps, repeat=3):
    """The obvious loop: one robot, one policy."""
    tables, state = HARD_MAZE.tables(torch.float64), robot.initial_state(HARD_MAZE, 1, torch.float64)
    seen, hidden, solved = [], None, False
    for step in range(steps):
        if step % repeat == 0:
            seen.append(robot.sense(state, tables))
            answer = module(seen[-1], hidden) if isinstance(module, Memory) else (module(seen[-1]), None)
            action, hidden = answer
        state = robot.advance(state, action, tables)
        solved |= bool((state[0, :2] - tables.goal).norm() < 10)
    return state, torch.cat(seen), solved


@torch.no_grad()
def test_every_individual_does_what_it_would_do_alone(population):
    policy, params = population
    evaluation = evaluate(BreadcrumbMaze(steps=200), policy, params, record=400)
    for index, vector in enumerate(params):
        state, seen, solved = one_robot(policy.individual(vector), steps=200)
        assert evaluation.fitness[index] == -Breadcrumbs(HARD_MAZE)(state[0, :2])
        assert evaluation.solved[index] == solved
        assert evaluation.extras["collisions"][index] == state[0, robot.COLLISIONS]
        assert evaluation.extras["reward"][index] == pytest.approx(
            -float((state[0, :2] - torch.tensor([31, 20])).norm())
        )
        torch.testing.assert_close(evaluation.states[index], seen)
    assert len(set(evaluation.fitness.tolist())) > 1


@torch.no_grad()
def test_recurrent_policies_record_segments_from_their_zero_state():
    policy = BatchedPolicy(Memory().double())
    params = torch.randn(2, policy.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    evaluation = evaluate(BreadcrumbMaze(steps=40), policy, params, record=9)
    assert evaluation.states.shape == (2, 9, 1, 11)
    for index, vector in enumerate(params):
        state, seen, _ = one_robot(policy.individual(vector), steps=40)
        torch.testing.assert_close(evaluation.states[index, :, 0], seen[:9])
        assert evaluation.fitness[index] == -Breadcrumbs(HARD_MAZE)(state[0, :2])


def test_last_observations_are_recorded_at_decisions_or_at_every_step(population):
    policy, params = population
    coarse = BreadcrumbMaze(steps=31)(policy, params, record=400).states
    fine = BreadcrumbMaze(steps=31, record_at="steps")(policy, params, record=400).states
    assert coarse.shape == (4, 11, 11)
    assert fine.shape == (4, 31, 11)
    torch.testing.assert_close(coarse, fine[:, ::3])
    torch.testing.assert_close(BreadcrumbMaze(steps=31)(policy, params, record=4).states, coarse[:, -4:])
    assert BreadcrumbMaze(steps=31)(policy, params).states is None


def test_solved_is_to_have_been_near_the_goal_at_any_step():
    policy = BatchedPolicy(nn.Linear(11, 2))
    ahead, rest, broken = (torch.zeros(policy.size) for _ in range(3))
    ahead[-2:], rest[-2:], broken[-1] = torch.tensor([0.5, 1.0]), torch.tensor([0.5, 0.5]), torch.nan
    evaluation = BreadcrumbMaze(ROOM, steps=60)(policy, torch.stack([ahead, rest, broken]))
    assert evaluation.solved.tolist() == [True, False, False]
    assert evaluation.extras["nearest"][0] < 10 < -evaluation.extras["reward"][0]  # it drove on, to the far wall
    assert evaluation.fitness.tolist() == [-15.0, -45.0, -torch.inf]


def test_trajectories_end_where_fitness_is_read(population):
    policy, params = population
    task = BreadcrumbMaze(steps=50)
    ways = task.trajectories(policy, params)
    assert ways.shape == (4, 51, 2)
    assert ways[:, 0].tolist() == [[36.0, 184.0]] * 4
    assert torch.equal(-task.breadcrumbs(ways[:, -1]).double(), task(policy, params).fitness)


@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_splitting_a_population_changes_nothing(population, backend):
    policy, params = population
    task = BreadcrumbMaze(steps=60, backend=backend)
    apart = torch.cat([task(policy, part).fitness for part in params.split(2)])
    assert torch.equal(task(policy, params).fitness, apart)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"steps": 0}, ValueError, "steps must be at least 1, got 0"),
        ({"action_repeat": 1.5}, TypeError, "action_repeat must be an integer"),
        ({"record_at": "ends"}, ValueError, "record_at must be one of 'decisions', 'steps', got 'ends'"),
        ({"success_distance": 0}, ValueError, "success_distance must be greater than 0"),
        ({"backend": "cuda"}, ValueError, "backend must be one of"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, words):
    with pytest.raises(error, match=f"BreadcrumbMaze: {words}"):
        BreadcrumbMaze(**arguments)
