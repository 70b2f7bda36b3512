"""Reservoirs: what they compute, how they organise themselves, and many of their series at once in torch.

Nodes are plain reservoirpy nodes; measures are in `reservoir.measures`, rules of plasticity in `reservoir.rules`.
"""

from lightning_neuro.reservoir.node import PermutationReservoir, SelfOrganizingReservoir
from lightning_neuro.reservoir.sorn import SORN
from lightning_neuro.reservoir.torch import TorchReservoir

__all__ = ["SORN", "PermutationReservoir", "SelfOrganizingReservoir", "TorchReservoir"]
