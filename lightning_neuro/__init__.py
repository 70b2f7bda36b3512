"""Research methods for spiking, recurrent and reservoir networks as drop-in parts for PyTorch Lightning.

Parts are imported when they are first asked for: whoever uses one method does not wait for the libraries of another.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_neuro.gradient_activation import GradientActivation, GradientActivationOptimizer
    from lightning_neuro.gradient_rewiring import DeepRewiring, GradientRewiring
    from lightning_neuro.reservoir import ReservoirModule, SelfOrganizingReservoir, TorchReservoir
    from lightning_neuro.safe_mutation import SafeMutation
    from lightning_neuro.spectral_rnn import SpectralBiRNN, SpectralInit, SpectralRNN
    from lightning_neuro.spiking import SpikingStateReset
    from lightning_neuro.st_rsbp import STRSBP

__version__ = "0.1.0.dev0"

__all__ = [
    "STRSBP",
    "DeepRewiring",
    "GradientActivation",
    "GradientActivationOptimizer",
    "GradientRewiring",
    "ReservoirModule",
    "SafeMutation",
    "SelfOrganizingReservoir",
    "SpectralBiRNN",
    "SpectralInit",
    "SpectralRNN",
    "SpikingStateReset",
    "TorchReservoir",
    "__version__",
]

_FOLDERS = {
    "DeepRewiring": "gradient_rewiring",
    "GradientActivation": "gradient_activation",
    "GradientActivationOptimizer": "gradient_activation",
    "GradientRewiring": "gradient_rewiring",
    "ReservoirModule": "reservoir",
    "STRSBP": "st_rsbp",
    "SafeMutation": "safe_mutation",
    "SelfOrganizingReservoir": "reservoir",
    "SpectralBiRNN": "spectral_rnn",
    "SpectralInit": "spectral_rnn",
    "SpectralRNN": "spectral_rnn",
    "SpikingStateReset": "spiking",
    "TorchReservoir": "reservoir",
}


def __getattr__(name: str) -> Any:
    if name not in _FOLDERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_FOLDERS[name]}"), name)
    globals()[name] = value  # Asked once only.
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
