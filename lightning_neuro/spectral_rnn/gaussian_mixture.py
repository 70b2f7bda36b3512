"""Mixtures of Gaussians: their density, and a fit by expectation-maximisation from seeded starts."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg
from scipy.special import logsumexp

from lightning_neuro.spectral_rnn.gaussian_statistics import normal_log_density, shrink
from lightning_neuro.spectral_rnn.series import Array

FLOOR = 1e-6
"""Of the overall covariance, added to each component's: no component shrinks on a single point."""

TOLERANCE = 1e-6
"""Rise of the mean log-density per iteration at which a fit has settled."""


@dataclass(frozen=True)
class GaussianMixture:
    """Density `sum_k weights_k N(means_k, covariances_k)`; weights `(K,)`, means `(K, D)`, covariances `(K, D, D)`."""

    weights: Array
    means: Array
    covariances: Array

    def joint(self, x: Array) -> Array:
        """Return the logarithm of weight times density of each component, `(n, K)`."""
        parts = zip(self.weights, self.means, self.covariances, strict=True)
        return np.stack(
            [np.log(weight) + normal_log_density(x - mean, covariance) for weight, mean, covariance in parts], axis=1
        )

    def log_density(self, x: Array) -> Array:
        """Return the logarithm of the density, `(n,)`."""
        return logsumexp(self.joint(x), axis=1)

    def responsibilities(self, x: Array) -> Array:
        """Return the probability of each component given the point, `(n, K)`."""
        joint = self.joint(x)
        return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def check_mixture(
    owner: str, count: int, weights: npt.ArrayLike, means: npt.ArrayLike, covariances: npt.ArrayLike
) -> GaussianMixture:
    """Return a mixture of what the user gave.

    Raises:
        ValueError: shapes do not fit, weights are not probabilities, or a covariance is not positive definite.
    """
    weight, mean, covariance = (np.asarray(values, np.float64) for values in (weights, means, covariances))
    width = mean.shape[-1] if mean.ndim == 2 else 0
    shapes = weight.shape, mean.shape, covariance.shape
    if shapes != ((count,), (count, width), (count, width, width)):
        raise ValueError(
            f"{owner}: weights, means and covariances must have shapes ({count},), ({count}, Dx) and "
            f"({count}, Dx, Dx), got {', '.join(map(str, shapes))}."
        )
    if not (weight > 0).all() or not np.isclose(weight.sum(), 1):
        raise ValueError(f"{owner}: weights must be greater than 0 and add to 1, got {weight.tolist()}.")
    for place, one in enumerate(covariance):
        if not np.isfinite(one).all() or not np.allclose(one, one.T) or linalg.eigvalsh(one)[0] <= 0:
            raise ValueError(f"{owner}: covariances[{place}] must be symmetric and positive definite.")
    return GaussianMixture(weight, mean, covariance)


def fit_mixture(
    x: Array, count: int, shrinkage: float, restarts: int, generator: np.random.Generator, most: int = 200
) -> GaussianMixture:
    """Return the most likely of several fits.

    Args:
        x: points `(n, D)`.
        count: K.
        shrinkage: of each covariance, as for `shrink`.
        restarts: number of starts.
        generator: draws the starts.
        most: iterations of one fit.
    """
    fits = [_climb(x, _start(x, count, generator), shrinkage, most) for _ in range(restarts if count > 1 else 1)]
    return max(fits, key=lambda mixture: float(mixture.log_density(x).sum()))


def _start(x: Array, count: int, generator: np.random.Generator) -> GaussianMixture:
    """Put means on points far from each other (k-means++), in the metric of the data."""
    covariance = np.atleast_2d(np.cov(x.T, ddof=0))
    white = x / np.sqrt(np.diag(covariance))
    chosen = [int(generator.integers(len(x)))]
    for _ in range(count - 1):
        gaps = np.min([((white - white[place]) ** 2).sum(axis=1) for place in chosen], axis=0)
        chosen.append(int(generator.choice(len(x), p=gaps / gaps.sum())))
    return GaussianMixture(np.full(count, 1 / count), x[chosen], np.tile(covariance, (count, 1, 1)))


def _climb(x: Array, mixture: GaussianMixture, shrinkage: float, most: int) -> GaussianMixture:
    floor = FLOOR * np.diag(np.diag(mixture.covariances[0]))
    last = -np.inf
    for _ in range(most):
        joint = mixture.joint(x)
        density = logsumexp(joint, axis=1)
        mixture = _maximise(x, np.exp(joint - density[:, None]), shrinkage, floor)
        if density.mean() - last < TOLERANCE:
            break
        last = density.mean()
    return mixture


def _maximise(x: Array, gamma: Array, shrinkage: float, floor: Array) -> GaussianMixture:
    totals = np.maximum(gamma.sum(axis=0), 1e-9)
    means = (gamma.T @ x) / totals[:, None]
    covariances = []
    for column, total, mean in zip(gamma.T, totals, means, strict=True):
        centred = x - mean
        covariances.append(shrink((centred * column[:, None]).T @ centred / total, shrinkage) + floor)
    return GaussianMixture(totals / totals.sum(), means, np.stack(covariances))
