"""Order images so that every beginning of the order holds all classes in proportion."""

import torch
from torch import Tensor


def stratified_order(labels: Tensor, generator: torch.Generator) -> Tensor:
    r"""Random permutation whose every prefix is stratified.

    Within its class of size $n_c$, the image that chance puts at rank $r$ gets the key $(r + 1/2) / n_c$; sorting by
    key interleaves the classes evenly. With C classes, the first n of N images hold class c as often as
    $n\,n_c / N$ asks, up to $1/2 + C n_c / 2N$. So one order serves for a validation set and for subsets of any
    size, and a larger subset contains the smaller ones.

    Args:
        labels: classes `(N,)`.
        generator: the only source of chance.

    Returns:
        Indices `(N,)`.

    >>> labels = torch.tensor([0, 0, 0, 0, 1, 1])
    >>> order = stratified_order(labels, torch.Generator().manual_seed(0))
    >>> labels[order[:3]].sort().values.tolist()
    [0, 0, 1]
    """
    shuffled = torch.randperm(len(labels), generator=generator)
    keys = torch.empty(len(labels), dtype=torch.float64)
    for members in class_members(labels[shuffled]):
        keys[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return shuffled[keys.argsort(stable=True)]


def class_members(labels: Tensor) -> list[Tensor]:
    """Indices of each class that occurs, in the order of the classes.

    >>> [members.tolist() for members in class_members(torch.tensor([1, 0, 1]))]
    [[1], [0, 2]]
    """
    return [(labels == label).nonzero().flatten() for label in labels.unique()]
