"""Spikes counted neuron by neuron, over batches and over processes, some of which may have seen none."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors


class NeuronCounts(Metric):
    """Spikes of each neuron over everything seen; what is made of them is the subclass's `compute`.

    The states are vectors, empty before the first batch, so that processes which saw none can be gathered with others.
    """

    is_differentiable = False
    higher_is_better = False
    # Calling the metric then goes through `update` with all that was seen, which checks the shape.
    full_state_update = True
    spikes: Tensor
    shape: Tensor
    steps: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dist_sync_fn": _gather_from_all, **kwargs})
        self.add_state("spikes", torch.zeros(0, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("shape", torch.zeros(0, dtype=torch.long), dist_reduce_fx=_same_shape)
        self.add_state("steps", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, spikes: Tensor) -> None:
        """Add spikes `(T, B, ...)` of the same neurons as before.

        Raises:
            ValueError: the neurons' shape differs from that of earlier batches, or time or batch is missing.
        """
        check_time_first(self, spikes)
        counts = spikes.count_nonzero(dim=(0, 1))
        self._add(counts.flatten(), counts.shape, spikes.shape[0] * spikes.shape[1])

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add what another metric of this kind, or its states as a dict, has seen.

        Raises:
            ValueError: it is of another kind, or saw neurons of another shape.
        """
        if isinstance(incoming_state, Metric):
            if not isinstance(incoming_state, type(self)):
                raise ValueError(
                    f"{type(self).__name__}: expected a metric of the same class to merge, got "
                    f"{type(incoming_state).__name__}."
                )
            incoming_state = dict(incoming_state.metric_state)
        if incoming_state["steps"]:
            self._add(incoming_state["spikes"], incoming_state["shape"].tolist(), incoming_state["steps"])

    def _add(self, counts: Tensor, shape: Sequence[int], steps: int | Tensor) -> None:
        if not self.steps:
            self.spikes, self.shape = counts, torch.tensor(shape, dtype=torch.long, device=counts.device)
        elif tuple(self.shape.tolist()) != tuple(shape):
            raise ValueError(
                f"{type(self).__name__}: expected neurons of shape {tuple(self.shape.tolist())} as before, got "
                f"{tuple(shape)}. Keep one metric per layer."
            )
        else:
            self.spikes = self.spikes + counts
        self.steps = self.steps + steps


def check_time_first(metric: Metric, spikes: Tensor) -> None:
    """Raise `ValueError` unless spikes have a time and a batch axis."""
    if spikes.dim() < 2:
        raise ValueError(
            f"{type(metric).__name__}: expected spikes (T, B, ...), time first, got {tuple(spikes.shape)}. "
            "Add the missing axis with unsqueeze."
        )


def _gather_from_all(state: Tensor, group: Any = None) -> list[Tensor]:
    """Gather a state from all processes; zeros stand for those that saw no batch."""
    parts: list[Tensor] = gather_all_tensors(state, group)
    sizes = {len(part) for part in parts if part.dim() and len(part)}
    if len(sizes) > 1:
        # All processes see the same sizes, so all raise and none waits.
        raise ValueError(_DIFFERENT)
    return [part.new_zeros(*sizes) if part.dim() and not len(part) else part for part in parts]


def _same_shape(shapes: Tensor) -> Tensor:
    """Return the one shape that all processes `(processes, axes)` saw; rows of 0 saw none."""
    known = shapes[shapes.any(dim=1)]
    if len(known) and (known != known[0]).any():
        raise ValueError(_DIFFERENT)
    return shapes.amax(dim=0)


_DIFFERENT = (
    "DeadNeurons, SaturatedNeurons: expected neurons of the same shape in all processes, got different ones. Keep one "
    "metric per layer."
)
