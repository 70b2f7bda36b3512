"""What a Trainer iterates over where evolution needs no data."""

from collections.abc import Iterator
from typing import Any


class NoBatch:
    """Stands where a batch would be: Lightning skips a step whose batch is None."""


class Generations:
    """One epoch of `length` generations; a checkpoint in the midst of it goes on where it was.

    Not a DataLoader, so that no distributed sampler deals its steps out to processes.

    >>> len(list(Generations(10)))
    10
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self._given = 0
        self._resume_at = 0

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[NoBatch]:
        self._given, self._resume_at = self._resume_at, 0
        while self._given < self.length:
            self._given += 1
            yield NoBatch()

    def state_dict(self) -> dict[str, Any]:
        """Return how many generations of this epoch were begun."""
        return {"given": self._given}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Skip these in the next epoch that is begun."""
        self._resume_at = state_dict["given"] % self.length
