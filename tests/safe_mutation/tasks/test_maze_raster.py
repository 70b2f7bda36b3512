import numpy as np

from lightning_neuro.safe_mutation.tasks import maze_raster
from lightning_neuro.safe_mutation.tasks.breadcrumbs import Breadcrumbs
from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE


def test_pixels_show_what_is_there():
    image = maze_raster.background(HARD_MAZE, Breadcrumbs(HARD_MAZE), scale=2)
    assert image.shape == (2 * 207, 2 * 200, 3)
    assert tuple(image[2 * 20, 2 * 31]) == maze_raster.GOAL
    assert tuple(image[2 * 100, 2 * 56]) == maze_raster.WALL
    assert tuple(image[0, 0]) == maze_raster.OUTSIDE
    near, far = image[2 * 20, 2 * 60].astype(int), image[2 * 184, 2 * 36].astype(int)
    assert near.sum() < far.sum()  # darker


def test_a_robot_is_painted_in_place_and_cut_at_the_edge():
    image = np.zeros((40, 40, 3), np.uint8)
    maze_raster.paint_robot_(image, 19, 10, heading=0.0, scale=2)
    assert tuple(image[2 * 10, 2 * 14]) == maze_raster.ROBOT
    assert not image[:, : 2 * 11].any()
    assert image[:, 39].any()
