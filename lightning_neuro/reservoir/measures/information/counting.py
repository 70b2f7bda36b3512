"""How many points lie strictly within a box around each point.

By sorted ranks in one dimension, a wavelet matrix in two, a k-d tree in more. Boxes are cubes of
half-width r_i around point i in the maximum norm; the point itself is not counted.
"""

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from lightning_neuro.reservoir.measures.information.samples import Array

Counts = npt.NDArray[np.int64]


def neighbours_within(points: Array, radius: Array, *, workers: int = 1) -> Counts:
    """Return for each point the number of others closer than its radius.

    Args:
        points: `(n, d)`.
        radius: `(n,)`.
        workers: threads of the k-d tree.

    Returns:
        `(n,)`; n - 1 each where d = 0.

    >>> neighbours_within(np.array([[0.0], [1.0], [3.0]]), np.array([1.5, 1.5, 2.0])).tolist()
    [1, 1, 0]
    """
    samples, dimensions = points.shape
    if dimensions == 0:
        return np.full(samples, samples - 1, np.int64)
    if dimensions > 2:
        tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
        inside = np.nextafter(radius, 0)
        return tree.query_ball_point(points, inside, p=np.inf, return_length=True, workers=workers) - 1
    # The sum of a place and a radius is rounded; a point that lies on the edge must not slip in by that.
    inside = radius - 8 * np.finfo(np.float64).eps * (abs(points).max(axis=1) + radius)
    if dimensions == 1:
        first, last, _, _ = _interval(points[:, 0], inside)
        found = last - first
    else:
        found = _rectangles(points, inside)
    return np.maximum(found - 1, 0)


def _interval(values: Array, radius: Array) -> tuple[Counts, Counts, Counts, Counts]:
    """Return per value the ranks [first, last) within its radius, the order, and the ranks themselves.

    Queries go in ascending order, which keeps the search within the cache.
    """
    order = np.argsort(values, kind="stable")
    ascending, width = values[order], radius[order]
    first, last = np.empty_like(order), np.empty_like(order)
    first[order] = np.searchsorted(ascending, ascending - width, side="left")
    last[order] = np.searchsorted(ascending, ascending + width, side="right")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first, last, order, rank


def _rectangles(points: Array, radius: Array) -> Counts:
    first, last, order, _ = _interval(points[:, 0], radius)
    low, high, _, rank = _interval(points[:, 1], radius)
    limits = np.concatenate([high, low])
    inside = ranks_below(rank[order], np.tile(first, 2), np.tile(last, 2), limits)
    return inside[: len(points)] - inside[len(points) :]


def ranks_below(ranks: Counts, first: Counts, last: Counts, limits: Counts) -> Counts:
    """Return how many of `ranks[first:last]` are less than each limit, by a wavelet matrix.

    Bit by bit from the highest, ranks are sorted stably by the bit; a query's stretch [first, last) stays a stretch in
    each half, so that n queries take log2(n) passes of array operations.

    Args:
        ranks: a permutation of 0 to n - 1.
        first: `(q,)`, begin of each stretch.
        last: `(q,)`, its end.
        limits: `(q,)`, from 0 to n.

    >>> ranks_below(np.array([2, 0, 3, 1]), np.array([0, 1]), np.array([3, 4]), np.array([3, 4])).tolist()
    [2, 3]
    """
    total = np.zeros(len(limits), np.int64)
    samples = len(ranks)
    for bit in reversed(range(samples.bit_length())):  # n itself is a limit, so its bits count
        is_zero = (ranks >> bit) & 1 == 0
        zeros = np.concatenate([[0], np.cumsum(is_zero)])
        zeros_first, zeros_last = zeros[first], zeros[last]
        above = (limits >> bit) & 1 == 1
        total += np.where(above, zeros_last - zeros_first, 0)
        first = np.where(above, first - zeros_first + zeros[-1], zeros_first)
        last = np.where(above, last - zeros_last + zeros[-1], zeros_last)
        ranks = np.concatenate([ranks[is_zero], ranks[~is_zero]])
    return total
