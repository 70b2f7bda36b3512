from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.safe_mutation.tasks.flood_fill import flood_fill, steps_to_goal
from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE


def with_a_queue(open_cells, goal):
    steps = torch.full(open_cells.shape, -1)
    steps[goal] = 0
    queue = deque([goal])
    while queue:
        row, column = queue.popleft()
        for there in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            inside = all(0 <= index < size for index, size in zip(there, open_cells.shape, strict=True))
            if inside and open_cells[there] and steps[there] < 0:
                steps[there] = steps[row, column] + 1
                queue.append(there)
    return steps


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9), st.floats(0.2, 1))
@settings(max_examples=40, deadline=None)
def test_steps_are_those_of_a_search_with_a_queue(seed, rows, columns, openness):
    generator = torch.Generator().manual_seed(seed)
    cells = torch.rand(rows, columns, generator=generator) < openness
    goal = seed % rows, seed % columns
    assert torch.equal(flood_fill(cells, goal), with_a_queue(cells, goal))


def test_no_step_crosses_a_wall_of_the_hard_maze():
    steps = steps_to_goal(HARD_MAZE)
    assert int(steps[31, 20]) == 0
    assert {int(steps[32, 20]), int(steps[30, 20]), int(steps[31, 19]), int(steps[31, 21])} == {1}
    assert int(steps[36, 184]) == 521
    # Straight through the walls it would be 169: the way leads around four of them.
    assert int((steps >= 0).sum()) == 33886
    assert int(steps[0, 0]) == -1
    assert int(steps[56, 100]) == -1  # in a wall


def test_refusals():
    with pytest.raises(ValueError, match=r"bool matrix, got torch.float32 \(2, 2\)"):
        flood_fill(torch.ones(2, 2), (0, 0))
    with pytest.raises(ValueError, match=r"cell of \(2, 2\), got \(2, 0\)"):
        flood_fill(torch.ones(2, 2, dtype=torch.bool), (2, 0))
    with pytest.raises(ValueError, match=r"clearance must be at least 0\.5"):
        steps_to_goal(HARD_MAZE, clearance=0.1)
