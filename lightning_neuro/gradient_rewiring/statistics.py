"""What happened to connections, as numbers."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

QUANTILES = (0.1, 0.5, 0.9)
BITS = (1, 2, 4, 8, 16, 32, 64, 128)


def pack(mask: Tensor) -> Tensor:
    """Return a mask as bytes, eight elements in each.

    >>> pack(torch.tensor([True, False, True])).tolist()
    [5]
    """
    flat = torch.nn.functional.pad(mask.flatten().to(torch.uint8), (0, -mask.numel() % 8)).view(-1, 8)
    packed = torch.zeros(len(flat), dtype=torch.uint8, device=mask.device)
    for place, bit in enumerate(BITS):
        packed |= flat[:, place] * bit
    return packed


def unpack(packed: Tensor, like: Tensor) -> Tensor:
    """Return the mask that `pack` has packed, in the shape of `like`.

    >>> unpack(torch.tensor([5], dtype=torch.uint8), torch.zeros(3)).tolist()
    [True, False, True]
    """
    bits = torch.tensor(BITS, dtype=torch.uint8, device=packed.device)
    return (packed[:, None] & bits).bool().flatten()[: like.numel()].view(like.shape)


class Turnover:
    """Counts connections pruned and regrown between two looks; an eighth of a byte per synapse."""

    def __init__(self) -> None:
        self._linked: dict[str, Tensor] = {}

    def look(self, weights: Mapping[str, Tensor]) -> dict[str, tuple[int, int]]:
        """Return pruned and regrown connections by name since the last look, and look anew.

        >>> turnover = Turnover()
        >>> _ = turnover.look({"w": torch.tensor([1.0, 0.0, 2.0])})
        >>> turnover.look({"w": torch.tensor([0.0, 3.0, 2.0])})
        {'w': (1, 1)}
        """
        counts = {}
        for name, weight in weights.items():
            now = weight.detach() != 0
            if name in self._linked:
                before = unpack(self._linked[name].to(now.device), now)
                counts[name] = int((before & ~now).sum()), int((now & ~before).sum())
            self._linked[name] = pack(now)
        return counts

    def state_dict(self) -> dict[str, Any]:
        """Return the last look."""
        return dict(self._linked)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up a last look."""
        self._linked = dict(state)


def connectivity(weights: Mapping[str, Tensor]) -> dict[str, float]:
    """Return the fraction of weights that are not 0, by name and in `"total"`; empty for no weights.

    >>> connectivity({"a": torch.tensor([0.0, 1.0]), "b": torch.tensor([2.0, 3.0])})
    {'a': 0.5, 'b': 1.0, 'total': 0.75}
    """
    if not weights:
        return {}
    counts = {name: int(weight.count_nonzero()) for name, weight in weights.items()}
    total = sum(counts.values()) / sum(weight.numel() for weight in weights.values())
    return {name: count / weights[name].numel() for name, count in counts.items()} | {"total": total}


def dead_units(weight: Tensor) -> tuple[int, int]:
    """Return how many rows of a weight hold no connection, and how many columns.

    For a linear layer or convolution `(out, in, ...)`: outputs that hear nothing, inputs that nobody hears.

    >>> dead_units(torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 2.0]]))
    (1, 1)
    """
    linked = weight.detach() != 0
    rows = linked.flatten(1).any(1)
    columns = linked.transpose(0, 1).flatten(1).any(1)
    return int((~rows).sum()), int((~columns).sum())


def dormant_quantiles(theta: Tensor) -> dict[float, float]:
    """Return the 0.1, 0.5 and 0.9 quantiles of theta of dormant synapses; empty if there is none.

    >>> dormant_quantiles(torch.tensor([-1.0, -2.0, -3.0, 4.0]))[0.5]
    -2.0
    """
    dormant = theta.detach()[theta <= 0].sort().values
    if not len(dormant):
        return {}
    return {q: float(dormant[round(q * (len(dormant) - 1))]) for q in QUANTILES}


def theta_histogram(theta: Tensor, bins: int = 50) -> tuple[Tensor, Tensor]:
    """Return counts per bin and the bins' edges, with 0 at an edge, so that dormant and connected never share a bin.

    >>> counts, edges = theta_histogram(torch.tensor([-1.0, -0.5, 0.5, 0.25]), bins=4)
    >>> counts.tolist(), edges.tolist()
    ([2, 0, 1, 1], [-1.0, -0.5, 0.0, 0.25, 0.5])
    """
    values = theta.detach().flatten().cpu()
    below, above = min(float(values.min()), -1e-9), max(float(values.max()), 1e-9)
    half = max(bins // 2, 1)
    edges = torch.cat([torch.linspace(below, 0, half + 1), torch.linspace(0, above, half + 1)[1:]]).to(values.dtype)
    places = torch.bucketize(values, edges[1:-1])  # 0 itself is dormant, and belongs below
    return torch.bincount(places, minlength=len(edges) - 1), edges
