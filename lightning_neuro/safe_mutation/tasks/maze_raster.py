"""A maze as an image of pixels, without any drawing library."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_neuro.safe_mutation.tasks.breadcrumbs import Breadcrumbs
from lightning_neuro.safe_mutation.tasks.maze import Maze
from lightning_neuro.safe_mutation.tasks.robot import RADIUS
from lightning_neuro.safe_mutation.tasks.walls import squared_distances

Image = NDArray[np.uint8]

WALL, OUTSIDE, GOAL, ROBOT, NOSE = (34, 38, 43), (255, 255, 255), (193, 79, 0), (0, 114, 178), (255, 255, 255)
NEAR, FAR = (0, 120, 90), (232, 240, 236)
WALL_HALF_WIDTH = 1.0
GOAL_RADIUS = 4.0


def background(maze: Maze, breadcrumbs: Breadcrumbs, scale: int = 2) -> Image:
    """Walls, goal, and the way that is left to it as shades; the darker, the nearer.

    Args:
        maze: what to draw.
        breadcrumbs: of this maze.
        scale: pixels per unit of length.

    Returns:
        uint8 `(H, W, 3)`.
    """
    places = _places(maze, scale)
    steps = breadcrumbs(places)
    share = (steps / breadcrumbs.worst).clamp(0, 1)[..., None]
    image = torch.tensor(NEAR) * (1 - share) + torch.tensor(FAR) * share
    image[steps == breadcrumbs.worst] = torch.tensor(OUTSIDE, dtype=image.dtype)
    near_wall = squared_distances(places, maze.tables(torch.float32).walls).amin(-1) <= WALL_HALF_WIDTH**2
    image[near_wall] = torch.tensor(WALL, dtype=image.dtype)
    picture: Image = image.round().to(torch.uint8).numpy()
    paint_disc_(picture, maze.goal, GOAL_RADIUS, GOAL, scale)
    return picture


def paint_robot_(image: Image, x: float, y: float, heading: float, scale: int = 2) -> None:
    """Paint the robot, in place: a disc with a light spot where it looks."""
    angle = math.radians(heading)
    paint_disc_(image, (x, y), RADIUS, ROBOT, scale)
    paint_disc_(image, (x + 5 * math.cos(angle), y + 5 * math.sin(angle)), 2.0, NOSE, scale)


def paint_disc_(image: Image, centre: tuple[float, float], radius: float, colour: tuple[int, ...], scale: int) -> None:
    """Paint a disc, in place; what lies outside the image is left out.

    >>> image = np.zeros((4, 4, 3), np.uint8)
    >>> paint_disc_(image, (1, 1), 1.0, (255, 0, 0), scale=1)
    >>> int((image[..., 0] == 255).sum())
    5
    """
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    inside = (columns / scale - centre[0]) ** 2 + (rows / scale - centre[1]) ** 2 <= radius**2
    image[inside] = colour


def _places(maze: Maze, scale: int) -> torch.Tensor:
    """Coordinates of every pixel, `(H, W, 2)`; a margin at the far end keeps outer walls whole."""
    width, height = (scale * (size + 4) for size in maze.size)
    rows, columns = torch.meshgrid(torch.arange(height) / scale, torch.arange(width) / scale, indexing="ij")
    return torch.stack([columns, rows], dim=-1)
