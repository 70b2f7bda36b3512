"""Reservoirs: what they compute, and how they organise themselves.

Nodes are plain reservoirpy nodes; measures are in `reservoir.measures`, rules of plasticity in `reservoir.rules`.
"""

from lightning_neuro.reservoir.node import PermutationReservoir, SelfOrganizingReservoir
from lightning_neuro.reservoir.sorn import SORN

__all__ = ["SORN", "PermutationReservoir", "SelfOrganizingReservoir"]
