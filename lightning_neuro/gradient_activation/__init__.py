"""GAF: gradient activation functions (arXiv 2107.04228) as a callback, an optimizer wrapper and plain functions."""

from lightning_neuro.gradient_activation.callback import GradientActivation
from lightning_neuro.gradient_activation.optimizer import GradientActivationOptimizer

__all__ = ["GradientActivation", "GradientActivationOptimizer"]
