"""Reservoirs: what they compute, how they organise themselves, and many of their series at once in torch.

Nodes are plain reservoirpy nodes; measures are in `reservoir.measures`, rules of plasticity in `reservoir.rules`. What
needs Lightning is imported when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from lightning_neuro.reservoir.node import PermutationReservoir, SelfOrganizingReservoir
from lightning_neuro.reservoir.sorn import SORN
from lightning_neuro.reservoir.torch import TorchReservoir

if TYPE_CHECKING:
    from lightning_neuro.reservoir.module import ReservoirModule

__all__ = ["SORN", "PermutationReservoir", "ReservoirModule", "SelfOrganizingReservoir", "TorchReservoir"]


def __getattr__(name: str) -> Any:
    if name == "ReservoirModule":
        from lightning_neuro.reservoir.module import ReservoirModule

        return ReservoirModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
