"""From images, series and sound to spikes `(T, B, ...)`, time first and boolean."""

from lightning_neuro.spiking.encoding.bsa import BSAEncoder, bsa_decode, bsa_encode, bsa_kernel
from lightning_neuro.spiking.encoding.cochlea import LyonEar, cochleagram
from lightning_neuro.spiking.encoding.delta import DeltaEncoder
from lightning_neuro.spiking.encoding.ear_filters import EarFilters, design_ear
from lightning_neuro.spiking.encoding.indexed import Indexed
from lightning_neuro.spiking.encoding.latency import LatencyEncoder
from lightning_neuro.spiking.encoding.poisson import PoissonEncoder
from lightning_neuro.spiking.encoding.population import PopulationEncoder
from lightning_neuro.spiking.encoding.speech import SpeechEncoder

__all__ = [
    "BSAEncoder",
    "DeltaEncoder",
    "EarFilters",
    "Indexed",
    "LatencyEncoder",
    "LyonEar",
    "PoissonEncoder",
    "PopulationEncoder",
    "SpeechEncoder",
    "bsa_decode",
    "bsa_encode",
    "bsa_kernel",
    "cochleagram",
    "design_ear",
]
