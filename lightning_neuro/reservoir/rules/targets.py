"""Output distributions that intrinsic plasticity steers to: each gives its score, the slope of its log density.

    score(y) = d ln p(y) / dy

| target | score | density lives on |
|---|---|---|
| `Gaussian(mean, std)` | `-(y - mean) / std^2` | all y |
| `Laplace(mean, scale)` | `-sign(y - mean) / scale` | all y |
| `Uniform()` | `0` | the activation's range |
| `Exponential(mean)` | `-1 / mean` | y > 0 |
| `Weibull(shape, scale)` | `(k - 1) / y - (k / l) (y / l)^(k - 1)` | y > 0 |
| `Density(distribution)` | by automatic differentiation | as the distribution says |
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch

from lightning_neuro.common import checks

Array = npt.NDArray[np.float64]

_EDGE = 1e-9  # keeps outputs off 0 and 1, where a score is infinite


class Target(Protocol):
    """A distribution of outputs."""

    @property
    def positive(self) -> bool:
        """Whether it lives on y > 0 only, so that units need an activation without negative outputs."""
        ...

    def score(self, output: Array) -> Array:
        """Return `d ln p(y) / dy` at each output."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """Normal distribution; `std` is the standard deviation.

    Args:
        mean: of outputs.
        std: their standard deviation.

    >>> Gaussian(0.0, 0.5).score(np.array([1.0]))
    array([-4.])
    """

    mean: float = 0.0
    std: float = 0.2
    positive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.number("Gaussian", "mean", self.mean)
        checks.number("Gaussian", "std", self.std, above=0)

    def score(self, output: Array) -> Array:
        """Return `d ln p(y) / dy`."""
        return (self.mean - output) / self.std**2


@dataclass(frozen=True)
class Laplace:
    """Two-sided exponential distribution of standard deviation `sqrt(2) scale`.

    Args:
        mean: of outputs.
        scale: mean distance from it.

    >>> Laplace(0.0, 0.5).score(np.array([-3.0, 0.1]))
    array([ 2., -2.])
    """

    mean: float = 0.0
    scale: float = 0.1
    positive: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checks.number("Laplace", "mean", self.mean)
        checks.number("Laplace", "scale", self.scale, above=0)

    def score(self, output: Array) -> Array:
        """Return `d ln p(y) / dy`."""
        return -np.sign(output - self.mean) / self.scale


@dataclass(frozen=True)
class Uniform:
    """All outputs alike: each unit then carries most information about its input (infomax of one unit).

    >>> Uniform().score(np.array([0.3]))
    array([0.])
    """

    positive: ClassVar[bool] = False

    def score(self, output: Array) -> Array:
        """Return `d ln p(y) / dy`."""
        return np.zeros_like(output)


@dataclass(frozen=True)
class Exponential:
    """Exponential distribution.

    Args:
        mean: of outputs.

    >>> Exponential(0.25).score(np.array([0.3]))
    array([-4.])
    """

    mean: float = 0.2
    positive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.number("Exponential", "mean", self.mean, above=0)

    def score(self, output: Array) -> Array:
        """Return `d ln p(y) / dy`."""
        return np.full_like(output, -1 / self.mean)


@dataclass(frozen=True)
class Weibull:
    """Weibull distribution; shape 1 is the exponential one.

    Args:
        shape: exponent; above 1 small outputs are rare.
        scale: of outputs.

    >>> Weibull(1.0, 0.25).score(np.array([0.3]))
    array([-4.])
    """

    shape: float = 2.0
    scale: float = 0.3
    positive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.number("Weibull", "shape", self.shape, above=0)
        checks.number("Weibull", "scale", self.scale, above=0)

    def score(self, output: Array) -> Array:
        """Return `d ln p(y) / dy`."""
        y = np.clip(output, _EDGE, None)
        return (self.shape - 1) / y - self.shape / self.scale * (y / self.scale) ** (self.shape - 1)


@dataclass(frozen=True)
class Density:
    """Any distribution of `torch.distributions` with a differentiable density, of single numbers.

    Args:
        distribution: of `torch.distributions`.

    >>> round(float(Density(torch.distributions.Normal(0.0, 0.5)).score(np.array([1.0]))[0]), 12)
    -4.0
    """

    distribution: Any

    def __post_init__(self) -> None:
        if not isinstance(self.distribution, torch.distributions.Distribution):
            given = type(self.distribution).__name__
            raise TypeError(f"Density: distribution must be one of torch.distributions, got {given}.")

    @property
    def positive(self) -> bool:
        """Whether the support starts at 0 or above."""
        lower = getattr(self.distribution.support, "lower_bound", -np.inf)
        return bool(torch.as_tensor(lower).min() >= 0)

    def score(self, output: Array) -> Array:
        """Return the slope of the log density; outputs are kept off the ends of the distribution's support."""
        y = torch.as_tensor(output, dtype=torch.float64)
        low = float(torch.as_tensor(getattr(self.distribution.support, "lower_bound", -np.inf)).min())
        high = float(torch.as_tensor(getattr(self.distribution.support, "upper_bound", np.inf)).max())
        with torch.enable_grad():
            inside = y.clamp(low + _EDGE, high - _EDGE).requires_grad_()
            (slope,) = torch.autograd.grad(self.distribution.log_prob(inside).sum(), inside)
        return slope.numpy()
