"""Plug-in entropy and information of symbols, with Miller and Madow's correction and a likelihood-ratio test."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from lightning_neuro.reservoir.measures.information.samples import AnyArray, Array

Codes = npt.NDArray[np.int64]
_PER_CELL = 5  # samples that a cell of the joint table should have on average


class Discrete(NamedTuple):
    """Information of symbols.

    Args:
        value: in nats.
        p_value: of independence given Z, from 2 n I ~ chi2((|X|-1)(|Y|-1)|Z|).
        local: `(n,)`, its mean is the value before the correction.
    """

    value: float
    p_value: float
    local: Array


def codes_of(columns: AnyArray) -> Codes:
    """Return one integer from 0 up per distinct row.

    >>> codes_of(np.array([[0, 1], [5, 1], [0, 1]])).tolist()
    [0, 1, 0]
    """
    codes = np.zeros(len(columns), np.int64)
    for column in columns.T:
        symbols, places = np.unique(column, return_inverse=True)
        codes = joined(codes, places) if len(symbols) > 1 else codes
    return codes


def joined(*parts: Codes) -> Codes:
    """Return one integer from 0 up per distinct combination of codes.

    >>> joined(np.array([0, 1, 1]), np.array([1, 0, 0])).tolist()
    [0, 1, 1]
    """
    codes, *others = parts
    for other in others:
        codes = np.unique(codes * (int(other.max()) + 1) + other, return_inverse=True)[1]
    return codes


def plug_in_entropy(codes: Codes, *, bias_correction: bool = False) -> float:
    """Return `-sum p ln p` of codes in nats, with Miller and Madow's (m - 1) / 2n added where asked.

    >>> round(plug_in_entropy(np.array([0, 1, 0, 1])), 6)  # ln 2
    0.693147
    """
    counts = np.bincount(codes)
    counts = counts[counts > 0]
    share = counts / len(codes)
    return float(-(share * np.log(share)).sum()) + (bias_correction * (len(counts) - 1) / (2 * len(codes)))


def discrete_information(
    x: AnyArray, y: AnyArray, z: AnyArray | None = None, *, bias_correction: bool = False
) -> Discrete:
    """Return I(X;Y|Z) of symbols.

        i = ln( n_xyz n_z / (n_xz n_yz) )

    Args:
        x: `(n, d_x)`; each distinct row is a symbol.
        y: `(n, d_y)`.
        z: `(n, d_z)`.
        bias_correction: Miller and Madow's, (m - 1) / 2n on each entropy.

    Warns:
        UserWarning: fewer than 5 samples per cell of the table X x Y x Z; the estimate is then too large.

    >>> a, b = np.random.default_rng(0).integers(0, 2, (2, 1000, 1))
    >>> round(float(discrete_information(a, a ^ b, b).value / np.log(2)), 2)
    1.0
    """
    a, b, c = (codes_of(block) for block in (x, y, np.zeros((len(x), 0), np.int64) if z is None else z))
    sizes = [int(codes.max()) + 1 for codes in (a, b, c)]
    warn_if_undersampled(len(x), *sizes)
    xz, yz = joined(a, c), joined(b, c)
    spaces: tuple[Codes, ...] = (joined(xz, b), c, xz, yz)
    counts = [np.bincount(codes) for codes in spaces]
    logs = [np.log(count)[codes] for count, codes in zip(counts, spaces, strict=True)]
    local = logs[0] + logs[1] - logs[2] - logs[3]
    value = float(local.mean())
    freedom = (sizes[0] - 1) * (sizes[1] - 1) * sizes[2]
    p_value = float(chdtrc(freedom, max(2 * len(x) * value, 0))) if freedom else 1.0
    if bias_correction:
        joint, of_z, of_xz, of_yz = (len(count) for count in counts)
        value += (of_xz + of_yz - of_z - joint) / (2 * len(x))
    return Discrete(value, p_value, local)


def warn_if_undersampled(samples: int, *alphabets: int) -> None:
    """Warn where the table of all combinations has fewer than 5 samples per cell."""
    cells = 1
    for size in alphabets:
        cells *= size
    if samples < _PER_CELL * cells:
        warnings.warn(
            f"discrete: {samples} samples fill a table of {cells} cells ({' x '.join(map(str, alphabets))}); "
            "information comes out too large below 5 a cell. Give a longer series, shorter histories or fewer bins.",
            UserWarning,
            stacklevel=2,
        )


def table_information(counts: npt.NDArray[Any]) -> Array:
    """Return I(X;Y|Z) in nats of stacked tables of counts or probabilities `(..., |X|, |Y|, |Z|)`.

    >>> float(table_information(np.array([[[1], [0]], [[0], [1]]])).round(4))
    0.6931
    """
    share = counts / counts.sum(axis=(-3, -2, -1), keepdims=True)

    def entropy(*axes: int) -> Array:
        part = share.sum(axis=axes, keepdims=True) if axes else share
        return -np.where(part > 0, part * np.log(np.where(part > 0, part, 1)), 0).sum(axis=(-3, -2, -1))

    return np.asarray(np.maximum(entropy(-2) + entropy(-3) - entropy(-3, -2) - entropy(), 0))
