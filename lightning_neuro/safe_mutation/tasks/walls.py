"""Straight walls: how far a point is from them, how far a ray flies before it meets one."""

import torch
from torch import Tensor

Segment = tuple[float, float, float, float]


def wall_rows(walls: tuple[Segment, ...], dtype: torch.dtype) -> Tensor:
    """One row per wall: its first end, the vector to its second end, and 1 over the square of its length.

    >>> wall_rows(((1.0, 2.0, 1.0, 6.0),), torch.float64).tolist()
    [[1.0, 2.0, 0.0, 4.0, 0.0625]]
    """
    ends = torch.tensor(walls, dtype=torch.float64)
    along = ends[:, 2:] - ends[:, :2]
    return torch.cat([ends[:, :2], along, along.square().sum(1, keepdim=True).reciprocal()], dim=1).to(dtype)


def squared_distances(points: Tensor, walls: Tensor) -> Tensor:
    """Square of the distance of each point to its nearest place on each wall.

    Args:
        points: `(..., 2)`.
        walls: `(W, 5)`, see `wall_rows`.

    Returns:
        `(..., W)`.

    >>> walls = wall_rows(((0, 0, 10, 0),), torch.float64)
    >>> squared_distances(torch.tensor([[5.0, 3.0], [13.0, 4.0]], dtype=torch.float64), walls).tolist()
    [[9.0], [25.0]]
    """
    from_x, from_y = (points[..., axis, None] - walls[:, axis] for axis in (0, 1))
    along_x, along_y = walls[:, 2], walls[:, 3]
    share = ((from_x * along_x + from_y * along_y) * walls[:, 4]).clamp(0, 1)
    return (from_x - share * along_x).square() + (from_y - share * along_y).square()


def ray_lengths(points: Tensor, directions: Tensor, walls: Tensor, reach: float) -> Tensor:
    """How far rays fly before they meet a wall, at most `reach`.

    A ray that runs parallel to a wall, or meets just its end, flies on.

    Args:
        points: `(P, 2)`, where the rays start.
        directions: `(P, R, 2)`, of length 1.
        walls: `(W, 5)`, see `wall_rows`.
        reach: the most that is reported.

    Returns:
        `(P, R)`.

    >>> walls = wall_rows(((4, -1, 4, 1),), torch.float64)
    >>> point = torch.zeros(1, 2, dtype=torch.float64)
    >>> ray_lengths(point, torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], dtype=torch.float64), walls, reach=100.0).tolist()
    [[4.0, 100.0]]
    """
    to_x, to_y = (walls[:, axis] - points[:, axis, None] for axis in (0, 1))
    along_x, along_y = walls[:, 2], walls[:, 3]
    ray_x, ray_y = directions[..., 0, None], directions[..., 1, None]
    slant = ray_x * along_y - ray_y * along_x
    length = (to_x * along_y - to_y * along_x)[:, None] / slant
    share = (to_x[:, None] * ray_y - to_y[:, None] * ray_x) / slant
    met = (slant != 0) & (length > 0) & (length < reach) & (share > 0) & (share < 1)
    return torch.where(met, length, reach).amin(-1)
