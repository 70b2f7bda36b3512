"""Gaussian information of all units and all pairs at once, by elimination in small covariances that are stacked.

    T_{i->j} = 1/2 ln( var(next_j | past_j) / var(next_j | past_j, source_i) )

The covariances of all pairs come from few matrix products; a variable is taken out of all of them by one step of
Gaussian elimination, which leaves alone what has no variance left.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from lightning_neuro.reservoir.measures.information.gaussian import (
    RESOLVED,
    basis,
    check_samples,
    log_determinant_bias,
    remainder,
)
from lightning_neuro.reservoir.measures.information.samples import Array, rows, standardized

_CHUNK = 2**22  # numbers in one stack of covariances


class Pairs(NamedTuple):
    """Information of stacked variables; None where an estimator does not know.

    Args:
        value: in nats, bias removed where asked.
        p_value: of independence, from chi2.
        remaining: share of the variance of the target that the condition leaves.
    """

    value: Array
    p_value: Array | None
    remaining: Array | None


def eliminate(covariance: Array, variables: range) -> npt.NDArray[np.int64]:
    """Take variables out of stacked covariances in place, and count those that had any variance left.

    Args:
        covariance: `(m, m, ...)`, of standardised variables.
        variables: places among the m.

    >>> stack = np.array([[1.0, 0.6], [0.6, 1.0]])
    >>> int(eliminate(stack, range(1))), round(float(stack[1, 1]), 2)  # 1 - 0.6^2
    (1, 0.64)
    """
    taken = np.zeros(covariance.shape[2:], np.int64)
    for place in variables:
        pivot = covariance[place, place]
        alive = pivot > RESOLVED
        taken += alive
        row = covariance[place] * np.where(alive, 1 / np.where(alive, pivot, 1), 0)
        covariance -= covariance[:, place, None] * row[None]
    return taken


def stacked_information(
    covariance: Array, conditions: int, samples: int | None, *, given: int = 0, bias_correction: bool = True
) -> Pairs:
    """Return the information of stacked variables about the last one.

    Args:
        covariance: `(m, m, ...)` of standardised variables: first the conditions, then the source, last the target;
            changed in place.
        conditions: how many the conditions are.
        samples: n; None for exact covariances, which have neither bias nor p-value.
        given: dimensions that were taken out before.
        bias_correction: remove the bias.
    """
    last = len(covariance) - 1
    d_z = eliminate(covariance, range(conditions))
    before = covariance[last, last].copy()
    d_x = eliminate(covariance, range(conditions, last))
    informative = (before > RESOLVED) & (d_x > 0)
    after = np.maximum(covariance[last, last], RESOLVED * np.where(informative, before, 1))
    value = np.where(informative, np.log(np.where(informative, before, 1) / np.where(informative, after, 1)) / 2, 0.0)
    value = np.maximum(value, 0.0)  # rounding
    if samples is None:
        return Pairs(value, np.where(value > 0, 0.0, 1.0), before)
    p_value = np.where(informative, chdtrc(np.maximum(d_x, 1), 2 * samples * value), 1.0)
    if bias_correction:
        bias = log_determinant_bias(samples, np.arange(last + given + 2))
        d_z = d_z + given
        difference = (bias[d_x + d_z] + bias[1 + d_z] - bias[d_z] - bias[d_x + d_z + 1]) / 2
        value = np.where(informative, value - difference, 0.0)
    return Pairs(value, p_value, before)


def all_pairs(
    source: Array, past: Array, target: Array, condition: Array | None = None, *, bias_correction: bool = True
) -> Pairs:
    """Return I(source_i ; target_j | past_j, condition) for all i and j.

    Args:
        source: `(B, n, N, l)`, l steps of each of N sources.
        past: `(B, n, M, k)`, k steps of each of M targets, or k = 0.
        target: `(B, n, M)`.
        condition: `(B n, d)`, shared by all pairs.
        bias_correction: remove the bias.

    Returns:
        Arrays `(N, M)`.

    Raises:
        ValueError: too few samples.

    >>> x = np.random.default_rng(0).standard_normal((1, 2000, 3))
    >>> found = all_pairs(x[:, :-1, :, None], x[:, :-1, :, None], x[:, 1:])
    >>> found.value.shape, bool(abs(found.value).max() < 0.01)
    ((3, 3), True)
    """
    samples = target.shape[0] * target.shape[1]
    given = basis(standardized(condition)) if condition is not None else np.zeros((samples, 0))
    (sources, steps), (targets, history) = source.shape[2:], past.shape[2:]
    check_samples(samples, steps + history + 1 + given.shape[1])
    s = [_left(rows(source[..., lag]), given) for lag in range(steps)]
    t = [_left(rows(past[..., lag]), given) for lag in range(history)] + [_left(rows(target), given)]
    within_source = np.array([[_products(a, b) for a in s] for b in s]) / samples
    within_target = np.array([[_products(a, b) for a in t] for b in t]) / samples
    found = []
    width = max(1, _CHUNK // ((steps + history + 1) ** 2 * sources))
    for first in range(0, targets, width):
        part = slice(first, first + width)
        across = np.array([[a.T @ b[:, part] for b in t] for a in s]) / samples
        stack = assembled(within_source, within_target[..., part], across)
        found.append(
            stacked_information(stack, history, samples, given=given.shape[1], bias_correction=bias_correction)
        )
    return Pairs(*(np.concatenate(parts, axis=1) for parts in zip(*found, strict=True)))


def assembled(within_source: Array, within_target: Array, across: Array) -> Array:
    """Return covariances of (past of j, source i, target j) for all pairs, `(k + l + 1, k + l + 1, N, M)`.

    Args:
        within_source: `(l, l, N)`.
        within_target: `(k + 1, k + 1, M)`, the target last.
        across: `(l, k + 1, N, M)`.
    """
    steps, history = len(within_source), len(within_target) - 1
    past, source = slice(0, history), slice(history, history + steps)
    stack = np.empty((history + steps + 1,) * 2 + across.shape[2:])
    stack[past, past] = within_target[:-1, :-1, None, :]
    stack[past, -1] = stack[-1, past] = within_target[:-1, -1, None, :]
    stack[-1, -1] = within_target[-1, -1, None, :]
    stack[source, source] = within_source[..., None]
    stack[source, past] = across[:, :-1]
    stack[past, source] = across[:, :-1].swapaxes(0, 1)
    stack[source, -1] = stack[-1, source] = across[:, -1]
    return stack


def all_units(past: Array, target: Array, condition: Array | None = None, *, bias_correction: bool = True) -> Pairs:
    """Return I(past_i ; target_i | condition) for all units.

    Args:
        past: `(B, n, N, k)`.
        target: `(B, n, N)`.
        condition: `(B n, d)`, shared by all units.
        bias_correction: remove the bias.

    Returns:
        Arrays `(N,)`.

    Raises:
        ValueError: too few samples.

    >>> x = np.random.default_rng(0).standard_normal((1, 2000, 2)).cumsum(axis=1)
    >>> bool((all_units(x[:, :-1, :, None], x[:, 1:]).value > 2).all())
    True
    """
    samples = target.shape[0] * target.shape[1]
    given = basis(standardized(condition)) if condition is not None else np.zeros((samples, 0))
    check_samples(samples, past.shape[3] + 1 + given.shape[1])
    columns = [_left(rows(past[..., lag]), given) for lag in range(past.shape[3])] + [_left(rows(target), given)]
    stack = np.array([[_products(a, b) for a in columns] for b in columns]) / samples
    return stacked_information(stack, 0, samples, given=given.shape[1], bias_correction=bias_correction)


def _left(columns: Array, given: Array) -> Array:
    return remainder(standardized(columns), given)


def _products(a: Array, b: Array) -> Array:
    return np.einsum("ti,ti->i", a, b)
