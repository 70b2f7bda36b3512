"""What data modules of speech share: sound to spikes by the ear, group by group, and the file that keeps them."""

import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor

from lightning_neuro.data.binned_events import BinnedEvents, Events
from lightning_neuro.data.folder_data import FolderDataModule
from lightning_neuro.data.spike_cache import load_trains, save_trains
from lightning_neuro.spiking.encoding import SpeechEncoder

SAMPLE_RATE = 12500
GROUP = 32  # clips encoded at once
ENCODING = 1  # to be raised when the same sound becomes other spikes, so that files kept before are made anew


class SpeechDataModule(FolderDataModule):
    """Data module of spoken words as spikes: Lyon's ear, then Ben's Spiker Algorithm, as `SpeechEncoder` does it.

    Batches are `(spikes (T, B, 78) bool, labels (B,) int64)`, time first.

    Args:
        num_steps: T, of 1.6 ms each with the default `hold`.
        hold: as for `SpeechEncoder`.
        gain: as for `SpeechEncoder`.
        cache_dir: folder of files that keep the spikes. They are made by `prepare_data`, in one process, and made anew
            when the sounds or options change.
        **options: as for `FolderDataModule`.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        *,
        num_steps: int = 700,
        hold: int = 10,
        gain: float = 2000.0,
        cache_dir: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.encoder = SpeechEncoder(num_steps=num_steps, hold=hold, gain=gain)
        self.cache_dir = None if cache_dir is None else os.fspath(cache_dir)
        self.hparams["cache_dir"] = self.cache_dir  # a checkpoint holds plain types only

    @property
    def num_features(self) -> int:
        """Number of channels, 78."""
        return self.encoder.ear.num_channels

    @property
    def cache_folder(self) -> Path | None:
        """Folder of the files that keep the spikes; None if none are kept."""
        return None if self.cache_dir is None else Path(self.cache_dir).expanduser()

    @abstractmethod
    def clips(self, *, train: bool) -> tuple[Iterable[Tensor], list[int]]:
        """Sounds `(L,)` at 12.5 kHz, made or read one by one, and their labels."""

    @abstractmethod
    def fingerprint(self, *, train: bool) -> str | None:
        """What the sounds depend on besides the options; None if that cannot be told here."""

    @abstractmethod
    def sound_options(self) -> dict[str, Any]:
        """The options that the sounds depend on."""

    def prepare_data(self) -> None:
        """Make sure that both parts are in the cache, if there is to be one."""
        if self.cache_folder is not None:
            for train in (True, False):
                self._kept(train)

    def read_samples(self, *, train: bool) -> BinnedEvents:
        """Read the training or test words, from the cache if there is one."""
        return self._encoded(train) if self.cache_folder is None else self._kept(train)

    def _kept(self, train: bool) -> BinnedEvents:
        file, fingerprint = self._cache_file(train), self.fingerprint(train=train)
        trains = load_trains(file, fingerprint)
        if trains is None:
            trains = self._encoded(train)
            save_trains(file, trains, fingerprint or "")
        return trains

    def _encoded(self, train: bool) -> BinnedEvents:
        clips, labels = self.clips(train=train)
        steps = self.encoder.num_steps
        shape = (self.num_features,)
        return BinnedEvents.from_events(self._events(clips), labels, num_steps=steps, duration=steps, shape=shape)

    def _events(self, clips: Iterable[Tensor]) -> Iterator[Events]:
        remaining = iter(clips)
        while group := list(islice(remaining, GROUP)):
            for spikes in self.encoder(group).unbind(1):
                steps, channels = spikes.nonzero().numpy().T
                yield steps, channels

    def _cache_file(self, train: bool) -> Path:
        encoder = self.encoder
        options = [ENCODING, encoder.num_steps, encoder.hold, encoder.gain, self.sound_options()]
        digest = hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:12]
        part = "train" if train else "test"
        folder = self.cache_folder or Path()
        return folder / f"{type(self).__name__}-{part}-{digest}.pt"
