"""Linear systems of recurrent layers, one for each sample."""

import torch
from torch import Tensor

MOST_AMPLIFICATION = 1e3


def solve_adjoint(coupling: Tensor, diagonal: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Solve `(diag(D) - Theta)^T y = r` for every sample.

    A system that is singular, or so nearly that the largest y exceeds a thousand times the largest `r / D`, is given
    up: its y becomes `r / D`, the answer without recurrence.

    Args:
        coupling: Theta `(B, N, N)`; overwritten.
        diagonal: D `(B, N)`, without zeros.
        right: r `(B, N)`.

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
    bound = MOST_AMPLIFICATION * alone.abs().amax(1)
    given_up = ~(solution.abs().amax(1) <= bound)
    return torch.where(given_up[:, None], alone, solution), given_up
