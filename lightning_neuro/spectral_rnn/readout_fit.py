"""The readout of a network whose recurrence is known, by least squares on its states in one pass."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from lightning_neuro.spectral_rnn.model import PolynomialModel
from lightning_neuro.spectral_rnn.passes import Passes, batches
from lightning_neuro.spectral_rnn.series import Array, Series

RCOND = 1e-10


@dataclass
class ReadoutSums:
    """Sums of products of states, a constant, and outputs.

    Attributes:
        gram: `(H + 1, H + 1)`.
        cross: `(H + 1, Dy)`.
    """

    gram: Array
    cross: Array

    def merge(self, other: "ReadoutSums") -> None:
        """Add the sums of another part of the data."""
        self.gram = self.gram + other.gram
        self.cross = self.cross + other.cross


def refit_readout(passes: Passes, model: PolynomialModel) -> PolynomialModel:
    """Return the network with the output weights and offset that predict the data best in the mean square.

    Args:
        passes: the data; missing outputs and steps whose state has exploded are left out.
        model: the network; its A1 and U stay.

    >>> from lightning_neuro.spectral_rnn.passes import SerialPasses
    >>> x = np.array([[1.0], [2.0], [0.5]])
    >>> net = PolynomialModel([[1.0]], [[0.5]], [[9.0]], (0.0, 1.0))
    >>> found = refit_readout(SerialPasses([Series(x, 2 * net.states([x])[0] + 1)]), net)
    >>> found.output_weights.round(6).tolist(), found.offset.round(6).tolist()
    ([[2.0]], [1.0])
    """
    outputs = model.output_weights.shape[1]
    sums = passes.run(partial(_sum, model, outputs))
    weights = np.asarray(np.linalg.lstsq(sums.gram, sums.cross, rcond=RCOND)[0], np.float64)
    return replace(model, output_weights=weights[:-1], offset=weights[-1])


def _sum(model: PolynomialModel, outputs: int, source: Iterable[Series]) -> ReadoutSums:
    width = model.units + 1
    sums = ReadoutSums(np.zeros((width, width)), np.zeros((width, outputs)))
    for batch in batches(source):
        for series, states in zip(batch, model.states([one.x for one in batch]), strict=True):
            kept = np.isfinite(states).all(axis=1) & np.isfinite(series.y).all(axis=1)
            extended = np.hstack([states[kept], np.ones((int(kept.sum()), 1))])
            weighted = extended if series.weights is None else extended * series.weights[kept][:, None]
            sums.gram += weighted.T @ extended
            sums.cross += weighted.T @ series.y[kept]
    return sums
