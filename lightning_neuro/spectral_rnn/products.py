"""The product that ties the fourth-order moment to the recurrent weights."""

from typing import Any

import tensorly as tl


def rowwise_khatri_rao(left: Any, right: Any) -> Any:
    """Return the row-wise Khatri-Rao product: row i is the Kronecker product of the two rows i.

    `(U h) * (U h) = rowwise_khatri_rao(U, U) @ kron(h, h)`; tensorly's own `khatri_rao` works by columns.

    Args:
        left: `(n, p)`, a tensor of the current tensorly backend.
        right: `(n, q)`.

    Returns:
        `(n, p q)`.

    Raises:
        ValueError: the two do not have the same number of rows.

    >>> import numpy as np
    >>> rowwise_khatri_rao(np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]])).tolist()
    [[3.0, 5.0, 6.0, 10.0]]
    """
    (rows, p), (others, q) = tl.shape(left), tl.shape(right)
    if rows != others:
        raise ValueError(
            f"rowwise_khatri_rao: both matrices must have the same number of rows, got {rows} and {others}."
        )
    return tl.reshape(tl.reshape(left, (rows, p, 1)) * tl.reshape(right, (rows, 1, q)), (rows, p * q))
