"""What all image data modules share: splits, normalisation, loaders."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from lightning_neuro._lightning import LightningDataModule, Trainer, check_same_root
from lightning_neuro.common import checks
from lightning_neuro.data.image_kind import ImageKind, RawImages
from lightning_neuro.data.labelled_images import LabelledImages, WholeBatches, as_is
from lightning_neuro.data.resumable_loader import ResumableLoader
from lightning_neuro.data.splits import stratified_order


class ImageDataModule(LightningDataModule, ABC):
    """Data module of labelled images that are on disk or embedded in a package.

    The validation set is carved from the training images, stratified, by `seed` alone; the test set stays untouched
    until `test` or `predict`. The order of the training batches is a function of seed and epoch, also under several
    processes, so a resumed run sees the batches that it would have seen without the interruption. Batches are
    `(images (B, C, H, W) float32, labels (B,) int64)`; `predict` gives the test images without labels, ready for
    Lightning's default `predict_step`.

    Args:
        batch_size: images per batch and process.
        val_size: validation images: a count, or a fraction of the training images below 1. 0 means none.
        seed: of the split and of the order of training.
        num_workers: worker processes per loader. Images are in memory, so 0 is usually fastest.
        pin_memory: copy batches to page-locked memory, for a GPU.
        flatten: give vectors `(B, C*H*W)`.
        normalize: bring the pixels to mean 0 and std 1 by the constants of the training set; otherwise to 0..1.
        limit: train on this many images only, a stratified choice of those outside the validation set.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        *,
        batch_size: int = 128,
        val_size: int | float = 0.1,
        seed: int = 0,
        num_workers: int = 0,
        pin_memory: bool = False,
        flatten: bool = False,
        normalize: bool = True,
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
        self.flatten = flatten
        self.normalize = normalize
        self.limit = None if limit is None else checks.integer(owner, "limit", limit, at_least=1)
        self.train_set: LabelledImages | None = None
        self.val_set: LabelledImages | None = None
        self.test_set: LabelledImages | None = None
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
    def kind(self) -> ImageKind:
        """Facts about the data set."""

    @abstractmethod
    def read_images(self, *, train: bool) -> RawImages:
        """Read the official training or test images."""

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return self.kind.class_names

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape `(C, H, W)` of an image, whether or not it is given flattened."""
        return self.kind.image_shape

    @property
    def num_features(self) -> int:
        """Number of values in an image."""
        channels, height, width = self.image_shape
        return channels * height * width

    def setup(self, stage: str | None = None) -> None:
        """Load what a stage needs, once.

        Args:
            stage: "fit", "validate", "test" or "predict"; None loads everything.
        """
        self._resume_at = None  # a Trainer restores a checkpoint after this: what is here belongs to an earlier run
        if stage in (None, "fit", "validate") and self.train_set is None:
            raw = self.read_images(train=True)
            train, val = self._split(raw.labels)
            self.train_set, self.val_set = self._ready(raw.take(train)), self._ready(raw.take(val))
        if stage in (None, "test", "predict") and self.test_set is None:
            self.test_set = self._ready(self.read_images(train=False))

    def teardown(self, stage: str | None = None) -> None:
        """Forget where a checkpoint stood; the images are kept.

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
        images = WholeBatches(self._loaded("train_set"))
        shares = (self.trainer.distributed_sampler_kwargs if self.trainer is not None else None) or {}
        # DistributedSampler is PyTorch's own "order by seed and epoch", useful also for a single process. It adds
        # seed and epoch, so neighbouring seeds are first spread apart.
        seed = int(np.random.SeedSequence(self.seed).generate_state(1)[0])
        shares = {"num_replicas": 1, "rank": 0} | shares
        sampler: DistributedSampler[Any] = DistributedSampler(images, **shares, shuffle=True, seed=seed)
        loader = ResumableLoader(images, sampler=sampler, **self._loader_options())
        if self._resume_at is not None:
            loader.load_state_dict(self._resume_at)
            self._resume_at = None
        return loader

    def val_dataloader(self) -> DataLoader[Any]:
        """Validation batches."""
        return DataLoader(WholeBatches(self._loaded("val_set")), **self._loader_options())

    def test_dataloader(self) -> DataLoader[Any]:
        """Test batches."""
        return DataLoader(WholeBatches(self._loaded("test_set")), **self._loader_options())

    def predict_dataloader(self) -> DataLoader[Any]:
        """Test images without labels."""
        return DataLoader(WholeBatches(self._loaded("test_set"), with_labels=False), **self._loader_options())

    def _split(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Indices of the training and of the validation images."""
        total, owner = len(labels), type(self).__name__
        val = self.val_size if isinstance(self.val_size, int) else round(self.val_size * total)
        wanted = 1 if self.limit is None else self.limit
        if val + wanted > total:
            raise ValueError(
                f"{owner}: val_size and limit must fit into the {total} training images of {self.kind.title}, "
                f"got {val} for validation and at least {wanted} for training. Lower one of them."
            )
        order = stratified_order(labels, torch.Generator().manual_seed(self.seed))
        return order[val:][: self.limit], order[:val]

    def _ready(self, raw: RawImages) -> LabelledImages:
        kind, top = self.kind, self.kind.pixel_max
        mean, std = (kind.mean, kind.std) if self.normalize else ((0.0,), (1.0,))
        shift, spread = [value * top for value in mean], [value * top for value in std]
        return LabelledImages(raw.pixels, raw.labels, shift=shift, spread=spread, flatten=self.flatten)

    def _loaded(self, name: str) -> LabelledImages:
        images = getattr(self, name)
        if images is None:
            stage = "test" if name == "test_set" else "fit"
            raise RuntimeError(f"{type(self).__name__}: no images yet. Call setup({stage!r}) first, as a Trainer does.")
        return images

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
