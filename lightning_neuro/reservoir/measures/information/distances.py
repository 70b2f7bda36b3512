"""Neighbours from all distances, in chunks on a torch device: more work than k-d trees, but work that a GPU likes."""

from collections.abc import Sequence

import numpy as np
import torch

from lightning_neuro.reservoir.measures.information.counting import Counts
from lightning_neuro.reservoir.measures.information.samples import Array

_CHUNK = 2**24  # distances at once, 128 MB in float64


def neighbour_counts(
    points: Array, spaces: Sequence[Array], neighbours: int, *, theiler: int = 0, device: str = "cpu"
) -> tuple[Array, list[Counts]]:
    """Return the distance to the k-th neighbour, and how many points are strictly closer in each subspace.

    Args:
        points: `(n, d)`.
        spaces: arrays `(n, d_s)`; without columns, all points count.
        neighbours: k.
        theiler: rows this close in time are no neighbours.
        device: torch device.

    >>> points = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 0.5]])
    >>> radius, (count,) = neighbour_counts(points, [points[:, :1]], 1)
    >>> radius.tolist(), count.tolist()
    ([2.0, 2.0, 2.0], [1, 1, 0])
    """
    samples = len(points)
    whole, *parts = (torch.as_tensor(array, device=device) for array in (points, *spaces))
    rows = torch.arange(samples, device=device)
    radii, counts = [], []
    for chunk in rows.split(max(1, _CHUNK // samples)):
        near_in_time = (chunk[:, None] - rows).abs() <= theiler
        distance = _apart(whole, chunk).masked_fill_(near_in_time, torch.inf)
        radius = distance.kthvalue(neighbours, dim=1).values
        radii.append(radius)
        closer = [_apart(part, chunk) < radius[:, None] for part in parts]
        counts.append(torch.stack([(inside & ~near_in_time).sum(dim=1) for inside in closer]))
    found = torch.cat(counts, dim=1).cpu().numpy()
    return np.asarray(torch.cat(radii).cpu().numpy()), list(found)


def _apart(points: torch.Tensor, chunk: torch.Tensor) -> torch.Tensor:
    """Distances in the maximum norm, column by column, so that no array has three axes."""
    distance = torch.zeros(len(chunk), len(points), dtype=points.dtype, device=points.device)
    for column in points.T:
        torch.maximum(distance, (column[chunk, None] - column).abs_(), out=distance)
    return distance
