import pytest
import torch
from torch import nn

from lightning_neuro.safe_mutation.evaluation import evaluate
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.tasks.grid_maze import MOVES
from lightning_neuro.safe_mutation.tasks.topdown_maze import TopdownMaze


class WallFollower(nn.Module):
    """Keeps its right hand on the wall; remembers in which direction it walked. Weight 0 forgets."""

    def __init__(self):
        super().__init__()
        self.memory = nn.Conv2d(1, 1, 1, bias=False)

    def forward(self, images, state=None):
        centre = images.shape[-1] // 2
        cell = 3
        openings = torch.stack(
            [images[:, 0, centre + cell * down, centre + cell * right] == 0 for down, right in MOVES], 1
        )
        heading = torch.zeros(len(images), 4, dtype=self.memory.weight.dtype) if state is None else state
        heading = heading * self.memory.weight.flatten()
        heading = torch.where((heading.sum(1, keepdim=True) > 0), heading, torch.eye(4)[0].to(heading))
        right, back, left = (heading.roll(turn, 1) for turn in (1, 2, 3))
        scores = (8 * right + 4 * heading + 2 * left + back) * openings
        return scores, torch.eye(4).to(heading)[scores.argmax(1)]


@pytest.fixture(scope="module")
def task():
    return TopdownMaze()


def test_every_maze_can_be_solved_with_memory_and_not_so_without(task):
    policy = BatchedPolicy(WallFollower())
    evaluation = evaluate(task, policy, torch.tensor([[1.0], [0.0]]))
    assert evaluation.solved.tolist() == [True, False]
    assert evaluation.fitness[0] == 1.0
    assert evaluation.extras["reached"][0] == 1.0
    assert evaluation.extras["reached"][1] < 0.5
    other = TopdownMaze(rooms=6, seed=5)(policy, torch.tensor([[1.0]]))
    assert other.solved.tolist() == [True]


def test_random_policies_fail(task):
    policy = BatchedPolicy(task.policy())
    torch.manual_seed(0)
    founders = torch.stack([policy.genome.vector(task.policy()) for _ in range(64)])
    evaluation = evaluate(task, policy, founders)
    assert not evaluation.solved.any()
    assert evaluation.extras["reached"].mean() < 0.1
    assert evaluation.fitness.unique().numel() > 1  # there is something to select from


@torch.no_grad()
def test_every_individual_does_what_it_would_do_alone():
    task = TopdownMaze(mazes=2, rooms=3, steps=12, seed=1)
    policy = BatchedPolicy(task.policy())
    params = torch.randn(4, policy.size, generator=torch.Generator().manual_seed(2))
    evaluation = evaluate(task, policy, params, record=999)
    assert evaluation.states.shape == (4, 12, 2, 3, 15, 15)
    for index, vector in enumerate(params):
        module, progress = policy.individual(vector), []
        for number, maze in enumerate(task.mazes):
            place, state = maze.start, None
            for step in range(12):
                image = evaluation.states[index, step, number]
                window = image[0, ::3, ::3] == 255
                padded = nn.functional.pad(maze.walls.int(), (2, 2, 2, 2), value=1)
                assert torch.equal(window, padded[place[0] : place[0] + 5, place[1] : place[1] + 5].bool())
                scores, state = module(image[None], state)
                down, right = MOVES[int(scores.argmax())]
                there = place[0] + down, place[1] + right
                place = place if maze.walls[there] or place == maze.goal else there
            progress.append(1 - int(maze.steps_left[place]) / int(maze.steps_left[maze.start]))
        assert evaluation.fitness[index] == pytest.approx(sum(progress) / 2)


def test_feed_forward_policies_play_and_record_the_last_images():
    task = TopdownMaze(mazes=3, rooms=2, steps=5)

    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.scores = nn.Linear(675, 4)

        def forward(self, images):
            return self.scores(images.flatten(1) / 255)

    flat = BatchedPolicy(Flat(), observation_ndim=3)
    evaluation = evaluate(task, flat, torch.zeros(2, flat.size), record=7)
    assert evaluation.states.shape == (2, 7, 3, 15, 15)
    assert evaluation.states.dtype == torch.uint8


def test_nan_is_worst():
    task = TopdownMaze(mazes=1, rooms=2)
    policy = BatchedPolicy(task.policy())
    params = torch.zeros(2, policy.size)
    params[1] = torch.nan
    evaluation = task(policy, params)
    assert evaluation.fitness[1] == -torch.inf
    assert torch.isfinite(evaluation.fitness[0])


def test_seeds_make_other_mazes_and_the_whole_maze_can_be_shown():
    first, second, again = TopdownMaze(seed=0), TopdownMaze(seed=1), TopdownMaze(seed=1)
    assert not torch.equal(first.mazes[0].walls, second.mazes[0].walls)
    assert torch.equal(second.mazes[3].walls, again.mazes[3].walls)
    assert (first.steps, first.image_size) == (62, 15)
    assert TopdownMaze(view=None).image_size == 27


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"mazes": 0}, ValueError, "mazes must be at least 1"),
        ({"rooms": 1}, ValueError, "rooms must be at least 2"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"view": 4}, ValueError, "view must be odd, so that the agent is in the middle, got 4"),
        ({"view": 1}, ValueError, "view must be at least 3"),
        ({"seed": "a"}, TypeError, "seed must be an integer"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, words):
    with pytest.raises(error, match=f"TopdownMaze: {words}"):
        TopdownMaze(**arguments)
