"""What image data modules share: facts about the images, their normalisation and shape."""

from abc import abstractmethod

from lightning_neuro.data.image_kind import ImageKind, RawImages
from lightning_neuro.data.labelled_data import LabelledDataModule
from lightning_neuro.data.labelled_images import LabelledImages


class ImageDataModule(LabelledDataModule):
    """Data module of labelled images: batches are `(images (B, C, H, W) float32, labels (B,) int64)`.

    Split, order of training and resuming are those of `LabelledDataModule`.

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

    train_set: LabelledImages | None
    val_set: LabelledImages | None
    test_set: LabelledImages | None

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
        super().__init__(
            batch_size=batch_size,
            val_size=val_size,
            seed=seed,
            num_workers=num_workers,
            pin_memory=pin_memory,
            limit=limit,
        )
        self.flatten = flatten
        self.normalize = normalize

    @property
    @abstractmethod
    def kind(self) -> ImageKind:
        """Facts about the data set."""

    @abstractmethod
    def read_images(self, *, train: bool) -> RawImages:
        """Read the official training or test images."""

    @property
    def title(self) -> str:
        """The data set's usual name."""
        return self.kind.title

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

    def read_samples(self, *, train: bool) -> LabelledImages:
        """Read the official training or test images, ready to be normalised and shaped as the options say."""
        raw, kind, top = self.read_images(train=train), self.kind, self.kind.pixel_max
        mean, std = (kind.mean, kind.std) if self.normalize else ((0.0,), (1.0,))
        shift, spread = [value * top for value in mean], [value * top for value in std]
        return LabelledImages(raw.pixels, raw.labels, shift=shift, spread=spread, flatten=self.flatten)
