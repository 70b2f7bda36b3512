"""Spectral learning of input-output recurrent networks by scores and tensor decomposition (arXiv 1603.00954)."""
