"""Boosting: samples that were wrong in an epoch weigh more in the next."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lightning_neuro.common import checks

RATE = 1 / 20


def boosted(weights: Tensor, targets: Tensor, correct: Tensor, rate: float = RATE) -> Tensor:
    """Return the weights of the next epoch: those of wrong samples times `exp(rate * err_c)`.

    `err_c` is the weighted share of wrong samples in class c. Nothing is renormalised, as in the authors' code.

    Args:
        weights: (S,) floating.
        targets: (S,) classes.
        correct: (S,) bool.
        rate: how fast weights grow.

    >>> w = boosted(torch.ones(4), torch.tensor([0, 0, 1, 1]), torch.tensor([True, False, True, True]))
    >>> [round(v, 4) for v in w.tolist()]
    [1.0, 1.0253, 1.0, 1.0]
    """
    classes = int(targets.max()) + 1 if len(targets) else 0
    total = weights.new_zeros(classes).index_add_(0, targets, weights)
    wrong = weights.new_zeros(classes).index_add_(0, targets, weights * ~correct)
    error = wrong / total.clamp_min(torch.finfo(weights.dtype).tiny)
    return torch.where(correct, weights, weights * torch.exp(rate * error[targets]))


class Boosting:
    """Weights of a data set's samples over epochs, known by their index.

    Args:
        samples: size of the training set.
        rate: see `boosted`.

    >>> boosting = Boosting(2)
    >>> boosting.record(torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([0, 1]))
    >>> boosting.end_epoch()
    >>> [round(v, 3) for v in boosting.weights(torch.tensor([0, 1])).tolist()]
    [1.0, 1.025]
    """

    def __init__(self, samples: int, *, rate: float = RATE) -> None:
        size = checks.integer("Boosting", "samples", samples, at_least=1)
        self.rate = checks.number("Boosting", "rate", rate, at_least=0)
        self._weights = torch.ones(size)
        self._targets = torch.full((size,), -1, dtype=torch.long)
        self._correct = torch.zeros(size, dtype=torch.bool)

    def weights(self, indices: Tensor) -> Tensor:
        """Return the weights of samples by index, on the device of `indices`.

        Raises:
            TypeError, ValueError: indices that are no integers, or lie outside the data set.
        """
        return self._weights[self._places(indices)].to(indices.device)

    def record(self, indices: Tensor, targets: Tensor, predictions: Tensor) -> None:
        """Note how samples were classified in this epoch."""
        places = self._places(indices)
        self._targets[places] = targets.cpu().long()
        self._correct[places] = (predictions == targets).cpu()

    def end_epoch(self) -> None:
        """Raise the weights of what was wrong; samples that this epoch did not show stay as they are."""
        seen = (self._targets >= 0).nonzero().flatten()
        self._weights[seen] = boosted(self._weights[seen], self._targets[seen], self._correct[seen], self.rate)
        self._targets.fill_(-1)

    def state_dict(self) -> dict[str, Any]:
        """Return weights and the open epoch's record as tensors."""
        return {"weights": self._weights, "targets": self._targets, "correct": self._correct}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state.

        Raises:
            ValueError: it belongs to a data set of another size.
        """
        if len(state["weights"]) != len(self._weights):
            raise ValueError(
                f"Boosting: the state holds {len(state['weights'])} samples, this data set {len(self._weights)}."
            )
        self._weights, self._targets = state["weights"].clone(), state["targets"].clone()
        self._correct = state["correct"].clone()

    def _places(self, indices: Tensor) -> Tensor:
        if indices.is_floating_point() or indices.dtype in (torch.bool, torch.uint8):
            raise TypeError(f"Boosting: indices must be integers, got {indices.dtype}. Convert them with .long().")
        places, size = indices.cpu().long(), len(self._weights)
        if places.numel() and (places.min() < 0 or places.max() >= size):
            raise ValueError(
                f"Boosting: indices must be from 0 to {size - 1}, got {places.min().item()} to {places.max().item()}. "
                "They are places in the training set, and Boosting(samples) takes its size."
            )
        return places
