"""The spectral radius of a recurrent matrix, dense while that is quick."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse
from scipy.sparse.linalg import ArpackError, eigs

_DENSE_UNITS = 300


def spectral_radius(matrix: Any) -> float:
    """Return the largest size of an eigenvalue.

    All eigenvalues for up to 300 units; above, the largest ones by Arnoldi's method, and all where that fails to
    converge, as it does where many eigenvalues are of one size.

    >>> round(spectral_radius([[0.0, 2.0], [-2.0, 0.0]]), 12)
    2.0
    """
    units = matrix.shape[0] if issparse(matrix) else len(matrix)
    if units > _DENSE_UNITS:
        try:
            start = np.random.default_rng(0).standard_normal(units)
            found = eigs(csr_array(matrix), k=6, which="LM", v0=start, maxiter=300, return_eigenvectors=False)
            return float(abs(found).max())
        except ArpackError:
            pass
    dense = matrix.toarray() if issparse(matrix) else np.asarray(matrix)
    return float(abs(np.linalg.eigvals(dense)).max())
