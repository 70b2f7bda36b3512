"""Entropy of activations: of symbols, of Gaussians, from neighbours, or Renyi's quadratic one by kernels."""

from typing import Any

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.information.choose import Estimator
from lightning_neuro.reservoir.measures.information.discrete import codes_of, plug_in_entropy
from lightning_neuro.reservoir.measures.information.gaussian import gaussian_entropy
from lightning_neuro.reservoir.measures.information.kernel import quadratic_entropy
from lightning_neuro.reservoir.measures.information.nearest_neighbour import kozachenko_leonenko
from lightning_neuro.reservoir.measures.information.samples import AnyArray, check_length, is_discrete, rows
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.measures.series import measured, series_of

ESTIMATORS = ("auto", "discrete", "gaussian", "ksg", "renyi")


def entropy(
    x: Any,
    *,
    joint: bool = False,
    inputs: Any = None,
    washout: int = 0,
    estimator: str = "auto",
    neighbours: int = 4,
    bins: int | None = None,
    width: float | None = None,
    bias_correction: bool | None = None,
    workers: int = 1,
    seed: int = 0,
) -> Measure:
    """Return H(x) of each unit, or of all together; of continuous series the differential entropy.

    Args:
        x: series, or whatever runs on `inputs`.
        joint: take all columns as one vector.
        inputs: what a node, model or `TorchReservoir` is driven by.
        washout: first steps to drop.
        estimator: `"discrete"`, `"gaussian"`, `"ksg"` (Kozachenko and Leonenko), `"renyi"` (quadratic), or `"auto"`:
            discrete for bools, integers and floats of at most 16 distinct values, else ksg.
        neighbours: k of ksg.
        bins: quantile bins that make continuous columns discrete.
        width: of the kernels of `"renyi"`, in standard deviations.
        bias_correction: Miller and Madow's, for symbols.
        workers: threads of k-d trees.
        seed: of the noise that breaks ties.

    Returns:
        A float for one series or `joint`, else `(N,)`. A constant column has 0 bits of symbols and -inf nats.

    Raises:
        ValueError: NaN, or series no longer than the washout.

    >>> float(entropy([0, 1, 1, 0] * 10))  # bits
    1.0
    >>> x = np.random.default_rng(0).uniform(0, 1, 5000)
    >>> abs(float(entropy(x))) < 0.05  # ln 1
    True
    """
    checks.choice("entropy", "estimator", estimator, ESTIMATORS)
    batch = series_of("entropy", "x", x, inputs, washout=washout)
    check_length("entropy", batch, 0, washout=washout)
    if estimator == "auto":
        estimator = "discrete" if bins is not None or is_discrete(batch) else "ksg"
    used = Estimator(
        "ksg" if estimator == "renyi" else estimator, neighbours, bins=bins, bias_correction=bias_correction, seed=seed
    )
    samples = rows(used.prepared(batch))
    columns = [samples] if joint else [samples[:, [place]] for place in range(samples.shape[1])]

    def one(block: AnyArray) -> float:
        if estimator == "discrete":
            return plug_in_entropy(codes_of(block), bias_correction=bool(bias_correction))
        if estimator == "gaussian":
            return gaussian_entropy(block)
        if estimator == "renyi":
            return quadratic_entropy(block, width=width)
        return float(kozachenko_leonenko(block, neighbours=neighbours, workers=workers, seed=seed).mean())

    values = np.array([one(block) for block in columns])
    return measured(
        "entropy",
        values[0] if len(values) == 1 else values,
        used,
        params={"estimator": estimator, "joint": joint, "washout": washout},
    )
