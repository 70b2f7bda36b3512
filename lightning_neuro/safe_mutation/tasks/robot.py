"""The robot of the breadcrumb maze, in plain torch: how it moves, what it senses. A population moves at once.

A robot is a disc of radius 8 with seven numbers, see the columns below. It has a velocity along its heading and one
around itself; two actions say which velocities it should have, and it gets there by 0.2 per step.
"""

import math

import torch
from torch import Tensor

from lightning_neuro.safe_mutation.tasks.maze import Maze, WallTables
from lightning_neuro.safe_mutation.tasks.walls import ray_lengths, squared_distances

X, Y, HEADING, SPEED, SPIN, COLLISIONS, NEAREST = range(7)
"""Columns of a state: place, heading in degrees, speed, degrees per step, steps refused by a wall, and the least
distance to the goal so far."""

RADIUS = 8.0
REACH = 100.0
MOST_CHANGE = 0.2
MOST_SPEED = 3.0
RAY_ANGLES = (-90.0, -45.0, 0.0, 45.0, 90.0, -180.0)
OBSERVATIONS = 1 + len(RAY_ANGLES) + 4
ACTIONS = 2


def initial_state(maze: Maze, count: int, dtype: torch.dtype, device: torch.device | str = "cpu") -> Tensor:
    """`count` robots at the start, at rest, `(count, 7)`.

    >>> from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE
    >>> initial_state(HARD_MAZE, 1, torch.float64).round(decimals=4).tolist()
    [[36.0, 184.0, 0.0, 0.0, 0.0, 0.0, 164.0762]]
    """
    far = math.dist(maze.start, maze.goal)
    row = torch.tensor([*maze.start, maze.heading, 0.0, 0.0, 0.0, far], dtype=dtype, device=device)
    return row.repeat(count, 1)


def advance(state: Tensor, actions: Tensor, tables: WallTables) -> Tensor:
    """The robots one step later.

    A step moves a robot along its old heading with its new speed, then turns it. A place nearer than the radius to a
    wall is refused: the robot stays where it is, keeps its speed, and counts a collision.

    Args:
        state: `(P, 7)`.
        actions: `(P, 2)`, turn and speed from 0 to 1; 0.5 is rest. What lies outside is clipped.
        tables: of the maze.

    Returns:
        `(P, 7)`.

    >>> from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE
    >>> state, tables = initial_state(HARD_MAZE, 1, torch.float64), HARD_MAZE.tables(torch.float64)
    >>> advance(state, torch.tensor([[0.6, 1.0]], dtype=torch.float64), tables)[0, :5].round(decimals=4).tolist()
    [36.2, 184.0, 0.2, 0.2, 0.2]
    """
    wanted = (actions.clamp(0, 1) - 0.5) * (2 * MOST_SPEED)
    spin, speed = _approach(state[:, SPIN], wanted[:, 0]), _approach(state[:, SPEED], wanted[:, 1])
    angle = state[:, HEADING] * (math.pi / 180)
    here = state[:, :2]
    there = here + torch.stack([torch.cos(angle) * speed, torch.sin(angle) * speed], dim=1)
    refused = (squared_distances(there, tables.walls) < RADIUS**2).any(1)
    place = torch.where(refused[:, None], here, there)
    heading = state[:, HEADING] + spin
    heading = torch.where(heading > 360, heading - 360, torch.where(heading < 0, heading + 360, heading))
    nearest = torch.minimum(state[:, NEAREST], (place - tables.goal).square().sum(1).sqrt())
    collisions = state[:, COLLISIONS] + refused
    return torch.stack([place[:, 0], place[:, 1], heading, speed, spin, collisions, nearest], dim=1)


def _approach(velocity: Tensor, wanted: Tensor) -> Tensor:
    change = (wanted - velocity).clamp(-MOST_CHANGE, MOST_CHANGE)
    return (velocity + change).clamp(-MOST_SPEED, MOST_SPEED)


def sense(state: Tensor, tables: WallTables) -> Tensor:
    """What the robots sense: a constant 1, six rangefinders, four goal radars.

    A rangefinder gives the distance to the next wall over 100, at most 1, at -90, -45, 0, 45, 90 and 180 degrees from
    the heading. A radar is 1 while the goal lies in its quarter: ahead, at 90, behind, at 270 degrees.

    Args:
        state: `(P, 7)`.
        tables: of the maze.

    Returns:
        `(P, 11)`.

    >>> from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE
    >>> state = initial_state(HARD_MAZE, 1, torch.float64)
    >>> sense(state, HARD_MAZE.tables(torch.float64)).round(decimals=6).tolist()
    [[1.0, 1.0, 0.81556, 0.552432, 0.240711, 0.17383, 0.293529, 0.0, 0.0, 0.0, 1.0]]
    """
    relative = torch.tensor(RAY_ANGLES, dtype=state.dtype, device=state.device)
    angles = (state[:, HEADING, None] + relative) * (math.pi / 180)
    directions = torch.stack([torch.cos(angles), torch.sin(angles)], dim=-1)
    ranges = ray_lengths(state[:, :2], directions, tables.walls, REACH) / REACH
    ahead = tables.goal - state[:, :2]
    bearing = torch.atan2(ahead[:, 1], ahead[:, 0]) * (180 / math.pi) - state[:, HEADING]
    quarter = torch.remainder(torch.floor((bearing + 45) / 90), 4).long()
    radars = torch.nn.functional.one_hot(quarter, 4).to(state.dtype)
    return torch.cat([torch.ones_like(ranges[:, :1]), ranges, radars], dim=1)
