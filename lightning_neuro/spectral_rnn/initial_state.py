"""The state before the first step, by least squares on what comes first."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares

from lightning_neuro.spectral_rnn.model import PolynomialModel
from lightning_neuro.spectral_rnn.series import Array, Series

STEPS = 10
EXPLODED_RESIDUAL = 1e3


def fit_initial_state(model: PolynomialModel, series: Sequence[Series], steps: int = STEPS) -> Array:
    """Return the state `(H,)` from which the first outputs of all series are predicted best.

    Args:
        model: the learned network; it stays.
        series: inputs and outputs; what is missing is left out.
        steps: leading steps of each series to look at. States forget: later steps say little.

    >>> model = PolynomialModel([[1.0]], [[0.5]], [[1.0]], (0.0, 1.0))
    >>> x = np.zeros((3, 1))
    >>> fit_initial_state(model, [Series(x, model.predict(x, h0=np.array([2.0])))]).round(6).tolist()
    [2.0]
    """
    heads = [head for one in series if np.isfinite((head := one.part(0, steps)).x).all() and len(head)]
    if not heads:
        return np.zeros(model.units)
    inputs, wanted = [head.x for head in heads], np.concatenate([head.y for head in heads])
    known = np.isfinite(wanted)

    def residual(h0: Array) -> Array:
        found = np.concatenate(model.predict_all(inputs, h0))
        return np.where(np.isfinite(found), found - wanted, EXPLODED_RESIDUAL)[known]

    start = np.zeros(model.units)
    found = least_squares(residual, start)
    return np.asarray(found.x) if found.cost < np.square(residual(start)).sum() / 2 else start
