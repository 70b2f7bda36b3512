"""Linear systems of recurrent layers, one for each sample."""

import math

import torch
from torch import Tensor

SINGULAR_FROM = 1e3
# At most so many rounds, and after how many each one asks how far it is.
# On a CPU a round reads the matrices once; a factorisation costs about as much as 30, measured for N = 100 and 400.
ON_CPU = 16, 1
# A GPU reads matrices fast and factorises small ones slowly, and every question stops it.
ON_GPU = 160, 8
TRIAL_ROUNDS = 3


def solve_adjoint(
    coupling: Tensor, diagonal: Tensor, right: Tensor, limit: float | None = None
) -> tuple[Tensor, Tensor]:
    """Solve `(diag(D) - Theta)^T y = r` for every sample.

    By iteration where that converges fast, as with weak recurrence, else by factorisation. A sample is given up where
    its y is longer than `r / D`, the answer without recurrence, by more than a factor, or not finite, as with a
    singular system; it gets the answer without recurrence.

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
    rounds = ON_GPU if right.is_cuda else ON_CPU
    solution = iterated(coupling, diagonal, right, *rounds)
    if solution is None:
        solution = factorised_(coupling, diagonal, right)
    return kept_short(solution, diagonal, right, limit)


def kept_short(solution: Tensor, diagonal: Tensor, right: Tensor, limit: float | None) -> tuple[Tensor, Tensor]:
    """Return y, or `r / D` where y is too long or not finite, and where that is; arguments as in `solve_adjoint`."""
    alone = right / diagonal
    given_up = ~(solution.norm(dim=1) <= (limit or SINGULAR_FROM) * alone.norm(dim=1))
    return torch.where(given_up[:, None], alone, solution), given_up


def iterated(
    coupling: Tensor, diagonal: Tensor, right: Tensor, most: int = ON_CPU[0], every: int = ON_CPU[1]
) -> Tensor | None:
    """Return y by `y <- (r + Theta^T y) / D`, or None once it is clear that this would take too many rounds.

    The change in a round is the residual of the y before, and ends the iteration when it is as small as rounding.
    Arguments as in `solve_adjoint`; at most `most` rounds, looked at after `every` so many.

    >>> iterated(torch.full((1, 1, 1), 0.01), torch.ones(1, 1), torch.ones(1, 1))
    tensor([[1.0101]])
    >>> iterated(torch.full((1, 1, 1), 0.9), torch.ones(1, 1), torch.ones(1, 1)) is None
    True
    """
    enough = 100 * torch.finfo(right.dtype).eps
    tiny = torch.finfo(right.dtype).tiny
    y, before = right / diagonal, math.inf
    for done in range(1, most + 1):
        last, y = y, (right + torch.bmm(y[:, None], coupling)[:, 0]) / diagonal
        if done % every:
            continue
        change = ((y - last).norm(dim=1) / y.norm(dim=1).clamp_min(tiny)).max().item()
        if change <= enough:
            return y
        factor = (change / before) ** (1 / every)
        if done >= TRIAL_ROUNDS and before < math.inf and not _rounds_left(change, factor, enough) <= most - done:
            return None
        before = change
    return None


def factorised_(coupling: Tensor, diagonal: Tensor, right: Tensor) -> Tensor:
    """Return y by LU factorisation, not finite where a system is singular; overwrites `coupling`."""
    matrix = coupling.neg_()
    matrix.diagonal(dim1=1, dim2=2).add_(diagonal)
    if matrix.device.type != "cpu":
        return torch.linalg.solve_ex(matrix, right[:, None], left=False)[0][:, 0]
    # One by one: torch 2.13's batched factorisation can go wrong on the CPU after the number of threads was raised.
    solution = torch.empty_like(right)
    for place, system in enumerate(matrix):
        solution[place] = torch.linalg.solve_ex(system, right[place, None], left=False)[0][0]
    return solution


def _rounds_left(change: float, factor: float, enough: float) -> float:
    """Return how many more rounds a change that shrinks by a factor each round needs."""
    return math.log(enough / change) / math.log(factor) if 0 < factor < 1 else math.inf
