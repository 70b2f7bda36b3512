"""The 8x8 digits inside scikit-learn: real images that need neither files nor a network."""

import numpy as np
import torch

from lightning_neuro.data.image_kind import ImageKind, RawImages
from lightning_neuro.data.images import ImageDataModule
from lightning_neuro.data.splits import class_members

DIGITS = ImageKind(
    title="the 8x8 digits of scikit-learn",
    class_names=tuple("0123456789"),
    image_shape=(1, 8, 8),
    mean=(0.3051,),
    std=(0.3762,),
    pixel_max=16,
)
TEST_EVERY = 5


class DigitsData(ImageDataModule):
    """1,797 handwritten digits of 8x8 pixels with 17 grey levels, from `sklearn.datasets.load_digits`.

    There is no official test set. Ours is the same for everybody and every seed: of each class, in the order of the
    source, every fifth image (355 in all); the other 1,442 are for training and validation.

    The options are those of `ImageDataModule`.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.

    >>> data = DigitsData(val_size=142)
    >>> data.setup("fit")
    >>> len(data.train_set), len(data.val_set), data.image_shape
    (1300, 142, (1, 8, 8))
    """

    @property
    def kind(self) -> ImageKind:
        """Facts about the digits."""
        return DIGITS

    def prepare_data(self) -> None:
        """Check that scikit-learn is there."""
        _load_digits()

    def read_images(self, *, train: bool) -> RawImages:
        """Read the training or the test part."""
        pixels, labels = _load_digits()
        everything = RawImages.from_arrays(pixels.astype(np.uint8)[:, None], labels)
        in_test = torch.zeros(len(labels), dtype=torch.bool)
        for members in class_members(everything.labels):
            in_test[members[TEST_EVERY - 1 :: TEST_EVERY]] = True
        return everything.take((in_test != train).nonzero().flatten())


def _load_digits() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ModuleNotFoundError(
            "DigitsData: the digits are embedded in scikit-learn, which is not installed. "
            "Install it with: pip install lightning-neuro[data]"
        ) from error
    digits = load_digits()
    return digits.images, digits.target
