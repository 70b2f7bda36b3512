"""Which estimator: by name, or by what the data look like."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.information.discrete import discrete_information
from lightning_neuro.reservoir.measures.information.gaussian import gaussian_information, normal_scores
from lightning_neuro.reservoir.measures.information.kernel import kernel_information
from lightning_neuro.reservoir.measures.information.nearest_neighbour import ksg_information
from lightning_neuro.reservoir.measures.information.samples import AnyArray, Array, is_discrete, quantile_codes

ESTIMATORS = ("auto", "gaussian", "copula", "ksg", "kernel", "discrete")


class Estimate(NamedTuple):
    """Information in nats.

    Args:
        value: the estimate.
        p_value: of independence where the estimator knows its distribution.
        local: `(n,)`, the pointwise terms.
        remaining: share of the target's variance that the condition leaves, where the estimator knows it.
    """

    value: float
    p_value: float | None
    local: Array
    remaining: float | None = None


@dataclass(frozen=True)
class Estimator:
    """An estimator of I(X;Y|Z) with its settings.

    Args:
        name: `"gaussian"`, `"copula"`, `"ksg"`, `"kernel"`, `"discrete"`, or `"auto"` before it has seen data:
            discrete for bools, integers and floats of at most 16 distinct values, else Gaussian where many units or
            pairs are asked for and ksg for one.
        neighbours: k of ksg.
        radius: of the box kernel, in standard deviations.
        bins: quantile bins that make continuous columns discrete; None takes values as they are.
        bias_correction: None for the estimator's habit: Gaussian values are corrected, discrete ones are not.
        theiler: steps within which ksg takes no neighbours.
        workers: threads of k-d trees.
        device: torch device for ksg by all distances; None for k-d trees.
        seed: of the noise that breaks ties.

    Raises:
        TypeError: a setting has the wrong type.
        ValueError: a setting lies outside its range.

    >>> Estimator("nearest")
    Traceback (most recent call last):
    ValueError: estimator: name must be one of 'auto', 'gaussian', 'copula', 'ksg', 'kernel', 'discrete', got 'nearest'.
    """

    name: str = "auto"
    neighbours: int = 4
    radius: float = 0.5
    bins: int | None = None
    bias_correction: bool | None = None
    theiler: int = 0
    workers: int = 1
    device: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check."""
        checks.choice("estimator", "name", self.name, ESTIMATORS)
        checks.integer("estimator", "neighbours", self.neighbours, at_least=1)
        checks.number("estimator", "radius", self.radius, above=0)
        checks.integer("estimator", "theiler", self.theiler, at_least=0)
        if self.bins is not None:
            checks.integer("estimator", "bins", self.bins, at_least=2)

    @property
    def unit(self) -> str:
        """Bits for symbols, nats for numbers."""
        return "bits" if self.name == "discrete" else "nats"

    def information(self, x: AnyArray, y: AnyArray, z: AnyArray | None = None) -> Estimate:
        """Return I(X;Y|Z) of rows `(n, d_x)`, `(n, d_y)`, `(n, d_z)`.

        >>> x = np.random.default_rng(0).standard_normal((500, 1))
        >>> Estimator("gaussian").information(x, np.zeros((500, 1))).value
        0.0
        """
        z = np.zeros((len(x), 0)) if z is None else z
        if self.name == "discrete":
            found = discrete_information(x, y, z, bias_correction=bool(self.bias_correction))
            return Estimate(found.value, found.p_value, found.local)
        if self.name in ("gaussian", "copula"):
            blocks = [normal_scores(block) for block in (x, y, z)] if self.name == "copula" else [x, y, z]
            correct = self.bias_correction is not False
            fit = gaussian_information(*blocks, bias_correction=correct)
            return Estimate(fit.value, fit.p_value, fit.local, fit.remaining)
        if self.name == "kernel":
            local = kernel_information(x, y, z, radius=self.radius, workers=self.workers)
        else:
            local = ksg_information(
                x,
                y,
                z,
                neighbours=self.neighbours,
                theiler=self.theiler,
                workers=self.workers,
                device=self.device,
                seed=self.seed,
            )
        return Estimate(float(local.mean()), None, local)

    def prepared(self, batch: AnyArray) -> AnyArray:
        """Return series `(B, T, N)` as the estimator takes them: symbols by quantiles where bins were asked for."""
        if self.name != "discrete":
            return batch.astype(np.float64, copy=False)
        return batch if self.bins is None or is_discrete(batch) else quantile_codes(batch, self.bins)


def chosen(estimator: str, batches: Sequence[AnyArray], *, many: bool, **options: Any) -> Estimator:
    """Return the estimator by name, `"auto"` decided by the data.

    Args:
        estimator: its name.
        batches: series `(B, T, N)`.
        many: whether many units or pairs are asked for.
        **options: settings of `Estimator`.

    >>> chosen("auto", [np.array([[[0], [1]]])], many=False).name
    'discrete'
    """
    known = Estimator(estimator, **options)
    if known.name != "auto":
        return known
    discrete = known.bins is not None or all(is_discrete(batch) for batch in batches)
    return Estimator("discrete" if discrete else "gaussian" if many else "ksg", **options)
