"""Images by name, or whichever are at hand."""

import os
from typing import Any, Literal

from lightning_neuro._lightning import rank_zero_info
from lightning_neuro.common import checks
from lightning_neuro.data.cifar10 import Cifar10Data
from lightning_neuro.data.digits import DigitsData
from lightning_neuro.data.errors import DataNotFoundError
from lightning_neuro.data.idx_images import IdxImageData
from lightning_neuro.data.idx_sets import idx_folder
from lightning_neuro.data.images import ImageDataModule

NAMES = ("auto", "fashion_mnist", "mnist", "cifar10", "digits")


def image_data(
    name: Literal["auto", "fashion_mnist", "mnist", "cifar10", "digits"] = "auto",
    *,
    root: str | os.PathLike[str] | None = None,
    **options: Any,
) -> ImageDataModule:
    """Build the data module for a data set.

    Args:
        name: a data set, which is then used or missed loudly; or "auto": Fashion-MNIST if it is on disk, else the
            digits inside scikit-learn. What "auto" took is printed. Like `IdxImageData("auto")`, it does not
            consider files in `root` itself.
        root: folder of the data sets; None means `$LIGHTNING_NEURO_DATA`, else `./data`.
        **options: as for `ImageDataModule`.

    Raises:
        ValueError: the name is not known.

    >>> image_data("digits").num_features
    64
    """
    checks.choice("image_data", "name", name, NAMES)
    if name == "auto":
        return _at_hand(root, options)
    if name == "digits":
        return DigitsData(**options)
    if name == "cifar10":
        return Cifar10Data(root=root, **options)
    return IdxImageData(name, root=root, **options)


def _at_hand(root: str | os.PathLike[str] | None, options: dict[str, Any]) -> ImageDataModule:
    try:
        folder = idx_folder("fashion_mnist", root, owner="image_data", flat=False)
    except DataNotFoundError:
        rank_zero_info("image_data: found no Fashion-MNIST on disk, using the 8x8 digits of scikit-learn.")
        return DigitsData(**options)
    rank_zero_info(f"image_data: using Fashion-MNIST from {folder}.")
    # The very folder that was found: files in `root` itself could be those of MNIST, which have the same names.
    return IdxImageData("fashion_mnist", root=folder, **options)
