"""Sums that decide a Gaussian score: means and covariances of neighbouring inputs, mergeable."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import linalg

from lightning_neuro.spectral_rnn.series import Array, rows_at, usable_steps

SMALLEST_EIGENVALUE = 1e-10
"""Of a correlation matrix, or of a covariance relative to another: below, data count as degenerate."""


@dataclass
class GaussianStatistics:
    """Sums over pairs of adjacent steps, never across a border or a gap.

    Attributes:
        width: Dx.
        pairs: number of pairs `(x_{t-1}, x_t)`.
        total: sum of `[x_{t-1}, x_t]`, `(2 Dx,)`, relative to `origin`.
        products: sum of its outer products, `(2 Dx, 2 Dx)`.
        origin: a point near the data, so that a large offset costs no digits; the first input seen.

    >>> statistics = GaussianStatistics.of([np.array([[0.0], [1.0], [2.0]])])
    >>> statistics.pairs, statistics.means()
    (2, (array([0.5]), array([1.5])))
    """

    width: int
    pairs: int
    total: Array
    products: Array
    origin: Array | None = None

    @classmethod
    def empty(cls, width: int) -> Self:
        """Return sums of nothing."""
        return cls(width, 0, np.zeros(2 * width), np.zeros((2 * width, 2 * width)))

    @classmethod
    def of(cls, series: list[Array]) -> Self:
        """Return the sums of a list of series `(T, Dx)`."""
        statistics = cls.empty(series[0].shape[1])
        for x in series:
            statistics.accumulate(x)
        return statistics

    def accumulate(self, x: Array, size: int = 1024) -> None:
        """Add the pairs of one series, or of a chunk whose first row repeats the last of the chunk before."""
        for start in range(0, len(x) - 1, size):
            part = x[start : start + size + 1]
            now = usable_steps(part, before=1, after=0)
            if len(now) == 0:
                continue
            if self.origin is None:
                self.origin = part[now[0]].copy()
            self._add(rows_at(part, now, -1) - self.origin, rows_at(part, now) - self.origin)

    def _add(self, before: Array, now: Array) -> None:
        early, late, ones = slice(None, self.width), slice(self.width, None), np.ones(len(now))
        self.pairs += len(now)
        self.total[early] += ones @ before
        self.total[late] += ones @ now
        crossed = now.T @ before
        self.products[early, early] += before.T @ before
        self.products[late, late] += now.T @ now
        self.products[late, early] += crossed
        self.products[early, late] += crossed.T

    def merge(self, other: "GaussianStatistics") -> None:
        """Add the sums of somebody else."""
        if other.origin is None:
            return
        if self.origin is None:
            self.origin = other.origin
        shift = np.tile(other.origin - self.origin, 2)
        crossed = np.outer(other.total, shift)
        self.products += other.products + crossed + crossed.T + other.pairs * np.outer(shift, shift)
        self.total += other.total + other.pairs * shift
        self.pairs += other.pairs

    def means(self) -> tuple[Array, Array]:
        """Return the mean of the earlier and of the later step of the pairs."""
        origin = np.zeros(self.width) if self.origin is None else self.origin
        mean = self.total / max(self.pairs, 1)
        return origin + mean[: self.width], origin + mean[self.width :]

    def covariances(self) -> tuple[Array, Array, Array]:
        """Return covariances: earlier with earlier, later with earlier, later with later."""
        mean = self.total / self.pairs
        covariance = self.products / self.pairs - np.outer(mean, mean)
        early, late = slice(None, self.width), slice(self.width, None)
        return covariance[early, early], covariance[late, early], covariance[late, late]

    def check(self, owner: str, *, shrinkage: float) -> None:
        """Raise unless the data can decide a Gaussian.

        Raises:
            ValueError: too few pairs of adjacent steps, a constant column, or (without shrinkage) dependent columns.
        """
        if self.pairs <= 2 * self.width:
            raise ValueError(
                f"{owner}: x must have more than {2 * self.width} pairs of adjacent finite steps for {self.width} "
                f"columns, got {self.pairs}. Give more data or fewer columns."
            )
        _, _, covariance = self.covariances()
        std = np.sqrt(np.maximum(np.diag(covariance), 0))
        resolution = 1e-7 * np.abs(self.means()[1] - (0 if self.origin is None else self.origin)) + 1e-150
        constant = np.flatnonzero(std <= resolution)
        if len(constant):
            raise ValueError(
                f"{owner}: the columns of x must vary, got constant ones at {constant.tolist()}. Drop them."
            )
        correlation = covariance / np.outer(std, std)
        if shrinkage == 0 and linalg.eigvalsh(correlation)[0] < SMALLEST_EIGENVALUE:
            raise ValueError(
                f"{owner}: the columns of x must be linearly independent, got dependent ones. "
                "Project x on its principal components, or set shrinkage to 1e-3 or so."
            )


def shrink(covariance: Array, shrinkage: float) -> Array:
    """Return `covariance + shrinkage * trace / D * identity`, which bounds its inverse.

    >>> shrink(np.diag([2.0, 0.0]), 0.1)
    array([[2.1, 0. ],
           [0. , 0.1]])
    """
    width = len(covariance)
    return covariance + shrinkage * np.trace(covariance) / width * np.eye(width)


def inverse(covariance: Array) -> Array:
    """Return the inverse of a positive definite matrix, symmetric to the last bit."""
    inverted = linalg.cho_solve(linalg.cho_factor(covariance, lower=True), np.eye(len(covariance)))
    return (inverted + inverted.T) / 2


def normal_log_density(centred: Array, covariance: Array) -> Array:
    """Return `log N(0, covariance)` of each row.

    >>> round(normal_log_density(np.zeros((1, 2)), np.eye(2)).item(), 6)
    -1.837877
    """
    lower = linalg.cholesky(covariance, lower=True)
    white = linalg.solve_triangular(lower, centred.T, lower=True)
    constant = np.log(np.diag(lower)).sum() + len(lower) * np.log(2 * np.pi) / 2
    return -(white * white).sum(axis=0) / 2 - constant
