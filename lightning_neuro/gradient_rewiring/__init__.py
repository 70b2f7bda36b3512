"""Grad R: connections and weights learned together (arXiv 2105.04916), and Deep R, on any torch optimizer."""

from lightning_neuro.gradient_rewiring.callback import DeepRewiring, GradientRewiring
from lightning_neuro.gradient_rewiring.control import SparsityController
from lightning_neuro.gradient_rewiring.deep_rewiring import DeepR
from lightning_neuro.gradient_rewiring.rewiring import Rewiring
from lightning_neuro.gradient_rewiring.sparse import SparseReport, densify, export_sparse, measure_sparse
from lightning_neuro.gradient_rewiring.sparse_file import load_sparse, save_sparse
from lightning_neuro.spiking.discovery import find_synapses

__all__ = [
    "DeepR",
    "DeepRewiring",
    "GradientRewiring",
    "Rewiring",
    "SparseReport",
    "SparsityController",
    "densify",
    "export_sparse",
    "find_synapses",
    "load_sparse",
    "measure_sparse",
    "save_sparse",
]
