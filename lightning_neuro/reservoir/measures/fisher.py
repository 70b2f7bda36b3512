"""The Fisher memory curve: how much of past inputs the noisy states of a linear reservoir still tell."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_discrete_lyapunov
from scipy.sparse import issparse

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.drive import Array
from lightning_neuro.reservoir.measures.maps import as_map
from lightning_neuro.reservoir.measures.result import Measure

STABLE = 1.0 - 1e-12


def fisher_memory(
    reservoir: Any,
    win: npt.ArrayLike | None = None,
    *,
    noise: float | npt.ArrayLike = 1.0,
    max_delay: int | None = None,
    column: int = 0,
) -> Measure:
    """Return `J_tot = sum_k J(k)`, `J(k) = (W^k v)^T C^-1 (W^k v)`, `C = sum_k W^k S W^kT`, of a linear reservoir.

    A reservoir with another f is taken as linear about rest, so that its leak, gains and `f'(0)` count and its inputs
    do not: an approximation, which `params["linearised"]` tells.

    Args:
        reservoir: W `(N, N)`, dense or sparse, with `win`; or a node, or an object that gives a map.
        win: v `(N,)`, where `reservoir` is a matrix.
        noise: covariance S of the noise of states: a number times the identity, or `(N, N)`.
        max_delay: last delay of the curve; 2 N if None. The value sums over all delays.
        column: of the input weights of a node.

    Returns:
        `J_tot`; `curve` is J(k) from k = 0.

    Raises:
        ValueError: W is not square or its spectral radius is 1 or more, v has another length, or S is not positive.

    Source: Ganguli, Huh and Sompolinsky 2008.

    >>> shift = np.eye(10, k=-1)
    >>> line = fisher_memory(shift, np.eye(10)[0])
    >>> round(float(line), 6), line.curve[:2].round(4).tolist()
    (2.928968, [1.0, 0.5])
    """
    owner = "fisher_memory"
    weights, v, linearised = linear_parts(owner, reservoir, win, column)
    units = len(weights)
    last = 2 * units if max_delay is None else checks.integer(owner, "max_delay", max_delay, at_least=0)
    covariance = solve_discrete_lyapunov(weights, _noise(owner, noise, units))
    factor = cho_factor(covariance)
    signals = [v]
    for _ in range(last):
        signals.append(weights @ signals[-1])
    stacked = np.array(signals).T
    curve = np.einsum("nk,nk->k", stacked, cho_solve(factor, stacked))
    total = float(np.trace(cho_solve(factor, solve_discrete_lyapunov(weights, np.outer(v, v)))))
    params = {"max_delay": last, "column": column, "linearised": linearised}
    return Measure(
        "Fisher memory", total, curve=curve, curve_at=np.arange(last + 1.0), curve_label="delay", params=params
    )


def linear_parts(owner: str, reservoir: Any, win: npt.ArrayLike | None, column: int) -> tuple[Array, Array, bool]:
    """Return W, v, and whether a non-linear reservoir was taken as linear.

    Raises:
        ValueError: W is not square, its spectral radius is 1 or more, or v has another length.
    """
    weights, v = _about_rest(owner, reservoir, column) if win is None else _given(owner, reservoir, win)
    radius = float(np.abs(np.linalg.eigvals(weights)).max())
    if radius >= STABLE:
        raise ValueError(f"{owner}: the spectral radius of W must be below 1, got {radius:.4g}. Scale W down.")
    return weights, v, win is None


def _given(owner: str, reservoir: Any, win: npt.ArrayLike) -> tuple[Array, Array]:
    matrix = reservoir.toarray() if issparse(reservoir) else reservoir
    weights, v = np.asarray(matrix, np.float64), np.asarray(win, np.float64).ravel()
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1]:
        raise ValueError(f"{owner}: W must be square, got shape {weights.shape}.")
    if v.shape != (len(weights),):
        raise ValueError(f"{owner}: win must have {len(weights)} entries as W has rows, got {v.size}.")
    return weights, v


def _about_rest(owner: str, reservoir: Any, column: int) -> tuple[Array, Array]:
    system = as_map(reservoir, np.zeros((1, 1)), owner=owner)
    rest, nothing = np.zeros(system.units), np.zeros(getattr(system, "Win", np.zeros((1, 1))).shape[1])
    checks.integer(owner, "column", column, at_least=0, at_most=len(nothing) - 1)
    weights = system.tangent(rest, nothing, np.eye(system.units))
    # The response to a small input, by the same differences for every kind of map.
    small = 1e-6 * np.eye(len(nothing))[column]
    v = (system.step(rest, small) - system.step(rest, -small)) / 2e-6
    return np.asarray(weights), np.asarray(v)


def _noise(owner: str, noise: float | npt.ArrayLike, units: int) -> Array:
    if np.ndim(noise) == 0:
        return checks.number(owner, "noise", float(noise), above=0) * np.eye(units)  # type: ignore[arg-type]
    matrix = np.asarray(noise, np.float64)
    if matrix.shape != (units, units) or not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix).min() <= 0:
        raise ValueError(
            f"{owner}: noise must be a number above 0, or positive definite {(units, units)}, got shape {matrix.shape}."
        )
    return matrix
