"""Measures of reservoirs and of series: each returns a `Measure`."""

from lightning_neuro.reservoir.measures.budget import information_budget
from lightning_neuro.reservoir.measures.capacity import linear_memory_capacity, memory_capacity
from lightning_neuro.reservoir.measures.complexity import statistical_complexity
from lightning_neuro.reservoir.measures.derrida import derrida
from lightning_neuro.reservoir.measures.echo_state import EchoState, echo_state
from lightning_neuro.reservoir.measures.edge_of_chaos import edge_of_chaos
from lightning_neuro.reservoir.measures.entropy import entropy
from lightning_neuro.reservoir.measures.fisher import fisher_memory
from lightning_neuro.reservoir.measures.information_processing import information_processing_capacity
from lightning_neuro.reservoir.measures.linear_gaussian import linear_gaussian_information
from lightning_neuro.reservoir.measures.lyapunov import lyapunov_exponent, lyapunov_spectrum
from lightning_neuro.reservoir.measures.mutual_information import input_information, mutual_information
from lightning_neuro.reservoir.measures.predictive import excess_entropy, predictive_information
from lightning_neuro.reservoir.measures.ranks import generalization_rank, kernel_rank, similar_streams
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.measures.separation import separation
from lightning_neuro.reservoir.measures.storage import active_information_storage
from lightning_neuro.reservoir.measures.task import task_profile
from lightning_neuro.reservoir.measures.transfer import transfer_entropy

__all__ = [
    "EchoState",
    "Measure",
    "active_information_storage",
    "derrida",
    "echo_state",
    "edge_of_chaos",
    "entropy",
    "excess_entropy",
    "fisher_memory",
    "generalization_rank",
    "information_budget",
    "information_processing_capacity",
    "input_information",
    "kernel_rank",
    "linear_gaussian_information",
    "linear_memory_capacity",
    "lyapunov_exponent",
    "lyapunov_spectrum",
    "memory_capacity",
    "mutual_information",
    "predictive_information",
    "separation",
    "similar_streams",
    "statistical_complexity",
    "task_profile",
    "transfer_entropy",
]
