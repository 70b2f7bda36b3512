"""Information and entropy from distances to nearest neighbours in the maximum norm.

Kraskov, Stoegbauer and Grassberger's first algorithm (2004), its conditional form by Frenzel and Pompe (2007), and
Kozachenko and Leonenko's entropy.
"""

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import psi

from lightning_neuro.reservoir.measures.information.counting import Counts, neighbours_within
from lightning_neuro.reservoir.measures.information.samples import Array, standardized

TIE_BREAK = 1e-8


def ksg_information(
    x: Array,
    y: Array,
    z: Array | None = None,
    *,
    neighbours: int = 4,
    theiler: int = 0,
    workers: int = 1,
    device: str | None = None,
    seed: int = 0,
) -> Array:
    """Return pointwise I(X;Y|Z) in nats, `(n,)`; its mean is the estimate.

        i = psi(k) - psi(n_xz + 1) - psi(n_yz + 1) + psi(n_z + 1),

    n_. the points strictly closer in that subspace than the k-th neighbour in the whole; n_z = n - 1 without Z.
    Columns are standardised, ties broken by noise of 1e-8. Columns of X or Y that are constant or stand in Z too are
    left out; without any left the information is 0.

    Args:
        x: `(n, d_x)`.
        y: `(n, d_y)`.
        z: `(n, d_z)`.
        neighbours: k.
        theiler: rows this close in time are no neighbours.
        workers: threads of k-d trees.
        device: where distances are computed all to all, in chunks; None for k-d trees on the CPU.
        seed: of the noise.

    Raises:
        ValueError: not more rows than neighbours.

    >>> rng = np.random.default_rng(0)
    >>> x, e = rng.standard_normal((2, 5000, 1))
    >>> round(float(ksg_information(x, 0.6 * x + 0.8 * e).mean()), 2)  # 0.223
    0.22
    """
    samples = len(x)
    check_neighbours(samples, neighbours, theiler)
    z = np.zeros((samples, 0)) if z is None else standardized(z)
    z = z[:, z.any(axis=0)]
    x, y = _informative(standardized(x), z), _informative(standardized(y), z)
    if x.shape[1] == 0 or y.shape[1] == 0:
        return np.zeros(samples)
    joint = np.concatenate([x, y, z], axis=1)
    joint += TIE_BREAK * np.random.default_rng(seed).standard_normal(joint.shape)
    d_x, d_y = x.shape[1], y.shape[1]
    of_x, of_y, of_z = np.split(joint, [d_x, d_x + d_y], axis=1)
    spaces = [np.concatenate([of_x, of_z], axis=1), np.concatenate([of_y, of_z], axis=1), of_z]
    if device is not None:
        from lightning_neuro.reservoir.measures.information.distances import neighbour_counts

        _, counts = neighbour_counts(joint, spaces, neighbours, theiler=theiler, device=device)
    else:
        radius = neighbour_distance(joint, neighbours, theiler=theiler, workers=workers)
        counts = [_counts(space, radius, theiler, workers) for space in spaces]
    return psi(neighbours) - digamma_next(counts[0]) - digamma_next(counts[1]) + digamma_next(counts[2])


def neighbour_distance(points: Array, neighbours: int, *, theiler: int = 0, workers: int = 1) -> Array:
    """Return the distance of each point to its k-th neighbour, `(n,)`.

    >>> neighbour_distance(np.array([[0.0], [1.0], [3.0]]), 1).tolist()
    [1.0, 1.0, 2.0]
    """
    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    if theiler == 0:
        found, _ = tree.query(points, [neighbours + 1], p=np.inf, workers=workers)
        return found[:, 0]
    wide = min(neighbours + 1 + 2 * theiler, len(points))  # at most 2w and the point itself are close in time
    found, place = tree.query(points, wide, p=np.inf, workers=workers)
    apart = abs(place - np.arange(len(points))[:, None]) > theiler
    kth = (np.cumsum(apart, axis=1) == neighbours).argmax(axis=1)
    return found[np.arange(len(points)), kth]


def kozachenko_leonenko(x: Array, *, neighbours: int = 4, workers: int = 1, seed: int = 0) -> Array:
    """Return pointwise entropy of X in nats, `(n,)`.

        H = psi(n) - psi(k) + d <ln 2 r>,  r the distance to the k-th neighbour

    A vector with a constant column has -inf.

    Raises:
        ValueError: not more rows than neighbours.

    >>> x = np.random.default_rng(0).uniform(0, 2, (5000, 1))
    >>> round(float(kozachenko_leonenko(x).mean()), 1)  # ln 2
    0.7
    """
    samples, dimensions = x.shape
    check_neighbours(samples, neighbours, 0)
    scaled, std = standardized(x), x.std(axis=0)
    if not scaled.any(axis=0).all():
        return np.full(samples, -np.inf)
    scaled += TIE_BREAK * np.random.default_rng(seed).standard_normal(scaled.shape)
    radius = neighbour_distance(scaled, neighbours, workers=workers)
    return psi(samples) - psi(neighbours) + dimensions * np.log(2 * radius) + np.log(std).sum()


def check_neighbours(samples: int, neighbours: int, theiler: int) -> None:
    """Check that every point has k neighbours.

    Raises:
        ValueError: it has not.

    >>> check_neighbours(4, 4, 0)
    Traceback (most recent call last):
    ValueError: ksg: 4 neighbours need at least 5 samples, got 4. Give a longer series or fewer neighbours.
    """
    if samples < neighbours + 1 + 2 * theiler:
        raise ValueError(
            f"ksg: {neighbours} neighbours need at least {neighbours + 1 + 2 * theiler} samples, got {samples}. "
            "Give a longer series or fewer neighbours."
        )


def digamma_next(counts: Counts) -> Array:
    """Return psi(count + 1), each value computed once.

    >>> digamma_next(np.array([0, 0])).round(4).tolist()
    [-0.5772, -0.5772]
    """
    return psi(np.arange(1, int(counts.max()) + 2))[counts]


def _counts(space: Array, radius: Array, theiler: int, workers: int) -> Counts:
    counts = neighbours_within(space, radius, workers=workers)
    for lag in range(1, theiler + 1):
        apart = abs(space[lag:] - space[:-lag]).max(axis=1, initial=0)
        counts[lag:] -= apart < radius[lag:]
        counts[:-lag] -= apart < radius[:-lag]
    return counts


def _informative(columns: Array, given: Array) -> Array:
    """Return standardised columns that vary and do not stand in `given`, with either sign."""
    keep = columns.any(axis=0)
    for other in given.T:
        keep &= ~(np.minimum(abs(columns - other[:, None]), abs(columns + other[:, None])).max(axis=0) < 1e-12)
    return columns[:, keep]
