"""Tensor routines that tensorly lacks, under every backend of it that has `einsum`, `svd` and `lstsq`.

They take and return tensors of the current tensorly backend, follow its conventions (a component per column,
`CPTensor`), take a seed or generator, and never touch a global generator.
"""

from lightning_neuro.spectral_rnn.hankel import Realization, ho_kalman
from lightning_neuro.spectral_rnn.jennrich import ComplexPencilError, simultaneous_diagonalization
from lightning_neuro.spectral_rnn.matching import Match, match_components
from lightning_neuro.spectral_rnn.power_method import robust_tensor_power
from lightning_neuro.spectral_rnn.products import rowwise_khatri_rao
from lightning_neuro.spectral_rnn.symmetric_cp import partially_symmetric_cp
from lightning_neuro.spectral_rnn.whitening import Whitening, whiten_moment

__all__ = [
    "ComplexPencilError",
    "Match",
    "Realization",
    "Whitening",
    "ho_kalman",
    "match_components",
    "partially_symmetric_cp",
    "robust_tensor_power",
    "rowwise_khatri_rao",
    "simultaneous_diagonalization",
    "whiten_moment",
]
