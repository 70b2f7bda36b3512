"""Images kept as bytes and turned into numbers a whole batch at a time."""

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor
from torch.utils.data import Dataset


class LabelledImages(Dataset[tuple[Tensor, Tensor]]):
    """Data set of images `(C, H, W)` or `(C*H*W,)` in float32 and of labels in int64.

    A pixel p becomes `(p - shift) / spread`, each a number per channel.

    Args:
        pixels: uint8 `(N, C, H, W)`.
        labels: int64 `(N,)`.
        shift: subtracted from the pixels, `(C,)`, in units of a pixel.
        spread: divides the difference, `(C,)`, in units of a pixel.
        flatten: give vectors instead of images.

    >>> pixels = torch.tensor([[[[0, 255]]]], dtype=torch.uint8)
    >>> images = LabelledImages(pixels, torch.tensor([3]), shift=[0.0], spread=[255.0], flatten=True)
    >>> images[0]
    (tensor([0., 1.]), tensor(3))
    """

    def __init__(
        self, pixels: Tensor, labels: Tensor, *, shift: Sequence[float], spread: Sequence[float], flatten: bool = False
    ) -> None:
        self.pixels = pixels
        self.labels = labels
        self.shift = torch.tensor(shift, dtype=torch.float32).reshape(-1, 1, 1)
        self.spread = torch.tensor(spread, dtype=torch.float32).reshape(-1, 1, 1)
        self.flatten = flatten

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, labels = self.batch([index])
        return images[0], labels[0]

    def take(self, indices: Tensor) -> "LabelledImages":
        """The samples at `indices`; their pixels are copied."""
        part = copy(self)
        part.pixels, part.labels = self.pixels[indices], self.labels[indices]
        return part

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Images `(B, ...)` and labels `(B,)` at the given places."""
        chosen = torch.as_tensor(indices)
        images = self.pixels[chosen].to(torch.float32).sub_(self.shift).div_(self.spread)
        return images.flatten(1) if self.flatten else images, self.labels[chosen]


class WholeBatches(Dataset[tuple[Tensor, Tensor] | Tensor]):
    """View of `LabelledImages` that gives a DataLoader a finished batch instead of a list of samples.

    It needs `collate_fn=as_is`. Kept apart from `LabelledImages` so that those work in any DataLoader.

    Args:
        images: what to look at.
        with_labels: False leaves the labels out, as `predict_step` wants it.
    """

    def __init__(self, images: LabelledImages, *, with_labels: bool = True) -> None:
        self.images = images
        self.with_labels = with_labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor] | Tensor:
        image, label = self.images[index]
        return (image, label) if self.with_labels else image

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor] | Tensor:
        """Return the batch at `indices`; PyTorch's DataLoader prefers this to one call per sample."""
        images, labels = self.images.batch(indices)
        return (images, labels) if self.with_labels else images


def as_is(batch: tuple[Tensor, Tensor] | Tensor) -> tuple[Tensor, Tensor] | Tensor:
    """Collate function for batches that are finished already."""
    return batch
