"""Does a score fit the inputs? Identities that hold for the right density, as z-scores; no outputs needed.

With x centred and scaled to variance 1, s the score in the same scale, b a direction:

    first     E[S_1] = 0                     second    E[S_2(b, b)] = 0
    present   E[S_1 x_t'] = I                past      E[S_1 x_{t-1}'] = E[S_1 x_{t-2}'] = 0
    fourth    E[S_2(b, b) (b . x_t)^2] = 2

A score that was fitted by moments meets some of them by construction: then `fourth` speaks about the shape of the
distribution and `past` about memory. Except for `past`, which is ours, these are Stein's identity for simple functions.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from lightning_neuro.spectral_rnn.alarms import BROKEN, LARGEST_Z, MEMORY_ADVICE, SHAPE_ADVICE, SpectralWarning
from lightning_neuro.spectral_rnn.gaussian_statistics import GaussianStatistics
from lightning_neuro.spectral_rnn.score import Components, ScoreModel, require_fitted
from lightning_neuro.spectral_rnn.series import Array, SeriesLike, arrays, too_few

BLOCK = 2048


class ScoreMismatchWarning(SpectralWarning):
    """The score does not fit the inputs, so that what is learned has a bias that more data will not remove."""


@dataclass(frozen=True)
class ScoreDiagnostics:
    """Largest z-score of each identity, with its sign.

    Attributes:
        z: by name: `first`, `second`, `present`, `past`, `fourth`.
        n: steps they rest on.
    """

    z: dict[str, float]
    n: int

    @property
    def worst(self) -> str:
        """Name of the identity that is broken most."""
        return max(self.z, key=lambda name: abs(self.z[name]))

    @property
    def fits(self) -> bool:
        """Whether no |z| is above the limit."""
        return abs(self.z[self.worst]) <= LARGEST_Z


class _Mean:
    """Mean of an array of statistics and how well it is known."""

    def __init__(self) -> None:
        self._sum: Array | float = 0.0
        self._squares: Array | float = 0.0

    def add(self, values: Array) -> None:
        """Add values `(n, ...)`."""
        self._sum = self._sum + values.sum(axis=0)
        self._squares = self._squares + (values * values).sum(axis=0)

    def add_products(self, left: Array, right: Array) -> None:
        """Add the products of each column of `left` with each of `right`."""
        self._sum = self._sum + left.T @ right
        self._squares = self._squares + (left * left).T @ (right * right)

    def worst_z(self, expected: Array | float, n: int) -> float:
        """Return the z-score of largest size against the expected mean."""
        gap = np.ravel(self._sum / n - expected)
        variance = np.ravel(self._squares / n - (self._sum / n) ** 2)
        z = gap / np.sqrt(np.maximum(variance, np.finfo(float).tiny) / n)
        # A mean that is right to the last digits is right, however sure we are of it.
        z[np.abs(gap) < 1e-9] = 0.0
        return float(z[np.argmax(np.abs(z))])


def diagnose_score(
    score: ScoreModel, series: SeriesLike, *, directions: int = 16, seed: int = 0, warn: bool = True
) -> ScoreDiagnostics:
    """Check a fitted score against inputs.

    Args:
        score: the score, of which the prefix form is looked at.
        series: inputs `(T, Dx)`, `(B, T, Dx)` or a list.
        directions: random directions to look in, besides the coordinates.
        seed: of the directions.
        warn: warn of a mismatch.

    Returns:
        The z-scores; about standard normal, the largest of many, if the score is right.

    Raises:
        ValueError: fewer than 10 usable steps.

    Warns:
        ScoreMismatchWarning: a z-score is larger than 6.
    """
    require_fitted(score)
    found = arrays("diagnose_score", "x", series)
    width = found[0].shape[1]
    mean, std = _scale(found)
    random = np.random.default_rng(seed).normal(size=(width, directions))
    looks = np.hstack([np.eye(width), random / np.linalg.norm(random, axis=0)])
    means = {name: _Mean() for name in BROKEN}
    n = sum(_add_series(means, score, x, mean, std, looks) for x in found)
    if n < 10:
        raise ValueError(f"diagnose_score: x must have at least 10 usable steps, got {n}. {too_few(found, 3)}")
    expected: dict[str, Array | float] = {"present": np.eye(width), "fourth": 2.0}
    result = ScoreDiagnostics({name: value.worst_z(expected.get(name, 0.0), n) for name, value in means.items()}, n)
    if warn and not result.fits:
        warnings.warn(
            f"{type(score).__name__} does not fit the inputs: identity {result.worst!r} is off by "
            f"{result.z[result.worst]:+.1f} standard errors ({BROKEN[result.worst]}{advice(score, result.worst)}).",
            ScoreMismatchWarning,
            stacklevel=2,
        )
    return result


def advice(score: ScoreModel, identity: str) -> str:
    """Return what to try where a score breaks an identity: never the score that it is.

    >>> from lightning_neuro.spectral_rnn.gaussian_score import IIDGaussianScore
    >>> advice(IIDGaussianScore(), "past")
    '; try GaussianAR1Score'
    """
    by_kind = {"past": MEMORY_ADVICE, "fourth": SHAPE_ADVICE}.get(identity, {})
    return by_kind.get(type(score).__name__, "; give a score model of these inputs" if by_kind else "")


def _scale(series: list[Array]) -> tuple[Array, Array]:
    statistics = GaussianStatistics.of(series)
    std = np.sqrt(np.maximum(np.diag(statistics.covariances()[2]), 0)) if statistics.pairs else np.ones(1)
    return statistics.means()[1], np.where(std > 0, std, 1.0)


def _add_series(means: dict[str, _Mean], score: ScoreModel, x: Array, mean: Array, std: Array, looks: Array) -> int:
    before = max(score.reach()[0], 2)
    n = 0
    for start in range(0, len(x) - before, BLOCK):
        part = x[start : start + BLOCK + before]
        components, steps = score.local(part)
        scaled = (part - mean) / std
        kept = (steps >= before) & np.isfinite(scaled[np.maximum(steps - 2, 0)]).all(axis=1)
        steps, components = steps[kept], [component.part(np.flatnonzero(kept)) for component in components]
        n += len(steps)
        _add_steps(means, components, scaled[steps], [scaled[steps - 1], scaled[steps - 2]], std, looks)
    return n


def _add_steps(
    means: dict[str, _Mean], components: Components, now: Array, past: list[Array], std: Array, looks: Array
) -> None:
    first, second = np.zeros_like(now), np.zeros((len(now), looks.shape[1]))
    for component in components:
        gamma = 1.0 if component.gamma is None else component.gamma[:, None]
        s, precision = component.end * std, component.P11 * np.outer(std, std)
        first += gamma * s
        second += gamma * ((s @ looks) ** 2 - ((precision @ looks) * looks).sum(axis=-2))
    means["first"].add(first)
    means["second"].add(second)
    means["present"].add_products(first, now)
    means["past"].add_products(first, np.hstack(past))
    means["fourth"].add(second * (now @ looks) ** 2)
