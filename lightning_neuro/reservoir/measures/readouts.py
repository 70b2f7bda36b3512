"""Linear readouts of states for any number of targets, from one factorisation of the states."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr

Array = npt.NDArray[np.float64]

RCOND = 1e-12  # states of a noiseless reservoir carry memory in directions that a covariance cannot resolve


@dataclass(frozen=True, eq=False)
class Readouts:
    """What solves least squares for states X `(T, N)` against any targets: `X - mean = orthonormal diag(values) V^T`.

        orthonormal = Q rotation,  Q R = X - mean

    Q is not multiplied by its small rotation; products with targets are.

    Attributes:
        mean: `(N,)`.
        basis: Q `(T, N)`.
        rotation: `(N, r)`.
        values: `(r,)`, singular values above `rcond` times the largest, falling.
        directions: V `(N, r)`.

    >>> x = np.random.default_rng(0).standard_normal((50, 2))
    >>> fit = factorised(np.column_stack([x, x[:, 0]]))
    >>> fit.rank, fit.weights(fit.projected(x[:, :1])).round(6).ravel().tolist()
    (2, [0.5, 0.0, 0.5])
    """

    mean: Array
    basis: Array
    rotation: Array
    values: Array
    directions: Array

    @property
    def rank(self) -> int:
        """R, how many directions the states take."""
        return len(self.values)

    def projected(self, targets: Array) -> Array:
        """Inner products `(r, M)` of orthonormal states and targets `(T, M)`: T N M multiplications and additions."""
        return np.asarray(self.rotation.T @ (self.basis.T @ targets))

    def weights(self, projected: Array, ridge: float = 0.0) -> Array:
        """Readouts `(N, M)`, which act on `X - mean`, of least squares with a penalty `ridge |w|^2`."""
        return np.asarray(self.directions @ ((self.values / (self.values**2 + ridge))[:, None] * projected))


def factorised(states: Array, rcond: float = RCOND) -> Readouts:
    """Factorise states `(T, N)`, centred: 4 T N^2 multiplications and additions, once for all targets.

    A covariance would cost a quarter, but squares the singular values: below 1e-8 of the largest they would drown.

    >>> factorised(np.ones((9, 3))).rank
    0
    """
    mean = states.mean(axis=0)
    centred = states - mean
    centred[:, np.ptp(states, axis=0) == 0] = 0.0  # else rounding of the mean would be a direction
    basis, triangle = qr(centred, mode="economic", overwrite_a=True, check_finite=False)
    rotation, values, across = np.linalg.svd(triangle)
    kept = values > rcond * values[0]
    return Readouts(mean, basis, rotation[:, kept], values[kept], across[kept].T)
