"""Ho-Kalman: a linear state-space model from its Markov parameters."""

from typing import Any, NamedTuple

import tensorly as tl

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.tensor_checks import require_finite_tensor


class Realization(NamedTuple):
    """`M_k = outputs @ recurrent^k @ inputs`, and the singular values of the Hankel matrix that tell the order."""

    inputs: Any
    recurrent: Any
    outputs: Any
    singular_values: Any


def ho_kalman(markov: Any, rank: int) -> Realization:
    """Return the balanced realisation of order `rank` of Markov parameters `M_k = C A^k B`.

    Block Hankel matrix `H[i, j] = M_{i+j}`, its shift `H+[i, j] = M_{i+j+1}`, truncated SVD `H = O R`:
    `A = pinv(O) H+ pinv(R)`, `B = R[:, :d_x]`, `C = O[:d_y]`. Determined up to a change of basis of the state.

    Args:
        markov: `(K, d_y, d_x)`, the parameters M_0 to M_{K-1}, K even, with `K / 2 * min(d_y, d_x) >= rank`; a tensor
            of the current tensorly backend.
        rank: order of the model.

    Returns:
        `Realization(inputs (rank, d_x), recurrent (rank, rank), outputs (d_y, rank), singular_values)`.

    Raises:
        ValueError: too few parameters for the rank, or fewer than two.

    Source: B. L. Ho and R. E. Kalman, 1966.

    >>> import numpy as np
    >>> found = ho_kalman(2.0 * 0.5 ** np.arange(4.0).reshape(4, 1, 1), 1)
    >>> round(float(found.recurrent[0, 0]), 6), round(float(found.outputs[0, 0] * found.inputs[0, 0]), 6)
    (0.5, 2.0)
    """
    if len(tl.shape(markov)) != 3:
        raise ValueError(f"ho_kalman: expected Markov parameters (K, d_y, d_x), got shape {tuple(tl.shape(markov))}.")
    require_finite_tensor("ho_kalman", markov)
    count, d_y, d_x = tl.shape(markov)
    half = count // 2
    rank = checks.integer("ho_kalman", "rank", rank, at_least=1)
    if half * min(d_y, d_x) < rank or half < 1:
        needed = 2 * max(1, -(-rank // min(d_y, d_x)))
        raise ValueError(
            f"ho_kalman: rank {rank} of a model with {d_x} inputs and {d_y} outputs needs at least {needed} Markov "
            f"parameters, got {count}. Ask for more lags or a lower rank."
        )
    here, shifted = (_block_hankel(markov[start:], half) for start in (0, 1))
    left, values, right = tl.svd(here, full_matrices=False)
    roots = tl.sqrt(values[:rank])
    observability = left[:, :rank] * roots
    reachability = tl.transpose(tl.transpose(right[:rank]) * roots)
    inverse_roots = 1 / tl.clip(roots, 1e-150)
    recurrent = tl.dot(tl.dot(tl.transpose(left[:, :rank] * inverse_roots), shifted), tl.transpose(right[:rank]))
    return Realization(reachability[:, :d_x], recurrent * inverse_roots, observability[:d_y], values)


def _block_hankel(markov: Any, blocks: int) -> Any:
    rows = [tl.concatenate([markov[row + column] for column in range(blocks)], axis=1) for row in range(blocks)]
    return tl.concatenate(rows, axis=0)
