"""Spectral learning of input-output recurrent networks by score functions and tensor decomposition (arXiv 1603.00954)."""
