"""The adjoint of a recurrent layer: which error of each neuron's potential explains an error of the counts.

The counts obey `nu o_i = sum_j w_ij e_ij(o_j, o_i) + sum_p v_ip e_ip(o_p, o_i)`. With D as in `backward` and
`Theta_ip = v_ip rho_ip / nu`, an error delta of the counts is an error `y = (diag(D) - Theta)^-T delta / nu`
of the potentials, and then `dL/dw_ij = y_i e_ij`, `dL/dv_ip = y_i e_ip`.
"""

import torch
from torch import Tensor

from lightning_neuro.st_rsbp import kernels
from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.rule import GradientRule
from lightning_neuro.st_rsbp.simulate import Neuron
from lightning_neuro.st_rsbp.solve import kept_short, solve_adjoint


def coupling_(
    potentials: Tensor, weight: Tensor, counts: Tensor, *, threshold: float, silent_ratio: float, self_term: bool
) -> Tensor:
    """Turn potentials e `(B, N, N)` into `Theta = v rho / nu`, in place.

    Args:
        potentials: of post neurons (rows) and pre neurons (columns) of the layer.
        weight: v `(N, N)`.
        counts: o `(B, N)`.
        threshold: nu.
        silent_ratio: rho where one of the two neurons is silent.
        self_term: whether the diagonal stays.

    >>> e = torch.tensor([[[2.0, 1.0], [0.0, 0.0]]])
    >>> coupling_(e, torch.ones(2, 2), torch.tensor([[4.0, 0.0]]), threshold=1.0, silent_ratio=0.5, self_term=True)
    tensor([[[0.5000, 0.5000],
             [0.5000, 0.5000]]])
    """
    potentials /= counts.clamp_min(1)[:, None]
    silent = counts == 0
    potentials.masked_fill_(silent[:, None] | silent[:, :, None], silent_ratio)
    potentials *= weight / threshold
    if not self_term:
        potentials.diagonal(dim1=1, dim2=2).zero_()
    return potentials


def adjoint(
    post: Activity, neuron: Neuron, weight: Tensor, diagonal: Tensor, error: Tensor, rule: GradientRule
) -> tuple[Tensor, Tensor]:
    """Return y `(B, N)` and how many samples' systems were given up.

    Args:
        post: activity of the layer.
        neuron: its constants.
        weight: its recurrent weights `(N, N)`, zero where there is no connection.
        diagonal: D `(B, N)`.
        error: `delta / nu`, `(B, N)`.
        rule: silent ratio, self term, limit and memory.
    """
    solution = kernels.adjoint(
        post.spikes,
        weight,
        diagonal,
        error,
        neuron,
        silent_ratio=rule.silent_ratio_between,
        self_term=rule.with_self_term,
        backend=post.backend,
    )
    if solution is None:
        return _in_pieces(post, neuron, weight, diagonal, error, rule)
    solution, given_up = kept_short(solution, diagonal, error, rule.amplification_limit)
    return solution, given_up.sum()


def _in_pieces(
    post: Activity, neuron: Neuron, weight: Tensor, diagonal: Tensor, error: Tensor, rule: GradientRule
) -> tuple[Tensor, Tensor]:
    """Return the same with the systems of a part of the batch in memory at a time."""
    batch, size = error.shape
    trace, parts, given_up = post.trace(neuron), [], []
    # A factorisation works on a copy of its matrix, so that each system is in memory twice.
    piece = min(batch, max(1, rule.solve_bytes // (2 * size * size * error.element_size())))
    for start in range(0, batch, piece):
        some = slice(start, start + piece)
        potentials = kernels.pairwise(post.spikes[:, some], trace[:, some], neuron, backend=post.backend)
        theta = coupling_(
            potentials,
            weight,
            post.counts[some],
            threshold=neuron.threshold,
            silent_ratio=rule.silent_ratio_between,
            self_term=rule.with_self_term,
        )
        part, failed = solve_adjoint(theta, diagonal[some], error[some], rule.amplification_limit)
        parts.append(part)
        given_up.append(failed)
    return torch.cat(parts), torch.cat(given_up).sum()
