"""Exact information in linear networks with Gaussian noise: what estimators should find."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.information.gaussian_pairs import assembled, stacked_information
from lightning_neuro.reservoir.measures.information.samples import Array


@dataclass(frozen=True, eq=False)
class LinearGaussianInformation:
    """Exact values in nats.

    Attributes:
        storage: `(N,)`, active information storage.
        transfer: `(N, N)`, transfer entropy from row to column.
        predictive: I(x_t ; x_{t+1}) of the whole state.
        covariance: `(N, N)`, of the stationary state.
    """

    storage: Array
    transfer: Array
    predictive: float
    covariance: Array


def linear_gaussian_information(
    W: Any,  # noqa: N803  the host's name
    Win: Any = None,  # noqa: N803
    noise: Any = 1.0,
    *,
    input_variance: float = 1.0,
    history: int = 1,
    source_history: int = 1,
) -> LinearGaussianInformation:
    """Return exact storage and transfer of `x(t+1) = W x(t) + Win u(t+1) + e(t+1)`, u and e white and Gaussian.

        S = W S W^T + Q,  Q = Win Win^T var(u) + cov(e),  cov(x_{t+h}, x_t) = W^h S

    Args:
        W: `(N, N)`, spectral radius below 1.
        Win: `(N, K)`; None for no input.
        noise: variance of e, one for all or `(N,)`, or its covariance `(N, N)`.
        input_variance: of each input.
        history: k, of a unit's own past.
        source_history: l.

    Raises:
        ValueError: W is not square or its spectral radius not below 1.

    >>> found = linear_gaussian_information([[0.8]])
    >>> round(float(found.storage[0]), 6), round(found.predictive, 6)  # -1/2 ln(1 - 0.64)
    (0.510826, 0.510826)
    """
    owner = "linear_gaussian_information"
    weights = np.atleast_2d(W.toarray() if hasattr(W, "toarray") else np.asarray(W, float))
    units = len(weights)
    if weights.shape != (units, units):
        raise ValueError(f"{owner}: W must be square, got shape {weights.shape}.")
    radius = float(abs(np.linalg.eigvals(weights)).max())
    if radius >= 1:
        raise ValueError(f"{owner}: W must have a spectral radius below 1, got {radius:.4g}. Scale it down.")
    k = checks.integer(owner, "history", history, at_least=1)
    steps = checks.integer(owner, "source_history", source_history, at_least=1)
    given = np.asarray(noise, float)
    q = given if given.ndim == 2 else np.diag(np.broadcast_to(given, units))
    if Win is not None:
        drive = Win.toarray() if hasattr(Win, "toarray") else np.asarray(Win, float).reshape(units, -1)
        q = q + input_variance * drive @ drive.T
    s = solve_discrete_lyapunov(weights, q)
    s = (s + s.T) / 2
    std = np.sqrt(np.diag(s))
    scale = np.where(std > 0, 1 / np.where(std > 0, std, 1), 0)
    gammas = [s]
    for _ in range(max(k, steps)):
        gammas.append(weights @ gammas[-1])  # cov(x_{t+h} of the row, x_t of the column)
    gammas = [gamma * scale[:, None] * scale for gamma in gammas]

    def across(earlier: int, later: int) -> Array:
        """Correlation of unit i at lag `earlier` with unit j at lag `later`, `(i, j)`."""
        return gammas[earlier - later].T if earlier >= later else gammas[later - earlier]

    own, of_source = [*range(1, k + 1), 0], range(1, steps + 1)
    target = np.array([[np.diag(across(a, b)) for a in own] for b in own])
    source = np.array([[np.diag(across(a, b)) for a in of_source] for b in of_source])
    between = np.array([[across(a, b) for b in own] for a in of_source])
    storage = stacked_information(target.copy(), 0, None).value
    transfer = stacked_information(assembled(source, target, between), k, None).value
    predictive = float(np.linalg.slogdet(s)[1] - np.linalg.slogdet(q)[1]) / 2
    return LinearGaussianInformation(storage, transfer, predictive, s)
