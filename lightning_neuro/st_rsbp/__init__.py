"""ST-RSBP: deep recurrent spiking networks trained at spike-train level (arXiv 1908.06378).

Layers of leaky integrate-and-fire neurons, simulated without an autograd graph, and gradients formed from spike
counts and spike-train potentials instead of a backward pass through time.
"""

from lightning_neuro.st_rsbp.boosting import Boosting
from lightning_neuro.st_rsbp.connectivity import RandomConnectivity, ReservoirConnectivity
from lightning_neuro.st_rsbp.conv_layers import SpikingConvLayer, SpikingPoolLayer
from lightning_neuro.st_rsbp.interop import from_snntorch, to_snntorch
from lightning_neuro.st_rsbp.layers import RecurrentSpikingLayer, SpikingLayer
from lightning_neuro.st_rsbp.loss import CountLoss
from lightning_neuro.st_rsbp.module import STRSBP
from lightning_neuro.st_rsbp.network import BackwardResult, SpikingNetwork
from lightning_neuro.st_rsbp.nir_graph import to_nir
from lightning_neuro.st_rsbp.potential import spike_train_potential
from lightning_neuro.st_rsbp.regulariser import ExponentialRegulariser
from lightning_neuro.st_rsbp.rule import GradientRule

__all__ = [
    "STRSBP",
    "BackwardResult",
    "Boosting",
    "CountLoss",
    "ExponentialRegulariser",
    "GradientRule",
    "RandomConnectivity",
    "RecurrentSpikingLayer",
    "ReservoirConnectivity",
    "SpikingConvLayer",
    "SpikingLayer",
    "SpikingNetwork",
    "SpikingPoolLayer",
    "from_snntorch",
    "spike_train_potential",
    "to_nir",
    "to_snntorch",
]
