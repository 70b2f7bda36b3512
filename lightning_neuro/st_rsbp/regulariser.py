"""The exponential weight regulariser: neurons whose weights are large on average pay."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lightning_neuro.common import checks


@dataclass(frozen=True)
class ExponentialRegulariser:
    """Penalty `strength * sum_i exp(beta (q_i - 1))`, q_i the mean square of neuron i's `w / limit`.

    Args:
        strength: lambda of the paper; 10 for the authors' image nets, 0 for their speech nets.
        beta: 0.04 for MNIST and Fashion-MNIST, 0.01 for N-MNIST.
        limit: weights of this size count 1.
        form: `"exact"` for the derivative of the penalty; `"reference"` for what the authors add to the gradient,
            `strength * beta * (w / limit) * exp(beta (q_i - 1))`, in which q of a recurrent layer is divided by the
            synapses of the whole layer.

    Raises:
        TypeError, ValueError: a number is of the wrong kind or outside its range.

    >>> weight = torch.full((1, 3), 8.0)
    >>> regulariser = ExponentialRegulariser(strength=10, beta=0.04, form="reference")
    >>> [round(v, 4) for v in regulariser.gradients([weight])[0][0].tolist()]
    [0.396, 0.396, 0.396]
    """

    strength: float = 10.0
    beta: float = 0.04
    limit: float = 8.0
    form: Literal["exact", "reference"] = "exact"

    def __post_init__(self) -> None:
        owner = "ExponentialRegulariser"
        checks.number(owner, "strength", self.strength, at_least=0)
        checks.number(owner, "beta", self.beta, at_least=0)
        checks.number(owner, "limit", self.limit, above=0)
        checks.choice(owner, "form", self.form, ("exact", "reference"))

    def penalty(self, weights: list[Tensor], mask: Tensor | None = None) -> Tensor:
        """Return the penalty of one layer.

        Args:
            weights: its weights, each with neurons first: (N, M), and (N, N) if it is recurrent; (O, C, k, k).
            mask: which recurrent synapses exist (N, N), None for all.
        """
        return self.strength * torch.exp(self.beta * (self._mean_square(weights, mask)[0] - 1)).sum()

    def gradients(self, weights: list[Tensor], mask: Tensor | None = None) -> list[Tensor]:
        """Return what to add to the gradient of each of `weights`; arguments as in `penalty`."""
        mean_square, size = self._mean_square(weights, mask)
        factor = self.strength * self.beta * torch.exp(self.beta * (mean_square - 1)) / self.limit
        if self.form == "exact":
            factor = factor * 2 / (self.limit * size)
        return [weight * factor.reshape(-1, *[1] * (weight.ndim - 1)) for weight in weights]

    def _mean_square(self, weights: list[Tensor], mask: Tensor | None) -> tuple[Tensor, Tensor]:
        squares = sum((weight / self.limit).square().flatten(1).sum(1) for weight in weights)
        first, *recurrent = weights
        size = torch.full_like(first.flatten(1)[:, 0], first[0].numel() + 1)
        for weight in recurrent:
            existing = torch.ones_like(weight) if mask is None else mask.to(weight)
            size = size + (existing.sum() if self.form == "reference" else existing.sum(1))
        return torch.as_tensor(squares) / size, size


def check_regulariser(owner: str, given: object) -> None:
    """Raise unless it is a regulariser or None.

    Raises:
        TypeError: it is something else.
    """
    if given is not None and not isinstance(given, ExponentialRegulariser):
        raise TypeError(
            f"{owner}: regulariser must be an ExponentialRegulariser or None, got {given!r} ({type(given).__name__}). "
            "Its strength is an argument of its own: ExponentialRegulariser(strength=...)."
        )
