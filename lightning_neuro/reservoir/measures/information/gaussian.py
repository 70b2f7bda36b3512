"""Information between Gaussian vectors in closed form, from canonical correlations.

    I(X;Y|Z) = 1/2 [ln|S_xz| + ln|S_yz| - ln|S_z| - ln|S_xyz|] = -1/2 sum_i ln(1 - r_i^2),

r_i the canonical correlations of what Z leaves of X and Y. Correlations keep their meaning where determinants vanish:
constant and duplicate columns drop out.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, ndtri, psi
from scipy.stats import rankdata

from lightning_neuro.reservoir.measures.information.samples import Array, standardized

RESOLVED = 1e-12  # smallest share of a variance that covariances in float64 resolve


class Gaussian(NamedTuple):
    """Information of Gaussian vectors.

    Args:
        value: in nats, bias removed where asked.
        p_value: of independence given Z, from 2 n I ~ chi2(d_x d_y).
        local: `(n,)`, its mean is the value before the bias is removed.
        remaining: smallest share of a variance of Y that Z leaves; 1 where there is no Z.
    """

    value: float
    p_value: float
    local: Array
    remaining: float


def log_determinant_bias(samples: int, dimensions: int | npt.NDArray[np.int64]) -> Array:
    """Return the bias of the log-determinant of a sample covariance of independent Gaussian rows.

        E ln|S_d| - ln|C_d| = sum_{i=1..d} psi((n-i)/2) - d ln((n-1)/2)

    >>> bool(abs(log_determinant_bias(101, 1) + 1 / 100) < 1e-4)
    True
    """
    most = int(np.max(dimensions))
    terms = psi((samples - np.arange(1, most + 1)) / 2) - np.log((samples - 1) / 2)
    return np.concatenate([[0.0], np.cumsum(terms)])[dimensions]


def information_bias(samples: int, d_x: int, d_y: int, d_z: int = 0) -> float:
    """Return the bias of the plug-in information of Gaussian vectors in nats, about `d_x d_y / 2n`.

    >>> round(information_bias(1001, 2, 3), 4)
    0.003
    """
    bias = log_determinant_bias(samples, np.array([d_x + d_z, d_y + d_z, d_z, d_x + d_y + d_z]))
    return float(bias @ [1, 1, -1, -1]) / 2


def check_samples(samples: int, dimensions: int) -> None:
    """Check that there are more samples than dimensions.

    Raises:
        ValueError: there are not; a Gaussian then fits without error.

    >>> check_samples(4, 3)
    Traceback (most recent call last):
    ValueError: gaussian: samples must outnumber the 3 dimensions by 2, got 4. Give a longer series, shorter histories.
    """
    if samples < dimensions + 2:
        raise ValueError(
            f"gaussian: samples must outnumber the {dimensions} dimensions by 2, got {samples}. "
            "Give a longer series, shorter histories."
        )


def basis(columns: Array) -> Array:
    """Return orthonormal columns that span centred ones, without those directions that rounding alone spans."""
    if columns.shape[1] == 0:
        return columns
    if columns.shape[1] == 1:
        length = np.linalg.norm(columns)
        return columns / length if length > 0 else columns[:, :0]
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, sizes > sizes[0] * np.sqrt(RESOLVED)] if sizes[0] > 0 else left[:, :0]


def remainder(columns: Array, given: Array) -> Array:
    """Return what an orthonormal `given` leaves of standardised columns; what rounding leaves becomes 0."""
    left = columns - given @ (given.T @ columns)
    left -= given @ (given.T @ left)  # twice is enough
    share = (left**2).mean(axis=0)
    return np.where(share > RESOLVED, left, 0.0)


def gaussian_information(x: Array, y: Array, z: Array | None = None, *, bias_correction: bool = True) -> Gaussian:
    """Return I(X;Y|Z) of Gaussian vectors.

    Values are capped where Y is a linear function of X: 1 - r^2 counts as 1e-12 at least, 13.8 nats for each such
    correlation.

    Args:
        x: `(n, d_x)`.
        y: `(n, d_y)`.
        z: `(n, d_z)`.
        bias_correction: remove the bias of independent samples; a value of 0 then comes out below 0 as often as above.

    Raises:
        ValueError: too few samples.

    >>> rng = np.random.default_rng(0)
    >>> x, e = rng.standard_normal((2, 20_000, 1))
    >>> round(gaussian_information(x, 0.6 * x + 0.8 * e).value, 2)  # -1/2 ln(1 - 0.36) = 0.223
    0.22
    """
    samples = len(x)
    blocks = [standardized(block) for block in (x, y, np.zeros((samples, 0)) if z is None else z)]
    given = basis(blocks[2])
    check_samples(samples, x.shape[1] + y.shape[1] + given.shape[1])
    x_left, y_left = remainder(blocks[0], given), remainder(blocks[1], given)
    varies = blocks[1].any(axis=0)
    shares = (y_left[:, varies] ** 2).mean(axis=0)
    x_basis, y_basis = basis(x_left), basis(y_left)
    d_x, d_y, d_z = x_basis.shape[1], y_basis.shape[1], given.shape[1]
    if d_x == 0 or d_y == 0:
        return Gaussian(0.0, 1.0, np.zeros(samples), float(shares.min(initial=1)))
    x_turn, correlation, y_turn = np.linalg.svd(x_basis.T @ y_basis, full_matrices=False)
    square = np.minimum(correlation**2, 1 - RESOLVED)
    logs = -np.log1p(-square) / 2
    u, v = np.sqrt(samples) * (x_basis @ x_turn), np.sqrt(samples) * (y_basis @ y_turn.T)
    r = np.sqrt(square)
    local = (logs - (square * (u**2 + v**2) - 2 * r * u * v) / (2 * (1 - square))).sum(axis=1)
    value = float(logs.sum())
    bias = information_bias(samples, d_x, d_y, d_z) if bias_correction else 0.0
    p_value = float(chdtrc(d_x * d_y, 2 * samples * value))
    return Gaussian(value - bias, p_value, local, float(shares.min(initial=1)))


def normal_scores(columns: Array) -> Array:
    """Return each column's ranks as normal quantiles, the Gaussian copula; constant columns become 0.

    Gaussian information of the scores is a lower bound of mutual information and bears any monotone change of a
    column.

    >>> normal_scores(np.array([[1.0], [100.0], [2.0]])).ravel().round(3).tolist()
    [-0.674, 0.674, 0.0]
    """
    if columns.shape[1] == 0:
        return columns
    return np.asarray(ndtri(rankdata(columns, axis=0) / (len(columns) + 1)))


def gaussian_entropy(x: Array) -> float:
    """Return the entropy of a Gaussian vector in nats, `1/2 ln|2 pi e S|` with the bias of ln|S| removed.

    A vector within a subspace has -inf.

    >>> gaussian_entropy(np.ones((10, 1)))
    -inf
    """
    samples, dimensions = x.shape
    check_samples(samples, dimensions)
    columns = standardized(x)
    left = np.linalg.svd(columns, compute_uv=False)
    if basis(columns).shape[1] < dimensions:
        return -np.inf
    scale = np.log(x.std(axis=0)).sum()
    log_determinant = 2 * scale + 2 * np.log(left).sum() - dimensions * np.log(samples - 1)
    bias = float(log_determinant_bias(samples, dimensions))
    return float(dimensions * np.log(2 * np.pi * np.e) + log_determinant - bias) / 2
