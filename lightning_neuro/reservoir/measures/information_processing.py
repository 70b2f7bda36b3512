"""Information processing capacity: which functions of past inputs linear readouts recover from present states."""

import itertools
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import chi2

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.drive import Array, as_drive, column_of, states_of
from lightning_neuro.reservoir.measures.polynomials import BASES, Term, orthonormal_polynomials, products, terms
from lightning_neuro.reservoir.measures.readouts import RCOND, factorised
from lightning_neuro.reservoir.measures.result import Measure

NUMBERS_AT_ONCE = 2**22  # of targets; 32 MiB


def information_processing_capacity(
    reservoir_or_states: Any,
    inputs: Any,
    *,
    max_degree: int = 3,
    max_delay: int | Mapping[int, int] | None = None,
    washout: int = 0,
    first_delay: int = 0,
    max_factors: int | None = None,
    basis: str = "empirical",
    significance: float = 1e-4,
    scale: float = 1.0,
    patience: int = 10,
    noise_std: float = 0.0,
    seed: int = 0,
    rcond: float = RCOND,
    column: int = 0,
) -> Measure:
    """Return `sum_z C_z` over products z of orthonormal polynomials of independent inputs at different delays.

        C_z = |Q^T z|^2 / |z|^2,  z(t) = prod_i p_{d_i}(u(t - k_i)),  sum_i d_i = degree,  Q an orthonormal basis of X

    The total is at most the rank of the states, and equals it for fading memory once all degrees and delays are in.
    States that know nothing of z have T C_z distributed like chi squared with r degrees of freedom, r the rank; only
    C_z above `scale` times its quantile at `significance`, divided by T, count, and these as they are.

    For each degree and number of factors the largest delay grows by one, until `patience` steps in a row hold nothing
    significant. For this decision (ours) the quantile is that of the largest of all products of a step, since many
    products would otherwise keep the search alive by chance.

    All targets share one factorisation, 4 T N^2 flops, and cost 2 T N each.

    Args:
        reservoir_or_states: states X `(T, N)`, where row t has seen input t, or what runs on the inputs.
        inputs: u `(T,)` or `(T, K)`; 100,000 steps are advised for 100 units.
        max_degree: highest degree.
        max_delay: largest delay looked at, or one for each degree; if None 2 N, or a quarter of the series if less.
        washout: leading states to drop; at least the largest delay is.
        first_delay: 0, or 1 to leave the present input out.
        max_factors: delays in a product at most; None for as many as the degree.
        basis: "empirical", "legendre" or "hermite", see `orthonormal_polynomials`.
        significance: chance that a target without capacity counts.
        scale: factor on the threshold; 2 is conservative.
        patience: steps of delay without anything significant after which a search ends.
        noise_std: standard deviation of noise added to states. Without any, directions too small to matter count.
        seed: of that noise.
        rcond: directions of states below so much of the largest do not count.
        column: of inputs.

    Returns:
        The total; `curve` `(max_degree, L)` is the capacity by degree and largest delay. `details`: `by_degree`,
        `rank`, `completeness` (total by rank), `nonlinearity` (share of degrees above 1), `threshold`, `targets`,
        `capped` (degrees still found at their largest delay), `strongest` (at most 100 terms ((delay, degree), ...)
        and their capacity).

    Raises:
        ValueError: NaN, a constant input, or too few steps after washout and delays.

    Warns:
        UserWarning: so many targets that more than one counts by chance.

    Source: Dambre, Verstraeten, Schrauwen and Massar 2012. The factor of their threshold could not be verified.

    >>> u = np.random.default_rng(0).uniform(-1, 1, 5000)
    >>> states = np.stack([u, u**2, np.roll(u, 1), u * np.roll(u, 1)], axis=1)
    >>> found = information_processing_capacity(states, u, max_delay=5, significance=1e-6)
    >>> {degree: round(value, 3) for degree, value in found.details["by_degree"].items()}
    {1: 2.0, 2: 2.0, 3: 0.0}
    """
    owner = "information_processing_capacity"
    highest = checks.integer(owner, "max_degree", max_degree, at_least=1)
    first = checks.integer(owner, "first_delay", first_delay, at_least=0)
    factors = highest if max_factors is None else checks.integer(owner, "max_factors", max_factors, at_least=1)
    checks.choice(owner, "basis", basis, BASES)
    chance = checks.number(owner, "significance", significance, above=0, below=1)
    checks.number(owner, "scale", scale, above=0)
    checks.integer(owner, "patience", patience, at_least=1)
    checks.number(owner, "noise_std", noise_std, at_least=0)
    checks.number(owner, "rcond", rcond, above=0, below=1)
    washout = checks.integer(owner, "washout", washout, at_least=0)
    states, drive = states_of(reservoir_or_states, inputs, owner=owner), as_drive(inputs, owner=owner)
    caps = _caps(owner, max_delay, highest, first, states.shape)
    start = max(washout, *caps.values())
    if len(states) - start <= states.shape[1] + 1:
        raise ValueError(
            f"{owner}: readouts of {states.shape[1]} units need more than {states.shape[1] + 1} steps, but of "
            f"{len(states)} steps {start} go to the washout and the longest delay. "
            "Give a longer series, or a smaller max_delay."
        )
    used = states[start:]
    if noise_std > 0:
        used = used + noise_std * np.random.default_rng(seed).standard_normal(used.shape)
    series = column_of(drive, column, owner=owner)
    polynomials = orthonormal_polynomials(series, highest, basis)
    search = _Search(used, polynomials, start, chance, scale, patience, rcond)
    for degree in range(1, highest + 1):
        for count in range(1, min(degree, factors) + 1):
            search.run(degree, count, first, caps[degree])
    params = {"max_degree": highest, "first_delay": first, "max_factors": factors, "washout": washout, "basis": basis}
    more = {"significance": chance, "scale": scale, "patience": patience, "noise_std": noise_std, "max_delay": caps}
    return search.result(owner, highest, params | more)


@dataclass(eq=False)
class _Search:
    """Looks for significant terms, layer by layer; a layer holds all terms of the same largest delay."""

    states: Array
    polynomials: Array
    start: int
    chance: float
    scale: float
    patience: int
    rcond: float
    found: dict[Term, float] = field(default_factory=dict)
    capped: list[int] = field(default_factory=list)
    looked_at: int = 0

    def __post_init__(self) -> None:
        self.readouts = factorised(self.states, self.rcond)
        self.threshold = self.quantile(1)

    def quantile(self, of: int) -> float:
        """The capacity that the largest of so many targets without any exceeds with the given chance."""
        if self.readouts.rank == 0:
            return 1.0
        return float(self.scale * chi2.isf(self.chance / of, self.readouts.rank) / len(self.states))

    def run(self, degree: int, factors: int, first: int, cap: int) -> None:
        """Look through layers until `patience` of them in a row hold nothing."""
        begin = first + factors - 1
        last = begin - 1  # the last layer that held something
        delay = begin
        while delay <= min(last + self.patience, cap):
            ahead = range(delay, min(last + self.patience, cap) + 1)  # all of these are due, whatever they hold
            for layer, best, size in self._layers(degree, factors, first, ahead):
                if size and best > self.quantile(size):
                    last = layer
            delay = ahead.stop
        if last + self.patience > cap and last >= begin and degree not in self.capped:
            self.capped.append(degree)

    def _layers(self, degree: int, factors: int, first: int, ahead: range) -> Iterator[tuple[int, float, int]]:
        """Delay, largest capacity and number of terms of each layer."""
        highest = len(self.polynomials) - 1
        stream = ((d, term) for d in ahead for term in terms(degree, factors, d, first=first, highest=highest))
        best, size = dict.fromkeys(ahead, 0.0), dict.fromkeys(ahead, 0)
        at_once = max(1, NUMBERS_AT_ONCE // len(self.states))
        while block := list(itertools.islice(stream, at_once)):
            for (layer, term), capacity in zip(block, self._capacities([term for _, term in block]), strict=True):
                best[layer], size[layer] = max(best[layer], capacity), size[layer] + 1
                if capacity > self.threshold:
                    self.found[term] = capacity
        self.looked_at += sum(size.values())
        return ((layer, best[layer], size[layer]) for layer in ahead)

    def _capacities(self, chosen: list[Term]) -> list[float]:
        targets = products(self.polynomials, chosen, self.start)
        size = np.einsum("mt,mt->m", targets, targets) - targets.sum(axis=1) ** 2 / targets.shape[1]
        along = (self.readouts.projected(targets.T) ** 2).sum(axis=0)
        shares: list[float] = np.divide(along, size, out=np.zeros_like(size), where=size > 0).tolist()
        return shares

    def result(self, owner: str, highest: int, params: Mapping[str, Any]) -> Measure:
        """The measure of everything found."""
        if self.looked_at * self.chance > 1:
            warnings.warn(
                f"{owner}: about {self.looked_at * self.chance:.0f} of {self.looked_at} targets count by chance at "
                f"significance {self.chance:g}. Give a smaller significance.",
                UserWarning,
                stacklevel=3,
            )
        curve = np.zeros((highest, 1 + max((term[-1][0] for term in self.found), default=0)))
        for term, capacity in self.found.items():
            curve[sum(degree for _, degree in term) - 1, term[-1][0]] += capacity
        by_degree, total, rank = curve.sum(axis=1), float(curve.sum()), self.readouts.rank
        return Measure(
            "information processing capacity",
            total,
            curve=curve,
            curve_at=np.arange(curve.shape[1] * 1.0),
            curve_label="largest delay",
            curve_names=tuple(f"degree {degree}" for degree in range(1, highest + 1)),
            stacked=True,
            params=params,
            details={
                "by_degree": {degree: float(value) for degree, value in enumerate(by_degree, 1)},
                "rank": rank,
                "completeness": total / rank if rank else 0.0,
                "nonlinearity": float(by_degree[1:].sum()) / total if total else 0.0,
                "threshold": self.threshold,
                "targets": self.looked_at,
                "capped": sorted(self.capped),
                "strongest": sorted(self.found.items(), key=lambda item: -item[1])[:100],
            },
        )


def _caps(
    owner: str, max_delay: int | Mapping[int, int] | None, highest: int, first: int, shape: tuple[int, ...]
) -> dict[int, int]:
    """The largest delay of each degree."""
    steps, units = shape
    usual = max(first, min(2 * units, steps // 4))
    given = max_delay if isinstance(max_delay, Mapping) else dict.fromkeys(range(1, highest + 1), max_delay)
    asked = {degree: given.get(degree) for degree in range(1, highest + 1)}
    return {
        degree: usual if delay is None else checks.integer(owner, "max_delay", delay, at_least=first)
        for degree, delay in asked.items()
    }
