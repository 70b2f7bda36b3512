"""Cross-moments between outputs and scores of the inputs, as exact sums that add up over blocks, workers and ranks.

Symbols: outputs y `(n, Dy)`, scores s of Dx entries, weights of the steps. Nothing of the size n x Dx^2 is formed: a
product of a score with itself exists for `BLOCK` steps at a time and is summed by matrix products.
Following the approach of arXiv 1603.00954; the contraction of the mixed moment in place of order 4 is ours.
"""

from collections.abc import Iterator

import numpy as np

from lightning_neuro.spectral_rnn.score import Components, LocalScore
from lightning_neuro.spectral_rnn.series import Array, Steps

BLOCK = 1024
"""Steps at a time: their scores and products stay in a processor's second cache."""


def second_moment(y: Array, components: Components, weights: Array | None = None) -> tuple[Array, float]:
    """Sum of `y (x) S_2(t)`, (I1): for quadratic networks its mean is `2 c2 sum_i c_i (x) a_i (x) a_i`.

    Args:
        y: outputs `(n, Dy)` at the usable steps.
        components: the score at these steps.
        weights: `(n,)`, or None for 1.

    Returns:
        Sum `(Dy, Dx, Dx)`, symmetric in the last two axes, and the sum of the weights.

    >>> end = np.array([[1.5]])
    >>> local = LocalScore(end, end, P11=np.eye(1), P00=np.eye(1), P10=np.zeros((1, 1)))
    >>> second_moment(np.array([[2.0]]), [local])
    (array([[[2.5]]]), 1.0)
    """
    width = components[0].end.shape[1]
    total = np.zeros((y.shape[1], width, width))
    for weighted, local in _parts(y, components, weights):
        # Steps last: the weighing runs along memory, and one product serves all outputs.
        scores = np.ascontiguousarray(local.end.T)
        stacked = np.ascontiguousarray(weighted.T)[:, None] * scores
        total += (stacked.reshape(-1, scores.shape[1]) @ scores.T).reshape(total.shape)
        total -= _weighted_precision(weighted, local.P11)
    return (total + total.swapaxes(1, 2)) / 2, _count(y, weights)


def third_moment(y: Array, components: Components, basis: Array, weights: Array | None = None) -> tuple[Array, float]:
    """Sum of `y (x) S_3(t)` seen in a basis of r directions: `S_3(b_p, b_q, b_r)` over the columns of `basis`.

    Args:
        y: outputs `(n, Dy)` at the usable steps.
        components: the score at these steps, with constant precisions.
        basis: directions `(Dx, r)`.
        weights: `(n,)`, or None for 1.

    Returns:
        Sum `(Dy, r, r, r)` and the sum of the weights.
    """
    rank, outputs = basis.shape[1], y.shape[1]
    total = np.zeros((outputs, rank, rank, rank))
    for weighted, local in _parts(y, components, weights):
        seen, precision = local.end @ basis, basis.T @ _constant(local.P11, "third_moment") @ basis
        pairs = _outer(seen, seen)
        total += (_outer(weighted, seen).T @ pairs).reshape(total.shape)
        first = weighted.T @ seen
        total -= np.einsum("pq,kr->kpqr", precision, first)
        total -= np.einsum("pr,kq->kpqr", precision, first)
        total -= np.einsum("qr,kp->kpqr", precision, first)
    return total, _count(y, weights)


def mixed_contraction(
    projected: Array, components: Components, duals_end: Array, duals_lag: Array, weights: Array | None = None
) -> tuple[Array, float]:
    """Sum over steps of the mixed score `S_{1,2}(t, neighbour)` in the dual directions, (I2).

    `G_ij = sum yw_i (alpha_i beta_j^2 - alpha_i q_jj - 2 R_ij beta_j)` with `alpha = s_end B1`, `beta = s_lag B0`,
    `q = B0' P00 B0`, `R = B1' P10 B0`. For a quadratic network its mean is `4 c2^2 U_ij`.

    Args:
        projected: yw, outputs in the directions that belong to the neurons, `(n, H)`.
        components: the score; with `ahead_of(components)` the neighbour is `t + 1`.
        duals_end: B1 `(Dx, H)`, with `A1 B1 = I`.
        duals_lag: B0 `(Dx, H)`, likewise.
        weights: `(n,)`, or None for 1.

    Returns:
        Sum `(H, H)` and the sum of the weights.
    """
    total = np.zeros((duals_end.shape[1], duals_lag.shape[1]))
    for weighted, local in _parts(projected, components, weights):
        alpha, beta = weighted * (local.end @ duals_end), local.lag @ duals_lag
        total += alpha.T @ (beta * beta - _diagonal(local.P00, duals_lag))
        total -= 2 * (duals_end.T @ local.P10 @ duals_lag) * (weighted.T @ beta)
    return total, _count(projected, weights)


def mixed_moment(y: Array, components: Components, weights: Array | None = None) -> tuple[Array, float]:
    """Sum of `y (x) S_{1,2}(t, neighbour)` in full: for streams that cannot be read again once neurons are known.

    Costs `n Dy Dx^3`; `mixed_contraction` costs `n H^2`.

    Args:
        y: outputs `(n, Dy)` at the usable steps.
        components: the score at these steps, with constant precisions.
        weights: `(n,)`, or None for 1.

    Returns:
        Sum `(Dy, Dx, Dx, Dx)`: output, coordinate at t, two coordinates at the neighbour; and the sum of the weights.
    """
    width = components[0].end.shape[1]
    total = np.zeros((y.shape[1], width, width, width))
    for weighted, local in _parts(y, components, weights):
        total += (_outer(weighted, local.end).T @ _outer(local.lag, local.lag)).reshape(total.shape)
        end, lag = weighted.T @ local.end, weighted.T @ local.lag
        total -= np.einsum("ka,bc->kabc", end, _constant(local.P00, "mixed_moment"))
        total -= np.einsum("ab,kc->kabc", local.P10, lag)
        total -= np.einsum("ac,kb->kabc", local.P10, lag)
    return total, _count(y, weights)


def contract_mixed(moment: Array, output_weights: Array, duals_end: Array, duals_lag: Array) -> Array:
    """Bring a full mixed moment `(Dy, Dx, Dx, Dx)` to what `mixed_contraction` gives for `y @ output_weights.T`.

    Args:
        moment: sum or mean of `y (x) S_{1,2}`.
        output_weights: W `(H, Dy)`.
        duals_end: B1 `(Dx, H)`.
        duals_lag: B0 `(Dx, H)`.
    """
    return np.einsum("kabc,ik,ai,bj,cj->ij", moment, output_weights, duals_end, duals_lag, duals_lag, optimize=True)


def order4_contraction(
    projected: Array, components: Components, duals_lag: Array, weights: Array | None = None
) -> tuple[Array, float]:
    """Sum over steps of the fourth score of the neighbour, `F_i[p, q] = sum yt_i S_4(b_p, b_p, b_q, b_q)`, (I3).

    For a quadratic network its mean is `8 c2^3 U_ip U_iq`, and `24 c2^3 U_ip^2` on the diagonal.

    Args:
        projected: yt, outputs in the directions that belong to the neurons, `(n, H)`.
        components: the score at these steps, with constant precisions.
        duals_lag: B0 `(Dx, H)`, with `A1 B0 = I`.
        weights: `(n,)`, or None for 1.

    Returns:
        Sum `(H, H, H)`, neuron i first, and the sum of the weights.
    """
    width = duals_lag.shape[1]
    total = np.zeros((projected.shape[1], width, width))
    for weighted, local in _parts(projected, components, weights):
        beta = local.lag @ duals_lag
        precision = duals_lag.T @ _constant(local.P00, "order4_contraction") @ duals_lag
        squares, own = beta * beta, np.diag(precision)
        constant = np.outer(own, own) + 2 * precision**2
        lone = (weighted.T @ squares)[:, None, :] * own[:, None]
        total += _grams(weighted, squares) - 4 * precision * _grams(weighted, beta)
        total += constant * weighted.sum(axis=0)[:, None, None] - lone - lone.swapaxes(1, 2)
    return total, _count(projected, weights)


def first_moments(
    y: Array, components: Components, steps: Steps, lags: int, weights: Array | None = None
) -> tuple[Array, float]:
    """Sums of `y_t (x) S_1(t - k)` for k = 0 to `lags`: means are `A2' U^k A1` for a linear network.

    Only steps count that have all their lags in one stretch without a border or a gap, the same steps for every k.

    Args:
        y: outputs `(n, Dy)` at the usable steps.
        components: the score at these steps, that of a prefix.
        steps: which steps these are, rising.
        lags: largest k.
        weights: `(n,)`, or None for 1.

    Returns:
        Sums `(Dy, lags + 1, Dx)` and the sum of the weights that counted.

    >>> end = np.arange(1.0, 5.0)[:, None]
    >>> local = LocalScore(end, np.roll(end, 1), P11=np.eye(1), P00=np.eye(1), P10=np.zeros((1, 1)))
    >>> sums, count = first_moments(np.ones((4, 1)), [local], np.array([1, 2, 3, 7]), lags=2)
    >>> sums.ravel().tolist(), count
    ([5.0, 3.0, 5.0], 2.0)
    """
    end = np.sum([_weighed(component.end, component.gamma) for component in components], axis=0)
    lag = np.sum([_weighed(component.lag, component.gamma) for component in components], axis=0)
    reach = max(lags - 1, 0)
    complete = np.flatnonzero(steps[reach:] - steps[: len(steps) - reach] == reach) + reach
    weighted = _weighed(y, weights)[complete].T
    sums = [weighted @ end[complete]] + [weighted @ lag[complete - k + 1] for k in range(1, lags + 1)]
    return np.stack(sums, axis=1), _count(y[complete], None if weights is None else weights[complete])


def _weighed(values: Array, weights: Array | None) -> Array:
    return values if weights is None else values * weights[:, None]


def _count(y: Array, weights: Array | None) -> float:
    return float(len(y) if weights is None else weights.sum())


def _parts(y: Array, components: Components, weights: Array | None) -> Iterator[tuple[Array, LocalScore]]:
    """Yield weighted outputs and the score, block by block and component by component."""
    for start in range(0, len(y), BLOCK):
        rows = slice(start, start + BLOCK)
        weighted = _weighed(y[rows], None if weights is None else weights[rows])
        for component in components:
            local = component.part(rows)
            yield _weighed(weighted, local.gamma), local


def _outer(left: Array, right: Array) -> Array:
    """Return the products of each row of `left` with each of `right`, `(n, columns * columns)`."""
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)


def _grams(weighted: Array, values: Array) -> Array:
    """Return `values' diag(weighted_i) values` for each column i."""
    return np.stack([(values * column[:, None]).T @ values for column in weighted.T])


def _weighted_precision(weighted: Array, precision: Array) -> Array:
    if precision.ndim == 2:
        return (np.ones(len(weighted)) @ weighted)[:, None, None] * precision
    return (weighted.T @ precision.reshape(len(precision), -1)).reshape(-1, *precision.shape[1:])


def _diagonal(precision: Array, duals: Array) -> Array:
    """Return `b_j' P b_j` for each column j of `duals`."""
    return ((precision @ duals) * duals).sum(axis=-2)


def _constant(precision: Array, owner: str) -> Array:
    if precision.ndim != 2:
        raise ValueError(
            f"{owner}: expected a score of Gaussians or their mixture, got one known to order 2 only. "
            "Use the second moment and the mixed contraction with it."
        )
    return precision
