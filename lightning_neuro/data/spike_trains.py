"""What data modules of recorded events share: the raster of steps into which events are binned."""

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from numpy.typing import ArrayLike

from lightning_neuro._lightning import rank_zero_warn
from lightning_neuro.common import checks
from lightning_neuro.data.binned_events import BinnedEvents, Events
from lightning_neuro.data.folder_data import FolderDataModule

WORTH_A_WARNING = 0.01


class SpikeTrainDataModule(FolderDataModule):
    """Data module of labelled lists of events, given as spike trains.

    Batches are `(spikes (T, B, M) bool, labels (B,) int64)`, time first; the dense tensor exists for one batch at a
    time. Several events of a channel within a step become one spike. Events beyond the last step are dropped; the
    data sets count them (`num_events`, `num_dropped`), and a warning tells if they are more than one in a hundred.

    Args:
        num_steps: T.
        time_step: length of a step in seconds.
        duration: length of all steps together in seconds, instead of `time_step`.
        **options: as for `FolderDataModule`.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range, or not exactly one of `time_step` and `duration` is given.
    """

    def __init__(
        self, *, num_steps: int, time_step: float | None = None, duration: float | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        owner = type(self).__name__
        self.num_steps = checks.integer(owner, "num_steps", num_steps, at_least=1)
        if (time_step is None) == (duration is None):
            raise ValueError(
                f"{owner}: exactly one of time_step and duration must be given, got time_step={time_step!r} and "
                f"duration={duration!r}. The other follows from num_steps."
            )
        if duration is None:
            duration = checks.number(owner, "time_step", time_step, at_least=1e-6) * self.num_steps
        # Whole microseconds, so that the borders of the steps are exact.
        self.duration = round(checks.number(owner, "duration", duration, at_least=1e-6) * 1e6)

    @property
    @abstractmethod
    def step_shape(self) -> tuple[int, ...]:
        """Shape of a step of a sample, without time and batch."""

    @property
    def num_features(self) -> int:
        """Number of channels M."""
        return math.prod(self.step_shape)

    def binned(self, events: Iterable[Events], labels: ArrayLike) -> BinnedEvents:
        """Spike trains of lists of events.

        Args:
            events: per sample `(times in whole microseconds, channels)`; may be a generator.
            labels: one whole number per sample.
        """
        trains = BinnedEvents.from_events(
            events, labels, num_steps=self.num_steps, duration=self.duration, shape=self.step_shape
        )
        if trains.num_dropped > WORTH_A_WARNING * trains.num_events:
            rank_zero_warn(
                f"{type(self).__name__}: {trains.num_dropped} of {trains.num_events} events lie beyond "
                f"{self.duration / 1e6:g} s, the end of the {self.num_steps} steps, and are dropped. "
                "Raise num_steps, time_step or duration to keep them."
            )
        return trains
