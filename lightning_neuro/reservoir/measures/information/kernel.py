"""Information by counting in boxes of a fixed radius, and quadratic entropy by Gaussian kernels.

The box kernel is strongly biased for long histories and small radii; it is here to compare with older papers.
"""

import numpy as np

from lightning_neuro.reservoir.measures.information.counting import neighbours_within
from lightning_neuro.reservoir.measures.information.samples import Array, standardized

_CHUNK = 2**22


def kernel_information(x: Array, y: Array, z: Array | None = None, *, radius: float = 0.5, workers: int = 1) -> Array:
    """Return pointwise I(X;Y|Z) in nats, `(n,)`.

        i = ln( n_xyz n_z / (n_xz n_yz) ),  n_. the points closer than the radius in that subspace, the point with it

    Args:
        x: `(n, d_x)`.
        y: `(n, d_y)`.
        z: `(n, d_z)`.
        radius: in standard deviations, maximum norm.
        workers: threads of k-d trees.

    >>> x = np.random.default_rng(0).standard_normal((2000, 1))
    >>> bool(abs(kernel_information(x, np.ones((2000, 1)))).max() < 1e-12)
    True
    """
    x, y, z = (standardized(block) for block in (x, y, np.zeros((len(x), 0)) if z is None else z))
    widths = np.full(len(x), float(radius))

    def log_count(*blocks: Array) -> Array:
        columns = np.concatenate(blocks, axis=1)
        return np.log(neighbours_within(columns[:, columns.any(axis=0)], widths, workers=workers) + 1.0)

    return log_count(x, y, z) + log_count(z) - log_count(x, z) - log_count(y, z)


def quadratic_entropy(x: Array, *, width: float | None = None) -> float:
    """Return Renyi's quadratic entropy in nats, with Gaussian kernels: `-ln mean_ij N(x_i - x_j; 0, 2 h^2)`, i != j.

    For Gaussian data the kernel widens the density, so a variance s^2 is seen as s^2 + h^2:
    `1/2 ln(4 pi (s^2 + h^2))` in one dimension.

    Args:
        x: `(n, d)`.
        width: h in units of each column's standard deviation; None for Silverman's rule, `(4 / ((d + 2) n))^(1/(d+4))`.

    Returns:
        -inf for a vector with a constant column.

    >>> x = np.random.default_rng(0).standard_normal((2000, 1))
    >>> bool(abs(quadratic_entropy(x) - np.log(4 * np.pi) / 2) < 0.1)
    True
    """
    samples, dimensions = x.shape
    columns = standardized(x)
    if not columns.any(axis=0).all():
        return -np.inf
    h = (4 / ((dimensions + 2) * samples)) ** (1 / (dimensions + 4)) if width is None else float(width)
    scaled = columns / (2 * h)
    squares = (scaled**2).sum(axis=1)
    total = 0.0
    for first in range(0, samples, max(1, _CHUNK // samples)):
        part = slice(first, first + max(1, _CHUNK // samples))
        total += np.exp(-np.maximum(squares[part, None] + squares - 2 * scaled[part] @ scaled.T, 0)).sum()
    mean = (total - samples) / (samples * (samples - 1))
    # N(d; 0, 2 h^2) = exp(-d^2 / 4 h^2) / sqrt(4 pi h^2) per dimension, in units of the standard deviation.
    log_norm = dimensions * np.log(4 * np.pi * h**2) / 2 + np.log(x.std(axis=0)).sum()
    return float(log_norm - np.log(mean)) if mean > 0 else np.inf
