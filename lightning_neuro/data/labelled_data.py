"""What data modules of labelled samples share, whatever a sample is: split, order of training, loaders, resuming."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from lightning_neuro._lightning import LightningDataModule, Trainer, check_same_root
from lightning_neuro.common import checks
from lightning_neuro.data.labelled_images import WholeBatches, as_is
from lightning_neuro.data.resumable_loader import ResumableLoader
from lightning_neuro.data.splits import stratified_order


class LabelledSamples(Protocol):
    """What `LabelledDataModule` needs of a data set: `LabelledImages`, `BinnedEvents` and `LabelledSeries` have it."""

    labels: Tensor

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...

    def take(self, indices: Tensor) -> Self:
        """The samples at `indices`."""

    def batch(self, indices: Sequence[int]) -> tuple[Any, Tensor]:
        """Inputs, time first if they have time, and labels `(B,)` at the given places."""


class LabelledDataModule(LightningDataModule, ABC):
    """Data module of labelled samples that are on disk or embedded in a package.

    The validation set is carved from the training samples, stratified, by `seed` alone; the test set stays untouched
    until `test` or `predict`. The order of the training batches is a function of seed and epoch, also under several
    processes, so a resumed run sees the batches that it would have seen without the interruption. Batches are
    `(inputs, labels (B,) int64)`; `predict` gives the test inputs without labels, ready for Lightning's default
    `predict_step`. Where inputs have time, it is their first axis, so log with `batch_size=len(labels)`.

    Args:
        batch_size: samples per batch and process.
        val_size: validation samples: a count, or a fraction of the training samples below 1. 0 means none.
        seed: of the split and of the order of training.
        num_workers: worker processes per loader.
        pin_memory: copy batches to page-locked memory, for a GPU.
        limit: train on this many samples only, a stratified choice of those outside the validation set.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        *,
        batch_size: int = 64,
        val_size: int | float = 0.1,
        seed: int = 0,
        num_workers: int = 0,
        pin_memory: bool = False,
        limit: int | None = None,
    ) -> None:
        super().__init__()
        # Checkpoints keep the options; loggers do not, lest a `seed` of the model collide with ours.
        self.save_hyperparameters(logger=False)
        owner = type(self).__name__
        self.batch_size = checks.integer(owner, "batch_size", batch_size, at_least=1)
        self.val_size = _checked_size(owner, val_size)
        self.seed = checks.integer(owner, "seed", seed, at_least=0)
        self.num_workers = checks.integer(owner, "num_workers", num_workers, at_least=0)
        self.pin_memory = pin_memory
        self.limit = None if limit is None else checks.integer(owner, "limit", limit, at_least=1)
        self.train_set: Any = None
        self.val_set: Any = None
        self.test_set: Any = None
        self._resume_at: dict[str, Any] | None = None

    # A Trainer attaches itself before it calls any hook, so a foreign one is told here, ahead of obscurer errors.
    @property
    def trainer(self) -> Trainer | None:
        """The Trainer at work, if any."""
        return self._trainer

    @trainer.setter
    def trainer(self, trainer: Trainer | None) -> None:
        if trainer is not None:
            check_same_root(type(self).__name__, trainer)
        self._trainer = trainer

    @property
    @abstractmethod
    def title(self) -> str:
        """The data set's usual name."""

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label."""

    @property
    @abstractmethod
    def num_features(self) -> int:
        """Number of values in a sample, or in a step of it where it has time."""

    @abstractmethod
    def read_samples(self, *, train: bool) -> LabelledSamples:
        """Read the official training or test samples."""

    def read_validation(self) -> LabelledSamples | None:
        """Read the official validation samples, if the data set has some and they are wanted."""
        return None

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def setup(self, stage: str | None = None) -> None:
        """Load what a stage needs, once.

        Args:
            stage: "fit", "validate", "test" or "predict"; None loads everything.
        """
        self._resume_at = None  # a Trainer restores a checkpoint after this: what is here belongs to an earlier run
        if stage in (None, "fit", "validate") and self.train_set is None:
            samples = self.read_samples(train=True)
            train, val = self._split(samples.labels)
            official = self.read_validation()
            self.val_set = samples.take(val) if official is None else official
            self.train_set = samples.take(train)
        if stage in (None, "test", "predict") and self.test_set is None:
            self.test_set = self.read_samples(train=False)

    def teardown(self, stage: str | None = None) -> None:
        """Forget where a checkpoint stood; the samples are kept.

        Args:
            stage: ignored.
        """
        self._resume_at = None

    def state_dict(self) -> dict[str, Any]:
        """Epoch of the Trainer's training loader and how many of its batches were given; empty without one."""
        loader = None if self.trainer is None else self.trainer.train_dataloader
        return loader.state_dict() if isinstance(loader, ResumableLoader) else {}

    # Lightning brings the same state to the loader itself, but too late if the module asks how many steps training
    # will take (OneCycleLR does): then the loader is made before the loops are restored, and it is passed over.
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next training loader go on where the checkpoint was written."""
        self._resume_at = dict(state_dict)

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled batches; each process of a distributed run gets its share."""
        samples = self._batches("train_set")
        shares = (self.trainer.distributed_sampler_kwargs if self.trainer is not None else None) or {}
        # DistributedSampler is PyTorch's own "order by seed and epoch", useful also for a single process. It adds
        # seed and epoch, so neighbouring seeds are first spread apart.
        seed = int(np.random.SeedSequence(self.seed).generate_state(1)[0])
        shares = {"num_replicas": 1, "rank": 0} | shares
        sampler: DistributedSampler[Any] = DistributedSampler(samples, **shares, shuffle=True, seed=seed)
        loader = ResumableLoader(samples, sampler=sampler, **self._loader_options())
        if self._resume_at is not None:
            loader.load_state_dict(self._resume_at)
            self._resume_at = None
        return loader

    def val_dataloader(self) -> DataLoader[Any]:
        """Validation batches."""
        return DataLoader(self._batches("val_set"), **self._loader_options())

    def test_dataloader(self) -> DataLoader[Any]:
        """Test batches."""
        return DataLoader(self._batches("test_set"), **self._loader_options())

    def predict_dataloader(self) -> DataLoader[Any]:
        """Test inputs without labels."""
        return DataLoader(self._batches("test_set", with_labels=False), **self._loader_options())

    def _split(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Indices of the training and of the validation samples."""
        total, owner = len(labels), type(self).__name__
        val = self.val_size if isinstance(self.val_size, int) else round(self.val_size * total)
        wanted = 1 if self.limit is None else self.limit
        if val + wanted > total:
            raise ValueError(
                f"{owner}: val_size and limit must fit into the {total} training samples of {self.title}, "
                f"got {val} for validation and at least {wanted} for training. Lower one of them."
            )
        order = stratified_order(labels, torch.Generator().manual_seed(self.seed))
        return order[val:][: self.limit], order[:val]

    def _batches(self, name: str, *, with_labels: bool = True) -> WholeBatches:
        samples = getattr(self, name)
        if samples is None:
            stage = "test" if name == "test_set" else "fit"
            raise RuntimeError(
                f"{type(self).__name__}: no samples yet. Call setup({stage!r}) first, as a Trainer does."
            )
        return WholeBatches(samples, with_labels=with_labels)

    def _loader_options(self) -> dict[str, Any]:
        return {
            "batch_size": self.batch_size,
            "num_workers": self.num_workers,
            "pin_memory": self.pin_memory,
            "collate_fn": as_is,
        }


def _checked_size(owner: str, size: int | float) -> int | float:
    if isinstance(size, float):
        return checks.number(owner, "val_size (a fraction)", size, at_least=0, below=1)
    return checks.integer(owner, "val_size", size, at_least=0)
