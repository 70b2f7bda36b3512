"""A training loader whose order is a function of seed and epoch, and which a checkpoint can interrupt."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader


class ResumableLoader(DataLoader[Any]):
    """DataLoader that goes on after the last batch it gave when a checkpoint is resumed in mid-epoch.

    Lightning stores `state_dict()` with the checkpoint and hands it back. The sampler must know its `epoch` (as
    `torch.utils.data.DistributedSampler` does) and follow it; with another sampler every pass starts at the front.
    """

    _given: int = 0
    _epoch: int | None = None
    _resume_at: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Epoch of the latest pass and how many of its batches were given."""
        return {"epoch": self._epoch, "batches": self._given}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Skip, in the first pass of the stored epoch, the batches given before."""
        self._resume_at = dict(state_dict)

    # A generator, because Lightning asks for the iterator before it tells the sampler the epoch of a resumed run.
    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self._epoch = getattr(self.sampler, "epoch", None)
        resume_at, self._resume_at = self._resume_at, None
        self._given = 0
        if resume_at is not None and self._epoch is not None and resume_at["epoch"] == self._epoch:
            self._given = resume_at["batches"]
        for batch in islice(super().__iter__(), self._given, None):
            # Not by setattr: Lightning notes down every one, for good after an error in the midst of making loaders.
            vars(self)["_given"] += 1
            yield batch
