"""Which observations of an episode become states."""

from collections.abc import Sequence

import torch
from torch import Tensor


class KeptObservations:
    """Keeps the last observations of an episode; for recurrent policies the first, as they start from zero states.

    Args:
        count: how many to keep per individual.
        steps: the steps at which there are some.
        recurrent: whether the policy carries a state.
        batch: B, observations per individual and step.

    >>> kept = KeptObservations(2, range(0, 9, 3), recurrent=False)
    >>> for step in range(9):
    ...     kept.take(step, torch.full((5, 1, 11), float(step)))
    >>> kept.states().shape, kept.states()[0, :, 0].tolist()
    (torch.Size([5, 2, 11]), [3.0, 6.0])
    """

    def __init__(self, count: int, steps: Sequence[int], *, recurrent: bool, batch: int = 1) -> None:
        moments = min(len(steps), count if recurrent else -(-count // batch))
        self._steps = set(steps[:moments] if recurrent else steps[len(steps) - moments :])
        self._lanes = min(batch, max(1, count // max(1, moments))) if recurrent else batch
        self._count = count
        self._recurrent = recurrent
        self._observations: list[Tensor] = []

    def wants(self, step: int) -> bool:
        """Tell whether the observations of this step are kept."""
        return step in self._steps

    def take(self, step: int, observations: Tensor) -> None:
        """Keep observations `(P, B, *obs)` if they are wanted."""
        if self.wants(step):
            self._observations.append(observations[:, : self._lanes])

    def states(self) -> Tensor | None:
        """Return `(P, S, *obs)`, or segments `(P, T, S, *obs)` for a recurrent policy; None if nothing was kept."""
        if not self._observations:
            return None
        states = torch.stack(self._observations, dim=1)
        return states if self._recurrent else states.flatten(1, 2)[:, -self._count :]
