"""Ridge regression from sums over batches: sums in any order, weights for several penalties from one decomposition."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class RidgeSums(NamedTuple):
    """Sums over n rows of features x `(F,)` and targets y `(O,)`, in double precision; sums of sums are sums.

    Attributes:
        rows: n, `()`.
        features: sum of x, `(F,)`.
        targets: sum of y, `(O,)`.
        gram: sum of x x', `(F, F)`.
        cross: sum of x y', `(F, O)`.
        squares: sum of y^2, `(O,)`.
    """

    rows: Tensor
    features: Tensor
    targets: Tensor
    gram: Tensor
    cross: Tensor
    squares: Tensor


class RidgeWeights(NamedTuple):
    """Solutions for R penalties.

    Attributes:
        weights: `(R, F, O)`.
        intercepts: `(R, O)`.
        errors: mean squared error on the rows summed, `(R,)`.
    """

    weights: Tensor
    intercepts: Tensor
    errors: Tensor


def no_rows(features: int, targets: int) -> RidgeSums:
    """Return the sums over no rows.

    >>> no_rows(3, 2).cross.shape
    torch.Size([3, 2])
    """
    shapes = ((), (features,), (targets,), (features, features), (features, targets), (targets,))
    return RidgeSums(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))


def add_rows(sums: RidgeSums, x: Tensor, y: Tensor) -> RidgeSums:
    """Return sums that count more rows, on the device of x.

    Args:
        sums: so far.
        x: features `(n, F)`.
        y: targets `(n, O)`.

    >>> sums = add_rows(no_rows(1, 1), torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]]))
    >>> sums.rows.item(), sums.gram.item(), sums.cross.item()
    (2.0, 5.0, 11.0)
    """
    x, y = x.double(), y.to(x.device, torch.float64)
    rows, features, targets, gram, cross, squares = (part.to(x.device) for part in sums)
    return RidgeSums(
        rows + len(x),
        features + x.sum(0),
        targets + y.sum(0),
        torch.addmm(gram, x.T, x),
        torch.addmm(cross, x.T, y),
        squares + y.square().sum(0),
    )


def solved(sums: RidgeSums, ridges: Sequence[float]) -> RidgeWeights:
    """Return what minimises the squared error plus a penalty, for each penalty.

        W, b = argmin  sum |y - W' x - b|^2 + ridge |W|^2

    The intercept b bears no penalty, as in reservoirpy's `Ridge`. With one eigendecomposition of the centred Gram
    matrix, G = Q diag(e) Q', all are W = Q diag(1 / (e + ridge)) Q' C. Where e + ridge is no more than rounding, that
    direction is left out; so for ridge 0 this is the shortest least-squares solution.

    Args:
        sums: over at least one row.
        ridges: R numbers of at least 0.

    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> weights, intercepts, errors = solved(add_rows(no_rows(1, 1), x, 3 * x + 1), [0.0, 2.0])
    >>> weights.flatten().tolist(), intercepts.flatten().tolist(), round(errors[1].item(), 12)
    ([3.0, 1.5], [1.0, 2.5], 1.5)
    """
    mean_x, mean_y = sums.features / sums.rows, sums.targets / sums.rows
    gram = sums.gram - sums.rows * torch.outer(mean_x, mean_x)
    cross = sums.cross - sums.rows * torch.outer(mean_x, mean_y)
    variation = (sums.squares - sums.rows * mean_y.square()).clamp(min=0).sum()
    values, vectors = torch.linalg.eigh(gram)
    values = values.clamp(min=0)
    penalties = torch.tensor(list(ridges), dtype=values.dtype, device=values.device)[:, None]
    rounding = len(values) * torch.finfo(values.dtype).eps * sums.gram.diagonal().max()  # before the centre went
    total = values + penalties
    factors = torch.where(total > rounding, 1 / total, 0)  # (R, F)
    turned = vectors.T @ cross  # (F, O)
    weights = vectors @ (factors[..., None] * turned)
    gained = ((2 * factors - values * factors.square())[..., None] * turned.square()).sum((1, 2))
    errors = (variation - gained).clamp(min=0) / (sums.rows * len(mean_y))
    return RidgeWeights(weights, mean_y - mean_x @ weights, errors)
