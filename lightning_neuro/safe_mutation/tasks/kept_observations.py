"""Which observations of an episode become states."""

from collections.abc import Sequence

import torch
from torch import Tensor


class KeptObservations:
    """Keeps the last observations of an episode; for recurrent policies the first, as they start from zero states.

    Args:
        count: how many to keep.
        steps: the steps at which there is one.
        recurrent: whether the policy carries a state.

    >>> kept = KeptObservations(2, range(0, 9, 3), recurrent=False)
    >>> for step in range(9):
    ...     kept.take(step, torch.full((5, 11), float(step)))
    >>> kept.states().shape, kept.states()[0, :, 0].tolist()
    (torch.Size([5, 2, 11]), [3.0, 6.0])
    """

    def __init__(self, count: int, steps: Sequence[int], *, recurrent: bool) -> None:
        first = 0 if recurrent else max(0, len(steps) - count)
        self._steps = set(steps[first : first + count])
        self._recurrent = recurrent
        self._observations: list[Tensor] = []

    def wants(self, step: int) -> bool:
        """Tell whether the observation of this step is kept."""
        return step in self._steps

    def take(self, step: int, observations: Tensor) -> None:
        """Keep observations `(P, *obs)` if they are wanted."""
        if self.wants(step):
            self._observations.append(observations)

    def states(self) -> Tensor | None:
        """Return `(P, S, *obs)`, or segments `(P, T, 1, *obs)` for a recurrent policy; None if nothing was kept."""
        if not self._observations:
            return None
        states = torch.stack(self._observations, dim=1)
        return states[:, :, None] if self._recurrent else states
