"""Score of inputs whose density is a differentiable program: a flow, an energy, a denoiser."""

from collections.abc import Callable
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.score import LocalScore
from lightning_neuro.spectral_rnn.series import Array, SeriesLike, Steps, usable_steps


class LogDensityScore:
    """Score of inputs independent from step to step, from `log p` of one step by `torch.func`.

    `S_1 = -grad log p` and `S_2 = S_1 S_1' - jac(S_1)`; orders above two are not offered, as learned densities are
    rarely good enough. Densities that end abruptly (uniform) have no score: the moments would miss the jump.

    Args:
        log_density: differentiable function of one step `(Dx,)`, float64, to a scalar; a constant may be missing.

    >>> score = LogDensityScore(lambda x: -(x ** 2).sum() / 8)
    >>> (local,), steps = score.local(np.array([[1.0], [2.0]]))
    >>> local.end.item(), local.lag.item(), local.P11.item()
    (0.5, 0.25, 0.25)
    """

    def __init__(self, log_density: Callable[[Tensor], Tensor]) -> None:
        if not callable(log_density):
            raise TypeError(f"LogDensityScore: log_density must be callable, got {type(log_density).__name__}.")
        self._log_density = log_density
        self._denoiser: tuple[Callable[[Tensor], Tensor], float] | None = None

    @classmethod
    def from_denoiser(cls, denoise: Callable[[Tensor], Tensor], std: float) -> Self:
        """Return the score that a denoiser implies, `S_1 = (x - denoise(x)) / std^2`.

        Args:
            denoise: differentiable function of one noisy step `(Dx,)` to its estimate of the clean one.
            std: standard deviation of the noise it was trained on.

        >>> score = LogDensityScore.from_denoiser(lambda x: x * 0.75, std=0.5)
        >>> score.local(np.array([[1.0], [2.0]]))[0][0].end.item()
        2.0
        """
        variance = checks.number("LogDensityScore", "std", std, above=0) ** 2
        score = cls(torch.sum)  # never asked
        score._denoiser = (denoise, variance)
        return score

    def fit(self, series: SeriesLike) -> Self:
        """Return self: the density is known."""
        return self

    @property
    def fitted(self) -> bool:
        """Whether the density is known."""
        return True

    def reach(self, *, interior: bool = False) -> tuple[int, int]:
        """Return how many steps before and after t `local` looks at."""
        return (1, 1) if interior else (1, 0)

    def local(self, x: Array, *, interior: bool = False) -> tuple[list[LocalScore], Steps]:
        """Return the score of a series `(T, Dx)` and its usable steps; see `ScoreModel`.

        Raises:
            ValueError: the program's score has the wrong shape or is not finite.
        """
        steps = usable_steps(x, *self.reach(interior=interior))
        wanted = np.unique(np.concatenate([steps + shift for shift in ((-1, 0, 1) if interior else (-1, 0))]))
        width = x.shape[1]
        s, precision = np.zeros_like(x), np.zeros((len(x), width, width))
        if len(wanted):
            s[wanted], precision[wanted] = self._differentiate(x[wanted])
        none = np.zeros((width, width))

        def neighbours(shift: int) -> LocalScore:
            return LocalScore(s[steps], s[steps + shift], precision[steps], precision[steps + shift], none)

        local = neighbours(-1)
        return [local.followed_by(neighbours(1)) if interior else local], steps

    def _negative_gradient(self, x: Tensor) -> Tensor:
        if self._denoiser is not None:
            denoise, variance = self._denoiser
            return (x - denoise(x)) / variance
        return -grad(self._log_density)(x)

    def _differentiate(self, x: Array) -> tuple[Array, Array]:
        points = torch.from_numpy(np.ascontiguousarray(x))
        s = vmap(self._negative_gradient)(points)
        if s.shape != points.shape:
            raise ValueError(
                f"LogDensityScore: the score of a step must have shape {x.shape[1:]}, got {tuple(s.shape[1:])}."
            )
        precision = vmap(jacrev(self._negative_gradient))(points)
        if not (torch.isfinite(s).all() and torch.isfinite(precision).all()):
            raise ValueError("LogDensityScore: the score must be finite at the data, got NaN or infinity.")
        return s.detach().numpy(), ((precision + precision.mT) / 2).detach().numpy()
