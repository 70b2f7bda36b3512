"""The choices of the backward pass."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lightning_neuro.common import checks
from lightning_neuro.st_rsbp.post_derivative import as_table

OWNER = "GradientRule"
Kind: TypeAlias = Literal["adjoint", "published"]
Post: TypeAlias = Literal["auto", "analytic", "montecarlo", "table", "self", "none"]
Lateral: TypeAlias = Literal["recurrent", "factor", "ignore"]


@dataclass(frozen=True)
class GradientRule:
    """How gradients are formed from spike trains.

    Args:
        kind: `"adjoint"` for the exact gradient of the potential model, one linear solve per sample and recurrent
            layer; `"published"` for the authors' rule, in which own weights of a recurrent layer get the gain of
            their neuron alone, and the system is solved for the layer below only.
        post_derivative: how a neuron's own count changes its potential: `"analytic"` closed form, `"montecarlo"` fit
            to random trains, `"auto"` for the first where steps are at least 5 tau_m and else the second, `"table"`
            of the authors' kind, `"self"` from the neuron's count alone, `"none"`.
        silent_ratio: stands for e / count where one of the two neurons is silent, on the way to the layer below.
        recurrent_silent_ratio: the same between neurons of a recurrent layer; None for 0, the derivative itself, with
            the adjoint, and for `silent_ratio` with the published rule.
        gain_floor: least value of D = 1 - G / threshold, above 0; None for no bound but a distance of 1e-4 from 0.
        self_term: whether a neuron's connection to itself counts among the pre terms of the system; None for yes with
            the adjoint and no with the published rule.
        lateral: lateral inhibition in the backward pass: `"recurrent"`, as fixed recurrent weights; `"factor"`, the
            authors' scaling of the output layer's own gradient; `"ignore"`; None for the first with the adjoint and
            the second with the published rule.
        amplification_limit: where the solution for a sample is longer than the answer without recurrence by more than
            this factor, that answer is used; None for a factor of 1000. Few samples reach it, and those few would
            outweigh their batch.
        table: K x 5 coefficients or the path of a text file with them; with `post_derivative="table"`.
        solve_bytes: what the linear systems in memory at one time may take; a batch is split accordingly. With numba
            on the CPU it is one system for each thread, whatever the bytes.
        seed: of the random trains of `"montecarlo"`.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind or outside its range, or a table is missing.

    The adjoint differs from the authors' code, which solves with the transposed matrix and leaves the connection of a
    neuron to itself out. `gain_floor`, `amplification_limit` and the ratio of 0 between recurrent neurons are ours.

    >>> GradientRule().kind, GradientRule.published(revision="2019-05").silent_ratio
    ('adjoint', 0.0)
    """

    kind: Kind = "adjoint"
    post_derivative: Post = "auto"
    silent_ratio: float = 0.5
    recurrent_silent_ratio: float | None = None
    gain_floor: float | None = 0.1
    self_term: bool | None = None
    lateral: Lateral | None = None
    amplification_limit: float | None = 3.0
    table: Any = None
    solve_bytes: int = 1 << 28
    seed: int = 0

    def __post_init__(self) -> None:
        checks.choice(OWNER, "kind", self.kind, ("adjoint", "published"))
        checks.choice(
            OWNER, "post_derivative", self.post_derivative, ("auto", "analytic", "montecarlo", "table", "self", "none")
        )
        checks.number(OWNER, "silent_ratio", self.silent_ratio, at_least=0, at_most=1)
        if self.recurrent_silent_ratio is not None:
            checks.number(OWNER, "recurrent_silent_ratio", self.recurrent_silent_ratio, at_least=0, at_most=1)
        if self.amplification_limit is not None:
            checks.number(OWNER, "amplification_limit", self.amplification_limit, at_least=1)
        if self.gain_floor is not None:
            checks.number(OWNER, "gain_floor", self.gain_floor, above=0, at_most=1)
        if self.lateral is not None:
            checks.choice(OWNER, "lateral", self.lateral, ("recurrent", "factor", "ignore"))
        checks.integer(OWNER, "solve_bytes", self.solve_bytes, at_least=1)
        checks.integer(OWNER, "seed", self.seed, at_least=0)
        self._check_table()

    @classmethod
    def published(cls, revision: Literal["2019-10", "2019-05"] = "2019-10", *, table: Any = None) -> "GradientRule":
        """Return the authors' rule as their program had it at one of two dates.

        Args:
            revision: `"2019-05"`, of their logs on speech and Fashion-MNIST, gives a silent neuron no error;
                `"2019-10"`, of their convolutional MNIST log, takes half its pre term.
            table: their fits, which this package does not ship; without one, simulation or the closed form.

        Raises:
            ValueError: an unknown revision.
        """
        checks.choice(OWNER, "revision", revision, ("2019-10", "2019-05"))
        return cls(
            kind="published",
            post_derivative="auto" if table is None else "table",
            silent_ratio=0.5 if revision == "2019-10" else 0.0,
            gain_floor=None,
            amplification_limit=None,
            table=table,
        )

    @property
    def with_self_term(self) -> bool:
        """`self_term`, decided."""
        return self.kind == "adjoint" if self.self_term is None else self.self_term

    @property
    def silent_ratio_between(self) -> float:
        """`recurrent_silent_ratio`, decided."""
        if self.recurrent_silent_ratio is not None:
            return self.recurrent_silent_ratio
        return 0.0 if self.kind == "adjoint" else self.silent_ratio

    @property
    def lateral_treatment(self) -> Lateral:
        """`lateral`, decided."""
        if self.lateral is not None:
            return self.lateral
        return "recurrent" if self.kind == "adjoint" else "factor"

    def _check_table(self) -> None:
        if (self.post_derivative == "table") != (self.table is not None):
            raise ValueError(
                f'{OWNER}: table belongs to post_derivative="table", got post_derivative={self.post_derivative!r} and '
                f"{'no table' if self.table is None else 'a table'}. Give both or neither."
            )
        if self.table is not None:
            object.__setattr__(self, "table", as_table(OWNER, self.table))


def as_rule(owner: str, name: str, given: Kind | GradientRule) -> GradientRule:
    """Return a rule, also by name.

    Args:
        owner: who asks; opens the message.
        name: the argument's name.
        given: a rule, `"adjoint"` or `"published"`.

    Raises:
        ValueError: it is something else.

    >>> as_rule("STRSBP", "gradient", "published").gain_floor is None
    True
    """
    if isinstance(given, GradientRule):
        return given
    kind = checks.choice(owner, name, given, ("adjoint", "published"))
    return GradientRule() if kind == "adjoint" else GradientRule.published()
