"""CIFAR-10 from the pickled batches in which it is published, read without running what a pickle may hide."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from lightning_neuro.data.errors import bad_format, not_found
from lightning_neuro.data.folders import data_root
from lightning_neuro.data.image_kind import ImageKind, RawImages
from lightning_neuro.data.images import ImageDataModule
from lightning_neuro.data.restricted_pickle import load_arrays

FOLDER = "cifar-10-batches-py"
FILES = {True: tuple(f"data_batch_{number}" for number in range(1, 6)), False: ("test_batch",)}
# Mean and std are the constants in general use; no CIFAR-10 was at hand to compute them from.
CIFAR10 = ImageKind(
    title="CIFAR-10",
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    image_shape=(3, 32, 32),
    mean=(0.4914, 0.4822, 0.4465),
    std=(0.2470, 0.2435, 0.2616),
)


class Cifar10Data(ImageDataModule):
    """CIFAR-10: 50,000 training and 10,000 test colour images of 32x32 pixels in 10 classes.

    Reads `<root>/cifar-10-batches-py/data_batch_1..5` and `test_batch`, the "python version" of the distribution.
    These are pickles, which could execute code; a restricted reader admits arrays of bytes, lists, dicts, text and
    numbers, and nothing that runs. Nothing is downloaded.

    Args:
        root: folder of the data sets; None means `$LIGHTNING_NEURO_DATA`, else `./data`.
        **options: as for `ImageDataModule`.

    Raises:
        DataNotFoundError: not all six files are there.
        DataFormatError: a file is damaged, or holds something else than images and labels.

    >>> Cifar10Data().image_shape
    (3, 32, 32)
    """

    def __init__(self, root: str | os.PathLike[str] | None = None, **options: Any) -> None:
        root = None if root is None else os.fspath(root)  # a checkpoint holds plain types only
        super().__init__(**options)
        self.root = root

    @property
    def kind(self) -> ImageKind:
        """Facts about CIFAR-10."""
        return CIFAR10

    def prepare_data(self) -> None:
        """Check that the files are there."""
        self._folder()

    def read_images(self, *, train: bool) -> RawImages:
        """Read the training batches or the test batch."""
        folder = self._folder()
        pixels, labels = zip(*(read_batch(folder / name) for name in FILES[train]), strict=True)
        return RawImages.from_arrays(np.concatenate(pixels), np.concatenate(labels))

    def _folder(self) -> Path:
        folder = data_root(self.root) / FOLDER
        names = [*FILES[True], *FILES[False]]
        lacking = [name for name in names if not (folder / name).is_file()]
        if lacking:
            raise not_found(
                "Cifar10Data",
                CIFAR10.title,
                expected=names,
                tried={folder: lacking},
                obtain="unpack cifar-10-python.tar.gz of https://www.cs.toronto.edu/~kriz/cifar.html there.",
                instead="DigitsData, whose images are embedded in scikit-learn (pip install lightning-neuro[data]).",
            )
        return folder


def read_batch(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 `(N, 3, 32, 32)` and labels `(N,)` of one batch file.

    Raises:
        DataFormatError: the file is damaged, or holds something else.
    """
    content = load_arrays(file.read_bytes(), file)
    pixels, labels = content.get("data"), content.get("labels")
    size = int(np.prod(CIFAR10.image_shape))
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != size:
        raise bad_format(file, "data", f"an array (N, {size}) of bytes", _described(pixels))
    if not len(pixels):
        raise bad_format(file, "number of images", "at least 1", 0)
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise bad_format(file, "labels", f"a list of {len(pixels)}", _described(labels))
    classes = len(CIFAR10.class_names)
    wrong = [label for label in labels if type(label) is not int or not 0 <= label < classes]
    if wrong:
        raise bad_format(file, "labels", f"integers from 0 to {classes - 1}", repr(wrong[0]))
    return pixels.reshape(-1, *CIFAR10.image_shape), np.array(labels)


def _described(value: Any) -> str:
    if value is None:
        return "nothing"
    size = getattr(value, "shape", None) or (len(value) if hasattr(value, "__len__") else value)
    return f"{type(value).__name__} {size}"
