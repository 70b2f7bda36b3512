"""Controllers that guide a reservoir by a measure: each `.fit(reservoir, u, v)` returns a `GuidedReport`.

| controller | measure | what it sets |
|---|---|---|
| `EdgeOfChaos` | largest Lyapunov exponent, or storage | scale of W |
| `TransferEntropyCoupling` | transfer entropy from the input | how much each unit listens to itself |
| `InformationStorageLeak` | active information storage | leak rate of each unit |
| `CapacityMatch` | short-term memory capacity | spectral radius, leak rate, input scale |
| `HomeostaticRate` | mean activity | incoming weights of each unit |
"""

from lightning_neuro.reservoir.guided.capacity_match import CapacityMatch
from lightning_neuro.reservoir.guided.controller import Controller
from lightning_neuro.reservoir.guided.edge_of_chaos import EdgeOfChaos
from lightning_neuro.reservoir.guided.homeostatic_rate import HomeostaticRate
from lightning_neuro.reservoir.guided.information_storage_leak import InformationStorageLeak
from lightning_neuro.reservoir.guided.report import STOPS, GuidedReport, History
from lightning_neuro.reservoir.guided.transfer_entropy_coupling import TransferEntropyCoupling

__all__ = [
    "STOPS",
    "CapacityMatch",
    "Controller",
    "EdgeOfChaos",
    "GuidedReport",
    "History",
    "HomeostaticRate",
    "InformationStorageLeak",
    "TransferEntropyCoupling",
]
