"""What Lightning users of snnTorch need every day: reset, discovery, the time loop, metrics, surrogate gradients."""

from lightning_neuro.spiking.callback import SpikingStateReset
from lightning_neuro.spiking.discovery import Synapse, find_neurons, find_synapses, synapse_table
from lightning_neuro.spiking.metrics import (
    DeadNeurons,
    FiringRate,
    SaturatedNeurons,
    SpikeCountAccuracy,
    SynapticOperations,
    fan_out,
)
from lightning_neuro.spiking.state import detach_, hidden_state, holds_graph, load_hidden_state_, reset_
from lightning_neuro.spiking.surrogate import ATan, FastSigmoid
from lightning_neuro.spiking.unroll import unroll

__all__ = [
    "ATan",
    "DeadNeurons",
    "FastSigmoid",
    "FiringRate",
    "SaturatedNeurons",
    "SpikeCountAccuracy",
    "SpikingStateReset",
    "Synapse",
    "SynapticOperations",
    "detach_",
    "fan_out",
    "find_neurons",
    "find_synapses",
    "hidden_state",
    "holds_graph",
    "load_hidden_state_",
    "reset_",
    "synapse_table",
    "unroll",
]
