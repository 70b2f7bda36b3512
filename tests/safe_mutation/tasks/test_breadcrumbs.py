import torch

from lightning_neuro.safe_mutation.tasks.breadcrumbs import Breadcrumbs
from lightning_neuro.safe_mutation.tasks.flood_fill import steps_to_goal
from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE


def test_places_read_the_cell_of_their_whole_coordinates():
    breadcrumbs, steps = Breadcrumbs(HARD_MAZE), steps_to_goal(HARD_MAZE)
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(500, 2, generator=generator) * 190 + 3
    for (x, y), read in zip(places.tolist(), breadcrumbs(places).tolist(), strict=True):
        known = int(steps[int(x), int(y)])
        assert read == (known if known >= 0 else breadcrumbs.worst)


def test_no_way_to_the_goal_is_worst_wherever_that_is():
    breadcrumbs = Breadcrumbs(HARD_MAZE)
    lost = torch.tensor([[0.0, 0.0], [1e9, 5.0], [-1e9, 20.0], [torch.nan, 20.0], [torch.inf, 3.0], [-0.5, 100.0]])
    assert breadcrumbs.worst == int(steps_to_goal(HARD_MAZE).max()) + 1
    assert set(breadcrumbs(lost).tolist()) == {breadcrumbs.worst}
