"""Data module of MNIST and Fashion-MNIST, from the IDX files in which both are published."""

import os
from pathlib import Path
from typing import Any, Literal

from lightning_neuro._lightning import rank_zero_info
from lightning_neuro.common import checks
from lightning_neuro.data.errors import bad_format
from lightning_neuro.data.idx import parse_idx, read_bytes
from lightning_neuro.data.idx_sets import FILES, KINDS, candidates, check_digest, first_idx_folder, idx_folder
from lightning_neuro.data.image_kind import ImageKind, RawImages
from lightning_neuro.data.images import ImageDataModule


class IdxImageData(ImageDataModule):
    """Fashion-MNIST or MNIST: 60,000 training and 10,000 test images of 28x28 pixels in 10 classes.

    The four files, plain or gzipped, are looked for in `<root>/FashionMNIST/raw` or `<root>/MNIST/raw`, in `<root>`
    itself, and for Fashion-MNIST where Debian's package `dataset-fashion-mnist` installs them. Nothing is downloaded.

    Args:
        dataset: "fashion_mnist", "mnist", or "auto": Fashion-MNIST if it is there, else MNIST; which one is printed.
            The files of both have the same names, so "auto" does not consider those in `<root>` itself.
        root: folder of the data sets; None means `$LIGHTNING_NEURO_DATA`, else `./data`.
        verify: compare the decompressed files with the digests of the published ones. Those of MNIST are not known
            here: for it, only Fashion-MNIST in its place is noticed.
        **options: as for `ImageDataModule`.

    Raises:
        DataNotFoundError: not all of the four files are there.
        DataFormatError: a file is damaged, or is not what its name says.

    >>> IdxImageData("fashion_mnist").class_names[9]
    'Ankle boot'
    """

    def __init__(
        self,
        dataset: Literal["auto", "fashion_mnist", "mnist"] = "auto",
        *,
        root: str | os.PathLike[str] | None = None,
        verify: bool = False,
        **options: Any,
    ) -> None:
        root = None if root is None else os.fspath(root)  # a checkpoint holds plain types only
        super().__init__(**options)
        self.dataset = checks.choice("IdxImageData", "dataset", dataset, ["auto", *KINDS])
        self.root = root
        self.verify = verify

    @property
    def kind(self) -> ImageKind:
        """Facts about the data set; "auto" looks at the disk to know which."""
        return KINDS[self._found()[0] if self.dataset == "auto" else self.dataset]

    def prepare_data(self) -> None:
        """Check that the files are there; "auto" tells which it uses."""
        name, folder = self._found()
        if self.dataset == "auto":
            rank_zero_info(f"IdxImageData: using {KINDS[name].title} from {folder}.")

    def read_images(self, *, train: bool) -> RawImages:
        """Read the training or the test files."""
        name, folder = self._found()
        image_file, label_file = (candidates(folder, file)[0] for file in FILES[train])
        pixels = parse_idx(self._content(name, image_file), image_file, ndim=3)
        labels = parse_idx(self._content(name, label_file), label_file, ndim=1)
        kind = KINDS[name]
        if pixels.shape[1:] != kind.image_shape[1:]:
            raise bad_format(image_file, "image size", kind.image_shape[1:], pixels.shape[1:])
        if not len(pixels):
            raise bad_format(image_file, "number of images", "at least 1", 0)
        if len(labels) != len(pixels):
            raise bad_format(label_file, "number of labels", f"{len(pixels)} as in {image_file.name}", len(labels))
        if labels.max() >= len(kind.class_names):
            raise bad_format(label_file, "labels", f"below {len(kind.class_names)}", int(labels.max()))
        return RawImages.from_arrays(pixels[:, None], labels)

    def _found(self) -> tuple[str, Path]:
        if self.dataset == "auto":
            return first_idx_folder(self.root, owner="IdxImageData")
        return self.dataset, idx_folder(self.dataset, self.root, owner="IdxImageData")

    def _content(self, name: str, file: Path) -> bytes:
        content = read_bytes(file)
        if self.verify:
            check_digest(name, file, content)
        return content
