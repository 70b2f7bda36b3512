"""Reservoirs: what they compute, how they organise themselves, and many of their series at once in torch.

Nodes are plain reservoirpy nodes; measures are in `reservoir.measures`, rules of plasticity in `reservoir.rules`,
controllers that guide a reservoir by a measure in `reservoir.guided`. What needs Lightning or many measures is imported
when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lightning_neuro.reservoir.node import PermutationReservoir, SelfOrganizingReservoir
from lightning_neuro.reservoir.sorn import SORN
from lightning_neuro.reservoir.torch import TorchReservoir

if TYPE_CHECKING:
    from lightning_neuro.reservoir.callback import MeasureCallback
    from lightning_neuro.reservoir.guided import (
        CapacityMatch,
        EdgeOfChaos,
        HomeostaticRate,
        InformationStorageLeak,
        TransferEntropyCoupling,
    )
    from lightning_neuro.reservoir.module import ReservoirModule

__all__ = [
    "SORN",
    "CapacityMatch",
    "EdgeOfChaos",
    "HomeostaticRate",
    "InformationStorageLeak",
    "MeasureCallback",
    "PermutationReservoir",
    "ReservoirModule",
    "SelfOrganizingReservoir",
    "TorchReservoir",
    "TransferEntropyCoupling",
]

_CONTROLLERS = ("CapacityMatch", "EdgeOfChaos", "HomeostaticRate", "InformationStorageLeak", "TransferEntropyCoupling")
_LATER = {"MeasureCallback": "callback", "ReservoirModule": "module"} | dict.fromkeys(_CONTROLLERS, "guided")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
