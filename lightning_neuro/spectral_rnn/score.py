"""What a score is to the moments: vectors and precisions around one step, and who supplies them.

The score of order m of a density p is `S_m = (-1)^m D^m p / p`. For a Gaussian with precision L and `s = L (v - mean)`,
letters running over (time, coordinate):

    S_1 = s_a,   S_2 = s_a s_b - L_ab,   S_3 = s_a s_b s_c - L_ab s_c - L_ac s_b - L_bc s_a,   ...

so vectors s at a step and its neighbour, and three blocks of L, say everything; nothing of the size of S_m is formed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self, TypeAlias, runtime_checkable

from lightning_neuro.spectral_rnn.series import Array, SeriesLike, Steps


@dataclass(frozen=True)
class LocalScore:
    """Scores of one Gaussian component at n steps t and at one neighbour of each, `t - 1` unless said otherwise.

    A list of these is the score of a mixture: `S_m = sum_k gamma_k S_m^(k)`.

    Attributes:
        end: s at t, `(n, Dx)`.
        lag: s at the neighbour, `(n, Dx)`.
        P11: precision of t with itself, `(Dx, Dx)`; or `(n, Dx, Dx)` where it changes from step to step.
        P00: precision of the neighbour with itself, likewise.
        P10: precision of t (rows) with the neighbour (columns), `(Dx, Dx)`.
        gamma: responsibilities `(n,)` of this component, or None for 1.
        ahead: the same steps with their neighbour `t + 1`; None for the score of a prefix.
    """

    end: Array
    lag: Array
    P11: Array
    P00: Array
    P10: Array
    gamma: Array | None = None
    ahead: "LocalScore | None" = None

    def followed_by(self, ahead: "LocalScore") -> "LocalScore":
        """Return the same with the neighbours `t + 1`."""
        return replace(self, ahead=ahead)

    def part(self, rows: slice | Steps) -> "LocalScore":
        """Return some of the steps, as views, without `ahead`."""
        return replace(
            self,
            end=self.end[rows],
            lag=self.lag[rows],
            P11=self.P11 if self.P11.ndim == 2 else self.P11[rows],
            P00=self.P00 if self.P00.ndim == 2 else self.P00[rows],
            gamma=None if self.gamma is None else self.gamma[rows],
            ahead=None,
        )


Components: TypeAlias = Sequence[LocalScore]


@runtime_checkable
class ScoreModel(Protocol):
    """A density of input series, as far as spectral learning looks at it."""

    @property
    def fitted(self) -> bool:
        """Whether the density is known, from data or from the user."""
        ...

    def fit(self, series: SeriesLike) -> Self:
        """Estimate the density from inputs `(T, Dx)`, `(B, T, Dx)` or a list, and return self."""
        ...

    def reach(self, *, interior: bool = False) -> tuple[int, int]:
        """Return how many steps before and after t `local` looks at."""
        ...

    def local(self, x: Array, *, interior: bool = False) -> tuple[list[LocalScore], Steps]:
        """Return the components of the score of a series `x` `(T, Dx)`, and the usable steps that they stand for.

        Args:
            x: inputs in order; rows with a NaN are gaps.
            interior: False for the density of `x_1 .. x_t`, which outputs of a forward network need; True for that of
                the whole series, for outputs that also depend on what follows.
        """
        ...


def ahead_of(components: Components) -> list[LocalScore]:
    """Return the components with the neighbours `t + 1`.

    Raises:
        ValueError: the score is that of a prefix, in which nothing follows t.
    """
    following = [component.ahead for component in components if component.ahead is not None]
    if len(following) != len(components):
        raise ValueError("ahead_of: expected an interior score, got that of a prefix. Call local(x, interior=True).")
    return following


def require_fitted(model: ScoreModel) -> None:
    """Raise unless the model has been fitted.

    Raises:
        RuntimeError: it has not.
    """
    if not model.fitted:
        raise RuntimeError(f"{type(model).__name__}: expected a fitted score, got an unfitted one. Call fit(x) first.")
