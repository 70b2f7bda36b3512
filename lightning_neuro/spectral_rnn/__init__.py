"""Spectral learning of input-output RNNs: reservoirpy nodes, torch modules and a callback (arXiv 1603.00954).

Networks are learned in a few passes over the data, without gradients, from moments of the outputs and of the score of
the inputs. `torch.PolynomialRNN` is the torch module of the same name as the node `PolynomialRNN`.
"""

from lightning_neuro.spectral_rnn.bidirectional_node import SpectralBiRNN
from lightning_neuro.spectral_rnn.callback import SpectralInit
from lightning_neuro.spectral_rnn.decomposition import (
    ho_kalman,
    match_components,
    partially_symmetric_cp,
    robust_tensor_power,
    rowwise_khatri_rao,
    simultaneous_diagonalization,
    whiten_moment,
)
from lightning_neuro.spectral_rnn.density_score import LogDensityScore
from lightning_neuro.spectral_rnn.gaussian_score import GaussianAR1Score, IIDGaussianScore
from lightning_neuro.spectral_rnn.mixture_score import MixtureScore
from lightning_neuro.spectral_rnn.module import SpectralRNNModule
from lightning_neuro.spectral_rnn.node import SpectralRNN
from lightning_neuro.spectral_rnn.polynomial_node import PolynomialRNN
from lightning_neuro.spectral_rnn.token_node import SpectralTokenRNN

__all__ = [
    "GaussianAR1Score",
    "IIDGaussianScore",
    "LogDensityScore",
    "MixtureScore",
    "PolynomialRNN",
    "SpectralBiRNN",
    "SpectralInit",
    "SpectralRNN",
    "SpectralRNNModule",
    "SpectralTokenRNN",
    "ho_kalman",
    "match_components",
    "partially_symmetric_cp",
    "robust_tensor_power",
    "rowwise_khatri_rao",
    "simultaneous_diagonalization",
    "whiten_moment",
]
