"""Linear systems of recurrent layers, one for each sample."""

import torch
from torch import Tensor

SINGULAR_FROM = 1e3


def solve_adjoint(
    coupling: Tensor, diagonal: Tensor, right: Tensor, limit: float | None = None
) -> tuple[Tensor, Tensor]:
    """Solve `(diag(D) - Theta)^T y = r` for every sample.

    A sample is given up where its y is longer than `r / D`, the answer without recurrence, by more than a factor, or
    not finite, as with a singular system; it gets the answer without recurrence.

    Args:
        coupling: Theta `(B, N, N)`; overwritten.
        diagonal: D `(B, N)`, without zeros.
        right: r `(B, N)`.
        limit: the factor, None for 1000.

    Returns:
        y `(B, N)`, finite where the arguments are, and which samples were given up `(B,)`.

    >>> theta = torch.tensor([[[0.0, 0.5], [0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]])
    >>> y, given_up = solve_adjoint(theta, torch.ones(2, 2), torch.ones(2, 2))
    >>> y.tolist(), given_up.tolist()
    ([[1.0, 1.5], [1.0, 1.0]], [False, True])
    """
    matrix = coupling.neg_()
    matrix.diagonal(dim1=1, dim2=2).add_(diagonal)
    solution = torch.linalg.solve_ex(matrix, right[:, None], left=False)[0][:, 0]
    alone = right / diagonal
    given_up = ~(solution.norm(dim=1) <= (limit or SINGULAR_FROM) * alone.norm(dim=1))
    return torch.where(given_up[:, None], alone, solution), given_up
