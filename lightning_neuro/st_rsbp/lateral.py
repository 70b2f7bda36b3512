"""Lateral inhibition: every neuron of a layer inhibits every other one with the same fixed weight."""

from torch import Tensor

from lightning_neuro.st_rsbp import kernels
from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.backward import away_from_zero
from lightning_neuro.st_rsbp.simulate import Neuron


def lateral_weight(neurons: int, strength: float, like: Tensor) -> Tensor:
    """Return `-strength` off the diagonal `(N, N)`, of the type and device of `like`.

    >>> import torch
    >>> lateral_weight(2, 1.5, torch.ones(1)).tolist()
    [[0.0, -1.5], [-1.5, 0.0]]
    """
    return like.new_full((neurons, neurons), -strength).fill_diagonal_(0)


def lateral_factor(
    post: Activity, neuron: Neuron, strength: float, targets: Tensor | None, silent_ratio: float
) -> Tensor:
    """Return the authors' factor of the output layer's own gradient `(B, N)`.

    `L_j = 1 / (1 - s^2 sum_{l != j} rho_jl d_l rho_lj d_j)`, d = 1 / nu for neurons that fire or are a target, else 0.
    It keeps one round of mutual inhibition of the series that the recurrent treatment sums.

    Args:
        post: activity of the layer before any spike is forced.
        neuron: its constants.
        strength: s.
        targets: bool `(B, N)`, which neurons are targets, or None for none.
        silent_ratio: rho where one of the two neurons is silent.

    >>> import torch
    >>> silent = Activity(torch.zeros(9, 1, 2, dtype=torch.bool), torch.float32)
    >>> both = torch.ones(1, 2, dtype=torch.bool)
    >>> [round(v, 4) for v in lateral_factor(silent, Neuron(threshold=1.0), 1.0, both, 0.5)[0].tolist()]
    [1.3333, 1.3333]
    """
    counts = post.counts
    active = counts > 0
    involved = active if targets is None else active | targets
    ratio = kernels.pairwise(post.spikes, post.trace(neuron), neuron, backend=post.backend)
    ratio /= counts.clamp_min(1)[:, None]
    ratio.masked_fill_(~(active[:, None] & active[:, :, None]), silent_ratio)
    ratio.diagonal(dim1=1, dim2=2).zero_()
    gain = involved.to(ratio) / neuron.threshold
    mutual = (ratio * ratio.transpose(1, 2) * gain[:, None]).sum(2) * gain
    return 1 / away_from_zero(1 - strength**2 * mutual)
