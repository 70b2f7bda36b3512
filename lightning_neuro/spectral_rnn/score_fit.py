"""The score for a stream: fitted by the sums of the first pass."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score, IIDGaussianScore
from lightning_neuro.spectral_rnn.gaussian_statistics import GaussianStatistics
from lightning_neuro.spectral_rnn.passes import Passes, stretches
from lightning_neuro.spectral_rnn.score import ScoreModel
from lightning_neuro.spectral_rnn.series import Array, Series, drop_exploded

SCORES = ("auto", "iid", "ar1")


def fit_score(owner: str, score: Any, statistics: GaussianStatistics, passes: Passes) -> ScoreModel:
    """Return the score that is asked for, fitted.

    Args:
        owner: who asks; opens the messages.
        score: "iid", "ar1", "auto" (of these two the one with the smaller BIC), or a model; one that is not fitted yet
            is fitted on all inputs at once, which then have to fit in memory.
        statistics: sums over neighbouring inputs.
        passes: the data.

    Raises:
        TypeError: `score` is neither a name nor a model.
        ValueError: the name is unknown, or the inputs do not decide a score.
    """
    if not isinstance(score, str):
        if not isinstance(score, ScoreModel):
            names = ", ".join(map(repr, SCORES))
            raise TypeError(f"{owner}: score must be one of {names} or a score model, got {type(score).__name__}.")
        return score if score.fitted else score.fit(passes.run(_inputs).found)
    name = checks.choice(owner, "score", score, SCORES)
    if name == "auto":
        return choose_gaussian(statistics)
    return (IIDGaussianScore if name == "iid" else GaussianAR1Score)().fit_statistics(statistics)


def choose_gaussian(statistics: GaussianStatistics) -> IIDGaussianScore | GaussianAR1Score:
    """Return the Gaussian score with the smaller BIC, by sums alone.

    At its best the log-likelihood of a Gaussian is `-n/2 log det Q` and a constant.
    """
    candidates = [kind().fit_statistics(statistics) for kind in (IIDGaussianScore, GaussianAR1Score)]
    penalty = math.log(statistics.pairs)
    costs = [
        statistics.pairs * float(np.linalg.slogdet(score.covariance_)[1]) + score.n_parameters * penalty
        for score in candidates
    ]
    return candidates[int(np.argmin(costs))]


def mean_precisions(score: ScoreModel, inputs: list[Array], *, interior: bool) -> tuple[Array, Array]:
    """Return the precisions of the score at a step and at its neighbour, over a sample; of a mixture, the mean."""
    ends: list[Array] = []
    lags: list[Array] = []
    for x in inputs:
        components, steps = score.local(x, interior=interior)
        for component in components if len(steps) else ():
            share = 1 / len(components) if component.gamma is None else float(component.gamma.mean())
            for found, precision in ((ends, component.P11), (lags, component.P00)):
                found.append(share * len(steps) * (precision if precision.ndim == 2 else precision.mean(axis=0)))
    total = float(sum(len(score.local(x, interior=interior)[1]) for x in inputs))
    return np.sum(ends, axis=0) / total, np.sum(lags, axis=0) / total


@dataclass
class _Inputs:
    found: list[Array]

    def merge(self, other: "_Inputs") -> None:
        self.found += other.found


def _inputs(source: Iterable[Series]) -> _Inputs:
    return _Inputs([part.x for series in source for kept in drop_exploded([series])[0] for part in stretches(kept)])
