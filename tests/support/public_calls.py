"""Public constructors and functions with arguments that are right, for tests that make one of them wrong."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
import torch
from reservoirpy.nodes import Reservoir
from torch import nn

from lightning_neuro.spectral_rnn.torch import PolynomialRNN
from support.count_learning import network
from support.evolving import Curve, curve_policy

FOLDERS = (
    "gradient_activation",
    "gradient_rewiring",
    "spiking",
    "spiking.encoding",
    "st_rsbp",
    "safe_mutation",
    "spectral_rnn",
    "reservoir",
    "reservoir.rules",
    "reservoir.guided",
)
# What is no call of a user's: results, protocols and what others derive from; modules.
NOT_CALLED = {
    "SparseReport", "Synapse", "BackwardResult", "Evaluation", "Mutation", "MutationOperator", "GuidedReport",
    "History", "Controller", "EpochRule", "StepRule", "STOPS", "mutation", "sensitivity", "EarFilters", "Indexed",
}  # fmt: skip
# What tests of their own show with files, graphs and modules, which numbers drawn here do not reach.
ELSEWHERE = {
    "densify", "export_sparse", "find_synapses", "load_sparse", "measure_sparse", "save_sparse", "detach_", "fan_out",
    "find_neurons", "hidden_state", "holds_graph", "load_hidden_state_", "reset_", "synapse_table", "unroll",
    "from_snntorch", "to_nir", "to_snntorch", "state_rows", "vmap_safe", "bsa_decode", "bsa_encode", "bsa_kernel",
    "cochleagram", "design_ear", "spike_train_potential", "find_magnitude", "operator_named",
}  # fmt: skip


def weights() -> nn.Parameter:
    return nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4))


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([weights()], lr=0.1)


def managed() -> dict[str, Any]:
    weight = weights()
    return {"optimizer": torch.optim.SGD([weight], lr=0.1), "named_parameters": {"weight": weight}}


def mean_square(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs - targets).square().mean()


def log_density(x: torch.Tensor) -> torch.Tensor:
    return -x.square().sum() / 2


# The arguments that have no default.
NEEDED: dict[str, Callable[[], dict[str, Any]]] = {
    "GradientActivationOptimizer": lambda: {"optimizer": optimizer()},
    "DeepR": lambda: managed() | {"l1": 1e-4, "temperature": 1e-6},
    "DeepRewiring": lambda: {"l1": 1e-4, "temperature": 1e-6},
    "Rewiring": managed,
    "SynapticOperations": lambda: {"fan_out": 3},
    "STRSBP": lambda: {"network": network()},
    "Boosting": lambda: {"samples": 5},
    "RandomConnectivity": lambda: {"probability": 0.5},
    "RecurrentSpikingLayer": lambda: {"in_features": 3, "out_features": 4, "threshold": 1.0},
    "ReservoirConnectivity": lambda: {"grid": (2, 2, 2)},
    "SpikingConvLayer": lambda: {"in_channels": 1, "out_channels": 2, "kernel_size": 2, "threshold": 1.0},
    "SpikingLayer": lambda: {"in_features": 3, "out_features": 4, "threshold": 1.0},
    "SpikingPoolLayer": lambda: {"kernel_size": 2, "threshold": 1.0},
    "BatchedPolicy": lambda: {"policy": curve_policy()},
    "GymnasiumEvaluator": lambda: {"env_id": "CartPole-v1"},
    "SafeMutation": lambda: {"policy": curve_policy(), "evaluator": Curve(), "magnitude": 0.1, "population_size": 6},
    "SupervisedEvaluator": lambda: {"data": (torch.ones(4, 1), torch.ones(4, 1)), "loss": mean_square},
    "LogDensityScore": lambda: {"log_density": log_density},
    "PolynomialRNN": lambda: {"A1": [[0.1]], "U": [[0.2]]},
    "SpectralBiRNN": lambda: {"units": 2},
    "SpectralRNN": lambda: {"units": 2},
    "SpectralTokenRNN": lambda: {"units": 2},
    "SpectralRNNModule": lambda: {"model": PolynomialRNN(2, 2, 1)},
    "ho_kalman": lambda: {"markov": 0.5 ** np.arange(8.0).reshape(8, 1, 1), "rank": 1},
    "match_components": lambda: {"estimate": np.eye(3), "reference": np.eye(3)},
    "partially_symmetric_cp": lambda: {"tensor": symmetric(), "rank": 1, "n_restarts": 1, "n_iterations": 5},
    "robust_tensor_power": lambda: {
        "tensor": np.einsum("i,j,k->ijk", *[np.array([1.0, 2.0])] * 3),
        "rank": 1,
        "n_restarts": 1,
        "n_iterations": 5,
    },
    "rowwise_khatri_rao": lambda: {"left": np.ones((2, 2)), "right": np.ones((2, 3))},
    "simultaneous_diagonalization": lambda: {"tensor": symmetric(), "rank": 1},
    "whiten_moment": lambda: {"moment": np.eye(3), "rank": 2},
    "MeasureCallback": lambda: {"measures": "kernel_rank"},
    "PermutationReservoir": lambda: {"units": 6},
    "SelfOrganizingReservoir": lambda: {"units": 6},
    "SORN": lambda: {"units": 20},
    "ReservoirModule": lambda: {"reservoir": Reservoir(6, input_dim=1, seed=0), "outputs": 1},
    "TorchReservoir": lambda: {"W": 0.1 * np.ones((3, 3)), "Win": np.ones((3, 1))},
    "Density": lambda: {"distribution": torch.distributions.Normal(0.0, 1.0)},
    "DeltaEncoder": lambda: {"threshold": 0.1},
    "LatencyEncoder": lambda: {"num_steps": 5},
    "PoissonEncoder": lambda: {"num_steps": 5},
    "PopulationEncoder": lambda: {"low": 0.0, "high": 1.0, "neurons": 4},
}


def symmetric() -> np.ndarray:
    a, b = np.array([1.0, 2.0]), np.array([0.5, 1.0, -1.0])
    return np.einsum("i,j,k->ijk", a, b, b)


SERIES = np.random.default_rng(0).uniform(-1, 1, (150, 2))
STATES = np.stack([np.roll(SERIES[:, 0], 1), np.roll(SERIES[:, 0], 2), np.tanh(SERIES.sum(1))], axis=1)


def small() -> Reservoir:
    return Reservoir(6, sr=0.8, input_dim=2, seed=0)


def wide() -> Reservoir:
    return Reservoir(60, sr=0.9, input_scaling=0.1, input_dim=2, seed=0)


STREAMS = np.random.default_rng(1).uniform(-1, 1, (5, 12, 2))
MEASURES: dict[str, Callable[[], dict[str, Any]]] = {
    "active_information_storage": lambda: {"x": STATES},
    "derrida": lambda: {"reservoir": small(), "inputs": SERIES},
    "echo_state": lambda: {"reservoir": small(), "inputs": SERIES},
    "edge_of_chaos": lambda: {"reservoir": wide(), "inputs": SERIES, "tolerance": 0.2},
    "entropy": lambda: {"x": STATES},
    "excess_entropy": lambda: {"x": STATES[:, :1], "max_length": 2},
    "fisher_memory": lambda: {"reservoir": 0.1 * np.eye(3), "win": np.ones((3, 1))},
    "generalization_rank": lambda: {"reservoir": small(), "streams": STREAMS},
    "kernel_rank": lambda: {"reservoir": small(), "streams": STREAMS},
    "information_budget": lambda: {
        "inputs": SERIES[:, :1],
        "targets": STATES[:, :1],
        "states": STATES,
        "outputs": STATES[:, :1],
    },
    "information_processing_capacity": lambda: {"reservoir_or_states": STATES, "inputs": SERIES[:, :1], "max_delay": 2},
    "input_information": lambda: {"states": STATES, "inputs": SERIES[:, :1]},
    "linear_gaussian_information": lambda: {"W": 0.1 * np.eye(3), "Win": np.ones((3, 1))},
    "linear_memory_capacity": lambda: {"reservoir": 0.1 * np.eye(3), "win": np.ones((3, 1))},
    "lyapunov_exponent": lambda: {"reservoir": small(), "inputs": SERIES},
    "lyapunov_spectrum": lambda: {"reservoir": small(), "inputs": SERIES},
    "memory_capacity": lambda: {"reservoir_or_states": STATES, "inputs": SERIES[:, :1], "max_delay": 3},
    "mutual_information": lambda: {"x": STATES, "y": SERIES},
    "predictive_information": lambda: {"x": STATES[:, :1]},
    "separation": lambda: {"reservoir": small(), "streams": STREAMS},
    "similar_streams": lambda: {"streams": STREAMS, "same_steps": 4},
    "statistical_complexity": lambda: {"x": np.arange(60) % 2},
    "task_profile": lambda: {"inputs": SERIES[:, :1], "targets": STATES[:, :1]},
    "transfer_entropy": lambda: {"source": STATES},
}


@dataclass(frozen=True)
class PublicCall:
    """A public name, and arguments with which the call is right."""

    name: str
    target: Any
    arguments: Callable[[], dict[str, Any]] = field(default=dict)

    def options(self) -> list[str]:
        """Return the names of what can be given."""
        kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
        return [name for name, one in inspect.signature(self.target).parameters.items() if one.kind not in kinds]


def public_calls() -> dict[str, PublicCall]:
    """Return every public constructor and function of the method folders that numbers can be drawn for."""
    found = {}
    for folder in FOLDERS:
        module = import_module(f"lightning_neuro.{folder}")
        for name in module.__all__:
            if name not in NOT_CALLED | ELSEWHERE and name != "SpikingNetwork":
                found[name] = PublicCall(name, getattr(module, name), NEEDED.get(name, dict))
    measures = import_module("lightning_neuro.reservoir.measures")
    for name, arguments in MEASURES.items():
        found[name] = PublicCall(name, getattr(measures, name), arguments)
    return found
