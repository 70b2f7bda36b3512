"""The synapses that exist: a matrix with its pattern, in lists where it is sparse and as a block where it is full.

Weights are changed in place; the matrix that multiplies states shares their memory.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse

Array = npt.NDArray[np.float64]

_BLOCK_SHARE = 0.05
"""Share of existing synapses from which one matrix product and a look-up beat products synapse by synapse."""


class Synapses:
    """Existing synapses of a weight matrix `(M, N)`: from N units (columns) to M units (rows).

    Args:
        matrix: dense, where 0 means no synapse, or sparse, where a stored 0 is one. It is copied.

    Attributes:
        weights: `(S,)`, row by row.
        rows: `(S,)`, postsynaptic units.
        columns: `(S,)`, presynaptic units.
        shape: `(M, N)`.
        matrix: W, dense or sparse, of the same memory as `weights`.

    Raises:
        ValueError: the matrix has other than two axes or holds a NaN or an infinity.

    >>> synapses = Synapses([[0.0, 2.0], [3.0, 0.0]])
    >>> synapses.weights, synapses.columns
    (array([2., 3.]), array([1, 0]...))
    >>> synapses.weights += 1
    >>> synapses.drive(np.array([[10.0, 100.0]]))
    array([[300.,  40.]])
    """

    def __init__(self, matrix: Any) -> None:
        stored: Any = matrix if issparse(matrix) else np.asarray(matrix, np.float64)
        if stored.ndim != 2:
            raise ValueError(f"Synapses: the weights must be a matrix, got shape {stored.shape}.")
        listed = csr_array(stored, dtype=np.float64, copy=True)
        listed.sum_duplicates()
        self.shape: tuple[int, int] = listed.shape
        self.full = listed.nnz == listed.shape[0] * listed.shape[1]
        self.rows = np.repeat(np.arange(self.shape[0]), np.diff(listed.indptr))
        self.columns = listed.indices
        self.weights: Array = listed.data
        self.matrix: Any = self.weights.reshape(self.shape) if self.full else listed
        if not np.isfinite(self.weights).all():
            raise ValueError("Synapses: weights must be finite, got a NaN or an infinity.")

    def __reduce__(self) -> tuple[type["Synapses"], tuple[Any]]:
        return type(self), (self.matrix,)  # so that weights and matrix share memory after pickling too

    def drive(self, activity: Array) -> Array:
        """Return `W x` for each row of `activity` `(B, N)`: `(B, M)`."""
        if self.full:
            return activity @ self.matrix.T
        if len(activity) == 1:
            driven: Array = self.matrix @ activity[0]
            return driven[None]
        return np.ascontiguousarray((self.matrix @ activity.T).T)

    def products(self, post: Array, pre: Array) -> Array:
        """Return `post_i pre_j`, averaged over rows of `post` `(B, M)` and `pre` `(B, N)`, for each synapse: `(S,)`."""
        if self.full:
            return (np.multiply.outer(post[0], pre[0]) if len(post) == 1 else post.T @ pre / len(post)).reshape(-1)
        if len(post) == 1:
            return post[0].take(self.rows) * pre[0].take(self.columns)
        if len(self.weights) >= _BLOCK_SHARE * self.shape[0] * self.shape[1]:
            return (post.T @ pre / len(post))[self.rows, self.columns]
        return np.einsum("bs,bs->s", post[:, self.rows], pre[:, self.columns]) / len(post)

    def at_rows(self, per_unit: Array) -> Array:
        """Return the value `(M,)` of each synapse's postsynaptic unit: `(S,)`."""
        return np.repeat(per_unit, self.shape[1]) if self.full else per_unit.take(self.rows)

    def row_sums(self, values: Array) -> Array:
        """Return sums of values `(S,)` over each unit's incoming synapses: `(M,)`."""
        return np.bincount(self.rows, values, minlength=self.shape[0]).astype(np.float64, copy=False)

    def dense(self) -> Array:
        """Return the matrix as a new array."""
        return self.matrix.copy() if self.full else self.matrix.toarray()

    def like(self, matrix: Any, dtype: npt.DTypeLike) -> Any:
        """Return the weights as a new matrix, sparse or dense as `matrix` is."""
        if issparse(matrix):
            return csr_array(self.matrix).astype(dtype).asformat(matrix.format)
        return self.dense().astype(dtype)
