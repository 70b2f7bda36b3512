"""Linear input-output networks: from Markov parameters to weights."""

import warnings
from dataclasses import dataclass

import numpy as np
import tensorly as tl

from lightning_neuro.spectral_rnn.alarms import UnstableRecurrenceWarning
from lightning_neuro.spectral_rnn.hankel import ho_kalman
from lightning_neuro.spectral_rnn.model import LINEAR, PolynomialModel
from lightning_neuro.spectral_rnn.rank import choose_rank
from lightning_neuro.spectral_rnn.series import Array

STABLE = 0.999


@dataclass(frozen=True)
class LinearRecovery:
    """A linear network, the singular values of its Hankel matrix, and the spectral radius before it was shrunk."""

    model: PolynomialModel
    singular_values: Array
    spectral_radius: float


def recover_linear(markov: Array, rank: int | str) -> LinearRecovery:
    """Recover a linear network from `M_k = E[y_t (x) S_1(t - k)] = A2^T U^k A1`, k = 0 to K - 1.

    Determined up to a change of basis of the state; the balanced one is returned. A U of spectral radius 1 or more is
    scaled to 0.999.

    Args:
        markov: `(K, Dy, Dx)`, K even.
        rank: number of neurons, or "auto" for the largest gap in the singular values.

    Returns:
        A `LinearRecovery`.

    Raises:
        ValueError: too few parameters for the rank, or some are not finite.

    Warns:
        UnstableRecurrenceWarning: U was scaled.

    >>> found = recover_linear(3.0 * 0.5 ** np.arange(4.0).reshape(4, 1, 1), 1)
    >>> found.model.predict(np.array([[1.0], [0.0]])).round(6).ravel().tolist()
    [3.0, 1.5]
    """
    if not np.isfinite(markov).all():
        raise ValueError("recover_linear: the Markov parameters must be finite. Drop sequences that are not.")
    with tl.backend_context("numpy", local_threadsafe=True):
        units = choose_rank(ho_kalman(markov, 1).singular_values) if isinstance(rank, str) else rank
        found = ho_kalman(markov, units)
    recurrent = np.asarray(found.recurrent)
    radius = float(np.abs(np.linalg.eigvals(recurrent)).max())
    if radius >= 1:
        warnings.warn(
            f"recover_linear: the recurrent weights had spectral radius {radius:.3f} and were scaled to {STABLE}. "
            "Give more data, fewer units or fewer lags.",
            UnstableRecurrenceWarning,
            stacklevel=2,
        )
        recurrent = recurrent * (STABLE / radius)
    model = PolynomialModel(found.inputs, recurrent, np.asarray(found.outputs).T, LINEAR)
    return LinearRecovery(model, np.asarray(found.singular_values), radius)
