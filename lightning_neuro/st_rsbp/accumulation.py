"""Gradients of several batches as if they were one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters


class GradientAccumulation:
    """Keeps `.grad` the mean over all samples of a group of batches, whatever their sizes.

    Args:
        parameters: by name.
        batches: batches in a group.

    >>> import torch
    >>> weight = nn.Parameter(torch.zeros(1))
    >>> group = GradientAccumulation({"w": weight}, batches=2)
    >>> for samples, mean in ((1, 8.0), (3, 4.0)):
    ...     with group.joining(samples):
    ...         weight.grad = torch.tensor([mean])
    >>> weight.grad.item(), group.full
    (5.0, True)
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], batches: int) -> None:
        self.parameters, self.size = dict(parameters), batches
        self.batches = self.samples = 0

    @property
    def full(self) -> bool:
        """Whether the group has all its batches."""
        return self.batches >= self.size

    @contextmanager
    def joining(self, samples: int) -> Iterator[None]:
        """Join the mean gradient of so many samples, which the block writes to `.grad`; an error changes nothing."""
        before = {name: parameter.grad for name, parameter in self.parameters.items()} if self.batches else {}
        self._set({})
        try:
            yield
        except BaseException:
            self._set(before)
            raise
        share = self.samples / (self.samples + samples)
        for name, earlier in before.items():
            gradient = self.parameters[name].grad
            if gradient is not None and earlier is not None:
                gradient.lerp_(earlier, share)
        self.batches, self.samples = self.batches + 1, self.samples + samples

    def average_(self, reduce: Callable[[Tensor], Tensor]) -> None:
        """Replace the gradients by what `reduce` makes of them, all in one vector."""
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        if gradients:
            vector_to_parameters(reduce(parameters_to_vector(gradients)), gradients)

    def close(self) -> None:
        """Begin a new group; `.grad` stays to be looked at until the next batch."""
        self.batches = self.samples = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the open group: numbers and gradients; empty if there is none."""
        if not self.batches:
            return {}
        gradients = {name: p.grad for name, p in self.parameters.items() if p.grad is not None}
        return {"batches": self.batches, "samples": self.samples, "gradients": gradients}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up an open group, once parameters are on their device."""
        self.batches, self.samples = state.get("batches", 0), state.get("samples", 0)
        self._set(state.get("gradients", {}))

    def _set(self, gradients: Mapping[str, Tensor | None]) -> None:
        for name, parameter in self.parameters.items():
            gradient = gradients.get(name)
            parameter.grad = None if gradient is None else gradient.to(parameter)
