"""Which recurrent connections exist: all, a random share, or by distance on a 3-D grid."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lightning_neuro.common import checks


@dataclass(frozen=True)
class Topology:
    """Connections of N recurrent neurons.

    Args:
        mask: (N, N) bool, `mask[i, p]` for a connection from p to i.
        inhibitory: (N,) bool, the class of each neuron, or None without classes.
        dale: whether weights start as +1 from excitatory and -1 from inhibitory neurons, times the layer's scale.
    """

    mask: Tensor
    inhibitory: Tensor | None = None
    dale: bool = False


class Connectivity(Protocol):
    """Draws a topology for a number of neurons."""

    def draw(self, neurons: int, generator: torch.Generator) -> Topology:
        """Return the connections of `neurons` neurons."""


@dataclass(frozen=True)
class DenseConnectivity:
    """Every neuron reaches every neuron, itself included.

    >>> DenseConnectivity().draw(3, torch.Generator()).mask.sum().item()
    9
    """

    def draw(self, neurons: int, generator: torch.Generator) -> Topology:
        """Return all connections."""
        return Topology(torch.ones(neurons, neurons, dtype=torch.bool))


@dataclass(frozen=True)
class RandomConnectivity:
    """Each connection exists with the same probability.

    Args:
        probability: above 0, at most 1.
        self_connections: whether a neuron may reach itself.

    Raises:
        ValueError: the probability is outside its range.

    >>> mask = RandomConnectivity(0.25).draw(100, torch.Generator().manual_seed(0)).mask
    >>> round(mask.float().mean().item(), 1)
    0.2
    """

    probability: float
    self_connections: bool = True

    def __post_init__(self) -> None:
        checks.number("RandomConnectivity", "probability", self.probability, above=0, at_most=1)

    def draw(self, neurons: int, generator: torch.Generator) -> Topology:
        """Return connections drawn independently."""
        mask = torch.rand(neurons, neurons, generator=generator) < self.probability
        return Topology(_without_self(mask, self.self_connections))


@dataclass(frozen=True)
class ReservoirConnectivity:
    """Neurons on a 3-D grid, connected by class and distance: `C exp(-d^2 / reach)`.

    Args:
        grid: neurons along x, y and z; their product is the number of neurons.
        inhibitory: probability that a neuron is inhibitory.
        dale: start with weights +1 from excitatory and -1 from inhibitory neurons instead of uniform ones. Training
            may change the sign.
        reach: the squared distance at which the probability has fallen by e.
        excitatory_to_excitatory: C at distance 0 between excitatory neurons, at most 1; likewise the next three.
        excitatory_to_inhibitory: from excitatory to inhibitory neurons.
        inhibitory_to_excitatory: from inhibitory to excitatory neurons.
        inhibitory_to_inhibitory: between inhibitory neurons.
        self_connections: whether a neuron may reach itself, at distance 0.

    Raises:
        TypeError, ValueError: a number is of the wrong kind or outside its range.

    Source: constants of the authors' reservoirs, in which the class sets the probability of a connection and, in
    their first revision alone (`dale=True`), the sign of its weight.

    >>> topology = ReservoirConnectivity(grid=(5, 5, 4)).draw(100, torch.Generator().manual_seed(0))
    >>> topology.inhibitory.sum().item(), round(topology.mask.float().mean().item(), 2)
    (22, 0.09)
    """

    grid: tuple[int, int, int]
    inhibitory: float = 0.2
    dale: bool = False
    reach: float = 4.0
    excitatory_to_excitatory: float = 0.45
    excitatory_to_inhibitory: float = 0.3
    inhibitory_to_excitatory: float = 0.6
    inhibitory_to_inhibitory: float = 0.15
    self_connections: bool = True

    def __post_init__(self) -> None:
        owner = "ReservoirConnectivity"
        if not isinstance(self.grid, tuple | list) or len(self.grid) != 3:
            raise ValueError(f"{owner}: grid must be three numbers of neurons (x, y, z), got {self.grid!r}.")
        for name, size in zip("xyz", self.grid, strict=True):
            checks.integer(owner, f"grid's {name}", size, at_least=1)
        checks.number(owner, "inhibitory", self.inhibitory, at_least=0, at_most=1)
        checks.number(owner, "reach", self.reach, above=0)
        for name in (
            f"{pre}_to_{post}" for pre in ("excitatory", "inhibitory") for post in ("excitatory", "inhibitory")
        ):
            checks.number(owner, name, getattr(self, name), at_least=0, at_most=1)

    def draw(self, neurons: int, generator: torch.Generator) -> Topology:
        """Return classes and connections drawn independently.

        Raises:
            ValueError: the grid holds another number of neurons.
        """
        x, y, z = self.grid
        if x * y * z != neurons:
            raise ValueError(
                f"ReservoirConnectivity: a grid of {x} x {y} x {z} holds {x * y * z} neurons, the layer has {neurons}. "
                "Give a grid whose product is the layer's number of neurons."
            )
        inhibitory = torch.rand(neurons, generator=generator) < self.inhibitory
        probability = self.probabilities(inhibitory)
        mask = torch.rand(neurons, neurons, generator=generator) < probability
        return Topology(_without_self(mask, self.self_connections), inhibitory, self.dale)

    def probabilities(self, inhibitory: Tensor) -> Tensor:
        """Return the probability (N, N) of a connection from p (column) to i (row), given the classes (N,)."""
        by_class = torch.tensor(
            [
                [self.excitatory_to_excitatory, self.inhibitory_to_excitatory],
                [self.excitatory_to_inhibitory, self.inhibitory_to_inhibitory],
            ]
        )
        label = inhibitory.long()
        return by_class[label[:, None], label[None, :]] * torch.exp(-squared_distances(self.grid) / self.reach)


def squared_distances(grid: tuple[int, int, int]) -> Tensor:
    """Return the squared Euclidean distances (N, N) between the points of a grid.

    >>> squared_distances((1, 1, 3))[0].tolist()
    [0.0, 1.0, 4.0]
    """
    axes = [torch.arange(size, dtype=torch.get_default_dtype()) for size in grid]
    points = torch.cartesian_prod(*axes)
    return (points[:, None] - points[None]).square().sum(-1)


def _without_self(mask: Tensor, self_connections: bool) -> Tensor:
    return mask if self_connections else mask.fill_diagonal_(False)
