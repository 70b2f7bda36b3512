"""What is known of a data set of images, and the images as its files hold them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class ImageKind:
    """Facts about a data set.

    Args:
        title: its usual name.
        class_names: one per label.
        image_shape: `(C, H, W)`.
        mean: of the training pixels per channel, after division by `pixel_max`.
        std: likewise.
        pixel_max: the brightest value.
    """

    title: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pixel_max: int = 255


class RawImages(NamedTuple):
    """Images as the files hold them: pixels uint8 `(N, C, H, W)`, labels int64 `(N,)`."""

    pixels: Tensor
    labels: Tensor

    @classmethod
    def from_arrays(cls, pixels: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> "RawImages":
        """Take over arrays `(N, C, H, W)` and `(N,)`."""
        return cls(torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64)))

    def take(self, indices: Tensor) -> "RawImages":
        """The images at `indices`, copied."""
        return RawImages(self.pixels[indices], self.labels[indices])
