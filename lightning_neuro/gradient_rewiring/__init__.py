"""Grad R: connections and weights learned together (arXiv 2105.04916), and Deep R, on any torch optimizer."""

from lightning_neuro.gradient_rewiring.callback import DeepRewiring, GradientRewiring
from lightning_neuro.gradient_rewiring.control import SparsityController
from lightning_neuro.gradient_rewiring.deep_rewiring import DeepR
from lightning_neuro.gradient_rewiring.rewiring import Rewiring

__all__ = ["DeepR", "DeepRewiring", "GradientRewiring", "Rewiring", "SparsityController"]
