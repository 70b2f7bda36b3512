"""Polynomials that are orthonormal under the distribution of an input, and their products over delays."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from lightning_neuro.reservoir.measures.drive import Array

Term = tuple[tuple[int, int], ...]  # (delay, degree) of each factor, delays rising

BASES = ("empirical", "legendre", "hermite")
_VANISHED = 1e-8


def orthonormal_polynomials(series: Array, degree: int, basis: str) -> Array:
    """Return `(degree + 1, T)`, p_0 .. p_degree of each input, `<p_i p_j> = 1 if i = j else 0`.

    Args:
        series: `(T,)`, not constant.
        degree: highest; an "empirical" basis of v different values ends at v - 1, and has fewer rows.
        basis: "empirical" for Gram-Schmidt over the series itself, whatever its distribution (two values give
            parities); "legendre" for uniform inputs, whose range is taken as -1 .. 1; "hermite" for Gaussian inputs,
            which are standardised.

    >>> orthonormal_polynomials(np.array([-1.0, 0.0, 1.0]), 2, "legendre").round(4).tolist()
    [[1.0, 1.0, 1.0], [-1.7321, 0.0, 1.7321], [2.2361, -1.118, 2.2361]]
    >>> orthonormal_polynomials(np.array([0.0, 1.0]), 3, "empirical").tolist()
    [[1.0, 1.0], [-1.0, 1.0]]
    """
    if basis == "empirical":
        return _by_gram_schmidt(series, degree)
    if basis == "legendre":
        middle, half = (series.max() + series.min()) / 2, (series.max() - series.min()) / 2
        x = (series - middle) / half
        found = [np.ones_like(x), x]
        for n in range(1, degree):
            found.append(((2 * n + 1) * x * found[n] - n * found[n - 1]) / (n + 1))
        norms = np.sqrt(2 * np.arange(degree + 1) + 1.0)
    else:
        x = (series - series.mean()) / series.std()
        found = [np.ones_like(x), x]
        for n in range(1, degree):
            found.append(x * found[n] - n * found[n - 1])
        norms = 1 / np.sqrt(np.cumprod(np.maximum(np.arange(degree + 1), 1.0)))
    return np.asarray(np.array(found[: degree + 1]) * norms[:, None])


def _by_gram_schmidt(series: Array, degree: int) -> Array:
    x = (series - series.mean()) / series.std()
    found = np.ones((1, len(x)))
    for _ in range(degree):
        raised = x * found[-1]
        size = np.linalg.norm(raised)
        for _ in range(2):  # once leaves what rounding brings back
            raised = raised - (found @ raised / len(x)) @ found
        left = np.linalg.norm(raised)
        if left <= _VANISHED * size:
            break
        found = np.vstack([found, raised * np.sqrt(len(x)) / left])
    return found


def terms(degree: int, factors: int, largest: int, *, first: int = 0, highest: int | None = None) -> Iterator[Term]:
    """All products of so many factors at different delays whose degrees add to `degree`; one factor is at `largest`.

    Args:
        degree: of the product.
        factors: how many.
        largest: largest delay.
        first: smallest delay allowed.
        highest: degree of a single factor at most.

    >>> list(terms(3, 2, 1))
    [((0, 1), (1, 2)), ((0, 2), (1, 1))]
    """
    shares = [split for split in _splits(degree, factors) if highest is None or max(split) <= highest]
    for earlier in itertools.combinations(range(first, largest), factors - 1):
        for split in shares:
            yield tuple(zip((*earlier, largest), split, strict=True))


def _splits(total: int, parts: int) -> list[tuple[int, ...]]:
    """All ways to write `total` as an ordered sum of `parts` numbers from 1 on."""
    cuts = itertools.combinations(range(1, total), parts - 1)
    return [tuple(b - a for a, b in itertools.pairwise((0, *cut, total))) for cut in cuts]


def products(polynomials: Array, chosen: Sequence[Term], start: int) -> Array:
    """Values `(M, T - start)` of terms at steps `start` to T; one row each.

    >>> products(np.array([[1.0, 1, 1], [2.0, 3, 4]]), [((0, 1), (1, 1))], start=1).tolist()
    [[6.0, 12.0]]
    """
    total = polynomials.shape[1]
    found = np.empty((len(chosen), total - start))
    for row, term in zip(found, chosen, strict=True):
        (delay, degree), *others = term
        row[:] = polynomials[degree, start - delay : total - delay]
        for delay, degree in others:
            row *= polynomials[degree, start - delay : total - delay]
    return found
