"""Whitening of a second moment, where that is possible at all."""

from typing import Any, NamedTuple

import tensorly as tl

from lightning_neuro.common import checks
from lightning_neuro.spectral_rnn.tensor_checks import require_finite_tensor


class Whitening(NamedTuple):
    """`whiten.T @ moment @ whiten` is the identity; `unwhiten.T` maps whitened directions back."""

    whiten: Any
    unwhiten: Any


def whiten_moment(moment: Any, rank: int, *, tolerance: float = 1e-10) -> Whitening:
    """Return the whitening of a positive semidefinite moment of the given rank.

    `W = V D^{-1/2}` and `B = V D^{1/2}` for the `rank` eigenvalues D that are largest in size. A contraction of a
    cross-moment by signed output weights is often indefinite and has no whitening: that is what the check is for.

    Args:
        moment: symmetric `(d, d)`, a tensor of the current tensorly backend.
        rank: number of eigenvalues to keep.
        tolerance: smallest accepted eigenvalue, relative to the largest.

    Returns:
        `Whitening(whiten (d, rank), unwhiten (d, rank))`.

    Raises:
        ValueError: one of the kept eigenvalues is negative or vanishes; a wrong shape, or numbers that are not finite.

    Source: whitening as in arXiv 1210.7559; the check is ours.

    >>> import numpy as np
    >>> whiten, _ = whiten_moment(np.diag([4.0, 1.0]), 1)
    >>> np.abs(whiten).round(3).tolist()
    [[0.5], [0.0]]
    """
    shape = tl.shape(moment)
    rank = checks.integer("whiten_moment", "rank", rank, at_least=1)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < rank:
        raise ValueError(f"whiten_moment: expected (d, d) with d at least rank = {rank}, got {tuple(shape)}.")
    require_finite_tensor("whiten_moment", moment)
    values, vectors = tl.eigh((moment + tl.transpose(moment)) / 2)
    sizes = [abs(float(value)) for value in values]
    kept = sorted(range(len(sizes)), key=lambda place: -sizes[place])[:rank]
    smallest = min(float(values[place]) for place in kept)
    if smallest <= tolerance * max(sizes):
        raise ValueError(
            f"whiten_moment: the {rank} leading eigenvalues must be positive, got {smallest:.3g} beside "
            f"{max(sizes):.3g}. The moment is indefinite or of lower rank: use simultaneous_diagonalization instead."
        )
    roots = tl.sqrt(tl.stack([values[place] for place in kept]))
    basis = tl.stack([vectors[:, place] for place in kept], 1)
    return Whitening(basis / roots, basis * roots)
