"""Score of inputs that come from a mixture of Gaussians, independent from step to step."""

from typing import Self

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.gaussian_mixture import GaussianMixture, check_mixture, fit_mixture
from lightning_neuro.spectral_rnn.gaussian_statistics import GaussianStatistics, inverse
from lightning_neuro.spectral_rnn.score import LocalScore, require_fitted
from lightning_neuro.spectral_rnn.series import Array, SeriesLike, Steps, arrays, usable_steps


class MixtureScore:
    """Score of a mixture, `S_m = sum_k gamma_k S_m^(k)` with the responsibilities gamma; exact for every order.

    For a step and its neighbour the pair of their components is one component, so `local` returns K^2 of them.

    Args:
        components: K, the number of Gaussians to fit.
        weights: of the components, `(K,)`, if the mixture is known; then means and covariances must be given, too.
        means: `(K, Dx)`.
        covariances: `(K, Dx, Dx)`.
        shrinkage: `fit` adds `shrinkage * trace / Dx` to the diagonal of each covariance.
        restarts: `fit` keeps the most likely of so many random starts.
        seed: of the random starts.

    >>> score = MixtureScore(2, weights=[0.5, 0.5], means=[[-1.0], [1.0]], covariances=[[[1.0]], [[1.0]]])
    >>> components, steps = score.local(np.array([[0.0], [0.0]]))
    >>> len(components), steps.item(), float(sum(c.gamma.item() * c.end.item() for c in components))
    (4, 1, 0.0)
    """

    mixture_: GaussianMixture

    def __init__(
        self,
        components: int = 2,
        *,
        weights: npt.ArrayLike | None = None,
        means: npt.ArrayLike | None = None,
        covariances: npt.ArrayLike | None = None,
        shrinkage: float = 0.0,
        restarts: int = 3,
        seed: int | None = None,
    ) -> None:
        self.components = checks.integer("MixtureScore", "components", components, at_least=1)
        self.shrinkage = checks.number("MixtureScore", "shrinkage", shrinkage, at_least=0)
        self.restarts = checks.integer("MixtureScore", "restarts", restarts, at_least=1)
        self.seed = seed
        known = [value is not None for value in (weights, means, covariances)]
        if any(known) and not all(known):
            raise ValueError("MixtureScore: weights, means and covariances must be given all or not at all.")
        if weights is not None and means is not None and covariances is not None:
            self.mixture_ = check_mixture("MixtureScore", self.components, weights, means, covariances)

    def fit(self, series: SeriesLike) -> Self:
        """Estimate the mixture by expectation-maximisation over all finite steps.

        Raises:
            ValueError: too few steps, or columns that are constant or dependent.
        """
        found = arrays("MixtureScore", "x", series)
        GaussianStatistics.of(found).check("MixtureScore", shrinkage=self.shrinkage)
        x = np.concatenate([one[np.isfinite(one).all(axis=1)] for one in found])
        generator = np.random.default_rng(self.seed)
        self.mixture_ = fit_mixture(x, self.components, self.shrinkage, self.restarts, generator)
        return self

    @property
    def fitted(self) -> bool:
        """Whether the density is known."""
        return hasattr(self, "mixture_")

    def reach(self, *, interior: bool = False) -> tuple[int, int]:
        """Return how many steps before and after t `local` looks at."""
        return (1, 1) if interior else (1, 0)

    def local(self, x: Array, *, interior: bool = False) -> tuple[list[LocalScore], Steps]:
        """Return the K^2 components of the score of a series `(T, Dx)` and its usable steps; see `ScoreModel`."""
        require_fitted(self)
        steps = usable_steps(x, *self.reach(interior=interior))
        x = np.where(np.isfinite(x), x, 0.0)
        gamma = self.mixture_.responsibilities(x)
        precisions = [inverse(covariance) for covariance in self.mixture_.covariances]
        s = [(x - mean) @ precision for mean, precision in zip(self.mixture_.means, precisions, strict=True)]

        def pair(k: int, other: int, shift: int) -> LocalScore:
            both = gamma[steps, k] * gamma[steps + shift, other]
            none = np.zeros_like(precisions[k])
            return LocalScore(s[k][steps], s[other][steps + shift], precisions[k], precisions[other], none, gamma=both)

        found = []
        for k in range(len(s)):
            for other in range(len(s)):
                component = pair(k, other, -1)
                found.append(component.followed_by(pair(k, other, 1)) if interior else component)
        return found, steps

    def log_density(self, x: Array) -> tuple[Array, Steps]:
        """Return `log p(x_t)` at the steps that have a predecessor, and these steps."""
        require_fitted(self)
        steps = usable_steps(x, before=1, after=0)
        return self.mixture_.log_density(x[steps]), steps

    @property
    def n_parameters(self) -> int:
        """Numbers that `fit` estimates."""
        require_fitted(self)
        count, width = self.mixture_.means.shape
        return count - 1 + count * (width + width * (width + 1) // 2)
