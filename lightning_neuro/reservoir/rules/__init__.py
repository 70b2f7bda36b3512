"""Rules of self-organisation, composed as a list: `SelfOrganizingReservoir(100, [IntrinsicPlasticity(), Oja()])`."""

from lightning_neuro.reservoir.rules.hebbian import BCM, AntiHebb, AntiOja, Covariance, Hebb, Oja
from lightning_neuro.reservoir.rules.homeostasis import Homeostasis
from lightning_neuro.reservoir.rules.intrinsic_plasticity import IntrinsicPlasticity
from lightning_neuro.reservoir.rules.normalize import Normalize
from lightning_neuro.reservoir.rules.predictive_information import PredictiveInformationAscent
from lightning_neuro.reservoir.rules.recurrent_infomax import RecurrentInfomax
from lightning_neuro.reservoir.rules.rule import EpochRule, StepRule
from lightning_neuro.reservoir.rules.stdp import STDP
from lightning_neuro.reservoir.rules.targets import Density, Exponential, Gaussian, Laplace, Uniform, Weibull

__all__ = [
    "BCM",
    "STDP",
    "AntiHebb",
    "AntiOja",
    "Covariance",
    "Density",
    "EpochRule",
    "Exponential",
    "Gaussian",
    "Hebb",
    "Homeostasis",
    "IntrinsicPlasticity",
    "Laplace",
    "Normalize",
    "Oja",
    "PredictiveInformationAscent",
    "RecurrentInfomax",
    "StepRule",
    "Uniform",
    "Weibull",
]
