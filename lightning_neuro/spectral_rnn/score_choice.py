"""Which score to use: the one the user names, or the one that the inputs speak for."""

import math

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score, IIDGaussianScore
from lightning_neuro.spectral_rnn.gaussian_statistics import GaussianStatistics
from lightning_neuro.spectral_rnn.mixture_score import MixtureScore
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.series import SeriesLike, arrays

BLOCK = 4096
Estimated = IIDGaussianScore | GaussianAR1Score | MixtureScore


def fitted_score(
    owner: str, score: str | ScoreModel, series: SeriesLike, *, shrinkage: float = 0.0, seed: int | None = None
) -> ScoreModel:
    """Return the score that the user asked for, fitted; a model that is fitted already stays as it is.

    Args:
        owner: who asks; opens the messages.
        score: `"auto"`, `"iid"`, `"ar1"` or a model.
        series: inputs `(T, Dx)`, `(B, T, Dx)` or a list.
        shrinkage: of the covariances of the named scores.
        seed: of random starts.

    Raises:
        TypeError: `score` is neither a name nor a model.
        ValueError: the name is unknown, or the inputs do not decide a score.
    """
    if isinstance(score, str):
        name = checks.choice(owner, "score", score, ["auto", "iid", "ar1"])
        if name == "auto":
            return choose_score(series, shrinkage=shrinkage, seed=seed)
        return (IIDGaussianScore if name == "iid" else GaussianAR1Score)(shrinkage=shrinkage).fit(series)
    if not isinstance(score, ScoreModel):
        raise TypeError(f"{owner}: score must be 'auto', 'iid', 'ar1' or a score model, got {type(score).__name__}.")
    return score if score.fitted else score.fit(series)


def choose_score(
    series: SeriesLike, *, components: int = 1, shrinkage: float = 0.0, seed: int | None = None
) -> ScoreModel:
    """Return the score of smallest BIC: independent Gaussian, AR(1), or mixtures of up to `components` Gaussians.

    Args:
        series: inputs `(T, Dx)`, `(B, T, Dx)` or a list.
        components: largest mixture to try; 1 tries none.
        shrinkage: of the covariances.
        seed: of the random starts of mixtures.

    Raises:
        ValueError: the inputs do not decide a Gaussian: too few steps, constant or dependent columns.
    """
    found = arrays("choose_score", "x", series)
    statistics = GaussianStatistics.of(found)
    mixtures = [MixtureScore(count, shrinkage=shrinkage, seed=seed).fit(found) for count in range(2, components + 1)]
    candidates: list[Estimated] = [
        IIDGaussianScore(shrinkage=shrinkage).fit_statistics(statistics),
        GaussianAR1Score(shrinkage=shrinkage).fit_statistics(statistics),
        *mixtures,
    ]
    return min(candidates, key=lambda score: bayesian_information(score, found))


def bayesian_information(score: Estimated, series: SeriesLike) -> float:
    """Return `n_parameters log n - 2 log p(x)`, the sum running over all steps that have a predecessor.

    Args:
        score: fitted score.
        series: inputs `(T, Dx)`, `(B, T, Dx)` or a list.
    """
    total, n = 0.0, 0
    for x in arrays("bayesian_information", "x", series):
        for start in range(0, len(x) - 1, BLOCK):
            values, _ = score.log_density(x[start : start + BLOCK + 1])
            total, n = total + float(values.sum()), n + len(values)
    return score.n_parameters * math.log(max(n, 1)) - 2 * total
