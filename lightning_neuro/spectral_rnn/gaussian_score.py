"""Scores of Gaussian inputs: independent from step to step, or Markov of first order.

Symbols: mean m, transition Phi, innovation `e_t = (x_t - m) - Phi (x_{t-1} - m)` with covariance Q; scores s, blocks of
the precision P. Rows are time steps, so `Phi^T s` of a column is `s @ Phi` of a row.
"""

from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import linalg

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.gaussian_statistics import (
    SMALLEST_EIGENVALUE,
    GaussianStatistics,
    inverse,
    normal_log_density,
    shrink,
)
from lightning_neuro.spectral_rnn.score import LocalScore, require_fitted
from lightning_neuro.spectral_rnn.series import Array, SeriesLike, Steps, all_finite, arrays, rows_at, usable_steps


class IIDGaussianScore:
    """Score of inputs `N(mean, covariance)`, independent from step to step: `s_t = covariance^-1 (x_t - mean)`.

    Args:
        mean: `(Dx,)`, if known.
        covariance: `(Dx, Dx)`, if known.
        shrinkage: `fit` adds `shrinkage * trace / Dx` to the diagonal of the covariance.

    >>> score = IIDGaussianScore(mean=[1.0], covariance=[[4.0]])
    >>> (local,), steps = score.local(np.array([[1.0], [3.0], [5.0]]))
    >>> steps.tolist(), local.end.ravel().tolist(), local.P11.item()
    ([1, 2], [0.5, 1.0], 0.25)
    """

    mean_: Array
    covariance_: Array
    precision_: Array

    def __init__(
        self, mean: npt.ArrayLike | None = None, covariance: npt.ArrayLike | None = None, *, shrinkage: float = 0.0
    ) -> None:
        self.shrinkage = checks.number("IIDGaussianScore", "shrinkage", shrinkage, at_least=0)
        if covariance is not None:
            self.covariance_ = _covariance("IIDGaussianScore", "covariance", covariance)
            self.precision_ = inverse(self.covariance_)
            self.mean_ = _mean("IIDGaussianScore", mean, len(self.covariance_))

    def fit(self, series: SeriesLike) -> Self:
        """Estimate mean and covariance; see `fit_statistics` for data that streams by."""
        return self.fit_statistics(GaussianStatistics.of(arrays("IIDGaussianScore", "x", series)))

    def fit_statistics(self, statistics: GaussianStatistics) -> Self:
        """Estimate mean and covariance from sums."""
        statistics.check("IIDGaussianScore", shrinkage=self.shrinkage)
        self.mean_ = statistics.means()[1]
        self.covariance_ = shrink(statistics.covariances()[2], self.shrinkage)
        self.precision_ = inverse(self.covariance_)
        return self

    @property
    def fitted(self) -> bool:
        """Whether the density is known."""
        return hasattr(self, "precision_")

    def reach(self, *, interior: bool = False) -> tuple[int, int]:
        """Return how many steps before and after t `local` looks at."""
        return (1, 1) if interior else (1, 0)

    def local(self, x: Array, *, interior: bool = False) -> tuple[list[LocalScore], Steps]:
        """Return the score of a series `(T, Dx)` and its usable steps; see `ScoreModel`."""
        require_fitted(self)
        steps = usable_steps(x, *self.reach(interior=interior))
        precision = self.precision_
        none = np.zeros_like(precision)
        s = (_finite(x) - self.mean_) @ precision
        end = rows_at(s, steps)
        ahead = LocalScore(end, rows_at(s, steps, 1), precision, precision, none) if interior else None
        return [LocalScore(end, rows_at(s, steps, -1), precision, precision, none, ahead=ahead)], steps

    def log_density(self, x: Array) -> tuple[Array, Steps]:
        """Return `log p(x_t)` at the steps that have a predecessor, and these steps."""
        require_fitted(self)
        steps = usable_steps(x, before=1, after=0)
        return normal_log_density(x[steps] - self.mean_, self.covariance_), steps

    @property
    def n_parameters(self) -> int:
        """Numbers that `fit` estimates."""
        require_fitted(self)
        width = len(self.covariance_)
        return width + width * (width + 1) // 2


class GaussianAR1Score:
    """Score of inputs that follow `x_t = m + Phi (x_{t-1} - m) + e_t` with `e_t ~ N(0, Q)`.

    With `r_t = Q^-1 e_t`: at the end of a prefix `s_t = r_t` and `P = Q^-1`; inside a series
    `s_t = r_t - Phi^T r_{t+1}` and `P = Q^-1 + Phi^T Q^-1 Phi`; the block of t with t - 1 is `-Q^-1 Phi`.
    The first two steps of a series (with `interior`, also the last two) lack neighbours and are not usable.

    Args:
        transition: Phi `(Dx, Dx)`, if known.
        noise_covariance: Q `(Dx, Dx)`, if known.
        mean: m `(Dx,)`, if known; zero by default.
        shrinkage: `fit` adds `shrinkage * trace / Dx` to the diagonal of Q, and of the
            covariance that Phi is solved by.

    >>> score = GaussianAR1Score(transition=[[0.5]], noise_covariance=[[1.0]])
    >>> (local,), steps = score.local(np.array([[0.0], [1.0], [2.0]]))
    >>> steps.item(), local.end.item(), local.lag.item(), local.P00.item(), local.P10.item()
    (2, 1.5, 0.25, 1.25, -0.5)
    """

    mean_: Array
    transition_: Array
    covariance_: Array
    precision_: Array

    def __init__(
        self,
        transition: npt.ArrayLike | None = None,
        noise_covariance: npt.ArrayLike | None = None,
        mean: npt.ArrayLike | None = None,
        *,
        shrinkage: float = 0.0,
    ) -> None:
        self.shrinkage = checks.number("GaussianAR1Score", "shrinkage", shrinkage, at_least=0)
        if (transition is None) != (noise_covariance is None):
            raise ValueError("GaussianAR1Score: transition and noise_covariance must be given both or not at all.")
        if transition is not None and noise_covariance is not None:
            self.covariance_ = _covariance("GaussianAR1Score", "noise_covariance", noise_covariance)
            self.transition_ = _square("GaussianAR1Score", "transition", transition, len(self.covariance_))
            self.mean_ = _mean("GaussianAR1Score", mean, len(self.covariance_))
            self.precision_ = inverse(self.covariance_)

    def fit(self, series: SeriesLike) -> Self:
        """Estimate m, Phi and Q by least squares; see `fit_statistics` for data that streams by."""
        return self.fit_statistics(GaussianStatistics.of(arrays("GaussianAR1Score", "x", series)))

    def fit_statistics(self, statistics: GaussianStatistics) -> Self:
        """Estimate m, Phi and Q from sums."""
        statistics.check("GaussianAR1Score", shrinkage=self.shrinkage)
        before, now = statistics.means()
        early, crossed, late = statistics.covariances()
        early = shrink(early, self.shrinkage)
        phi = linalg.solve(early, crossed.T, assume_a="pos").T
        residual = late - phi @ crossed.T - crossed @ phi.T + phi @ early @ phi.T
        residual = (residual + residual.T) / 2
        if self.shrinkage == 0 and linalg.eigvalsh(residual, late)[0] < SMALLEST_EIGENVALUE:
            raise ValueError(
                "GaussianAR1Score: x_t must not follow from x_{t-1} without noise, got data in which a direction does. "
                "Project x on fewer columns, or set shrinkage to 1e-3 or so."
            )
        self.transition_, self.covariance_ = phi, shrink(residual, self.shrinkage)
        self.precision_ = inverse(self.covariance_)
        # The mean that makes the innovations average to zero: (I - Phi) m = mean(x_t) - Phi mean(x_{t-1}).
        self.mean_ = before + linalg.lstsq(np.eye(len(phi)) - phi, now - before)[0]
        return self

    @property
    def fitted(self) -> bool:
        """Whether the density is known."""
        return hasattr(self, "precision_")

    def reach(self, *, interior: bool = False) -> tuple[int, int]:
        """Return how many steps before and after t `local` looks at."""
        return (2, 2) if interior else (2, 0)

    def local(self, x: Array, *, interior: bool = False) -> tuple[list[LocalScore], Steps]:
        """Return the score of a series `(T, Dx)` and its usable steps; see `ScoreModel`."""
        require_fitted(self)
        steps = usable_steps(x, *self.reach(interior=interior))
        precision = self.precision_
        crossed = -precision @ self.transition_
        inner = precision - self.transition_.T @ crossed
        # Row t - 1 of `r` belongs to step t, and so does row t - 1 of `s`.
        both = (_finite(x) - self.mean_) @ np.hstack([precision, crossed.T])
        r = both[1:, : len(precision)] + both[:-1, len(precision) :]
        s = r[1:] @ -self.transition_
        s += r[:-1]
        if not interior:
            return [LocalScore(rows_at(r, steps, -1), rows_at(s, steps, -2), precision, inner, crossed)], steps
        end, lag = rows_at(s, steps, -1), rows_at(s, steps, -2)
        ahead = LocalScore(end, rows_at(s, steps), inner, inner, crossed.T)
        return [LocalScore(end, lag, inner, inner, crossed, ahead=ahead)], steps

    def log_density(self, x: Array) -> tuple[Array, Steps]:
        """Return `log p(x_t | x_{t-1})` at the steps that have a predecessor, and these steps."""
        require_fitted(self)
        steps = usable_steps(x, before=1, after=0)
        centred = _finite(x) - self.mean_
        innovations = centred[1:] - centred[:-1] @ self.transition_.T
        return normal_log_density(innovations[steps - 1], self.covariance_), steps

    @property
    def n_parameters(self) -> int:
        """Numbers that `fit` estimates."""
        require_fitted(self)
        width = len(self.covariance_)
        return width + width * (width + 1) // 2 + width**2


def _finite(x: Array) -> Array:
    """Return x with 0 for what is not finite: no usable step looks there, and products stay free of warnings."""
    return x if all_finite(x) else np.where(np.isfinite(x), x, 0.0)


def _square(owner: str, name: str, matrix: npt.ArrayLike, width: int | None = None) -> Array:
    values = np.asarray(matrix, np.float64)
    if values.ndim != 2 or values.shape != (width or len(values),) * 2 or not np.isfinite(values).all():
        size = "square" if width is None else f"({width}, {width})"
        raise ValueError(f"{owner}: {name} must be a finite {size} matrix, got shape {values.shape}.")
    return values


def _covariance(owner: str, name: str, matrix: npt.ArrayLike) -> Array:
    values = _square(owner, name, matrix)
    if not np.allclose(values, values.T) or linalg.eigvalsh(values)[0] <= 0:
        raise ValueError(f"{owner}: {name} must be symmetric and positive definite, got {values.tolist()}.")
    return values


def _mean(owner: str, mean: npt.ArrayLike | None, width: int) -> Array:
    values = np.zeros(width) if mean is None else np.asarray(mean, np.float64)
    if values.shape != (width,) or not np.isfinite(values).all():
        raise ValueError(f"{owner}: mean must be {width} finite numbers, got shape {values.shape}.")
    return values
