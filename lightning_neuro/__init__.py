"""Research methods for spiking, recurrent and reservoir networks as drop-in parts for PyTorch Lightning."""

from lightning_neuro.gradient_activation import GradientActivation, GradientActivationOptimizer
from lightning_neuro.gradient_rewiring import DeepRewiring, GradientRewiring
from lightning_neuro.safe_mutation import SafeMutation
from lightning_neuro.spiking import SpikingStateReset
from lightning_neuro.st_rsbp import STRSBP

__version__ = "0.1.0.dev0"

__all__ = [
    "STRSBP",
    "DeepRewiring",
    "GradientActivation",
    "GradientActivationOptimizer",
    "GradientRewiring",
    "SafeMutation",
    "SpikingStateReset",
    "__version__",
]
