"""How tangent vectors grow along a trajectory, step by step."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lightning_neuro.reservoir.measures.maps import StateMap

Array = npt.NDArray[np.float64]

Advance = Callable[[Array, Array, Array], tuple[Array, Array]]
"""`(state, input, vectors) -> (next state, what has become of the vectors)`."""

EXPLODED = 1e50


def log_growth(advance: Advance, start: Array, drive: Array, vectors: Array, *, owner: str = "log_growth") -> Array:
    """Return by how much each of m orthonormal vectors grows in each step, `ln |R_jj(t)|`, as `(T, m)`.

    Vectors are moved by one step and made orthonormal again (QR; one vector is only scaled). The mean of column j over
    time is the j-th Lyapunov exponent (Benettin et al. 1980). A vector that a step cuts to zero, or below the rounding
    of its own length, has grown by minus infinity then and ever after, and is no longer followed.

    Args:
        advance: `StateMap.advance`, or `by_differences` of a map.
        start: `(N,)`, the state before the first step.
        drive: `(T, K)`.
        vectors: `(N, m)`, orthonormal.
        owner: who asks; opens the message of an error.

    Raises:
        ValueError: the state or a vector explodes.

    >>> def halving(x, u, vectors):
    ...     return 0.5 * x, 0.5 * vectors
    >>> log_growth(halving, np.ones(2), np.zeros((3, 1)), np.eye(2)).round(4).tolist()
    [[-0.6931, -0.6931], [-0.6931, -0.6931], [-0.6931, -0.6931]]
    """
    state, followed = start, np.arange(vectors.shape[1])
    grown = np.full((len(drive), len(followed)), -np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        for now, u in enumerate(drive):
            state, moved = advance(state, u, vectors)
            if not (abs(state).max() < EXPLODED and abs(moved).max(initial=0) < EXPLODED):
                raise ValueError(
                    f"{owner}: the reservoir is unstable, states or their differences are beyond {EXPLODED:g} at step "
                    f"{now}. Lower its spectral radius."
                )
            vectors, sizes, kept = _orthonormal(moved)
            followed = followed[kept]
            grown[now, followed] = np.log(sizes)
    return grown


def by_differences(system: StateMap, distance: float) -> Advance:
    """Return an `advance` that needs no Jacobian: trajectories at a small distance, one for each vector.

    The distance is in units of the state's largest entry where that is above 1, so that it survives rounding.
    """

    def advance(x: Array, u: Array, vectors: Array) -> tuple[Array, Array]:
        apart = distance * max(1.0, float(abs(x).max()))
        moved = system.step(np.vstack([x, x + apart * vectors.T]), u)
        return moved[0], (moved[1:] - moved[0]).T / apart

    return advance


def random_frame(units: int, count: int, seed: int) -> Array:
    """Return m random orthonormal vectors, `(N, m)`.

    >>> frame = random_frame(5, 2, seed=0)
    >>> np.allclose(frame.T @ frame, np.eye(2))
    True
    """
    drawn = np.random.default_rng(seed).standard_normal((units, count))
    return np.asarray(np.linalg.qr(drawn)[0])


def _orthonormal(moved: Array) -> tuple[Array, Array, npt.NDArray[np.intp]]:
    """Return the vectors made orthonormal, how long each had become, and which are left."""
    kept: npt.NDArray[np.intp] = np.arange(moved.shape[1])
    if len(kept) == 1:
        length = float(np.linalg.norm(moved))
        return (moved / length, np.array([length]), kept) if length > 0 else (moved[:, :0], np.empty(0), kept[:0])
    lengths = np.linalg.norm(moved, axis=0)
    rounding = len(moved) * np.finfo(float).eps
    while len(kept):
        factors = np.linalg.qr(moved[:, kept])
        directions, sizes = np.asarray(factors.Q, np.float64), np.asarray(abs(np.diag(factors.R)), np.float64)
        gone = np.flatnonzero(sizes <= rounding * lengths[kept])
        if not len(gone):
            return directions, sizes, kept
        # The direction that stands for a lost vector is arbitrary and must not be taken out of later ones.
        kept = np.delete(kept, gone[0])
    return moved[:, :0], np.empty(0), kept
