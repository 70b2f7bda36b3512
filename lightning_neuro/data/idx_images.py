"""MNIST and Fashion-MNIST from the IDX files in which both are published."""

import hashlib
import os
from pathlib import Path
from typing import Any, Literal

from lightning_neuro._lightning import rank_zero_info
from lightning_neuro.common import checks
from lightning_neuro.data.errors import DataNotFoundError, bad_format, not_found
from lightning_neuro.data.folders import data_root
from lightning_neuro.data.idx import parse_idx, read_bytes
from lightning_neuro.data.images import ImageDataModule, ImageKind, RawImages

FILES = {
    True: ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    False: ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
KINDS = {
    "fashion_mnist": ImageKind(
        title="Fashion-MNIST",
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        image_shape=(1, 28, 28),
        mean=(0.2860,),
        std=(0.3530,),
    ),
    # The constants in general use; no complete MNIST was at hand to compute them from.
    "mnist": ImageKind(
        title="MNIST", class_names=tuple("0123456789"), image_shape=(1, 28, 28), mean=(0.1307,), std=(0.3081,)
    ),
}
SUBFOLDERS = {"fashion_mnist": "FashionMNIST/raw", "mnist": "MNIST/raw"}
# Where Debian's package dataset-fashion-mnist puts its files.
SYSTEM_FOLDERS = {"fashion_mnist": Path("/usr/share/datasets/fashion-mnist")}
OBTAIN = {
    "fashion_mnist": "apt-get install dataset-fashion-mnist (Debian, Ubuntu), or put the four files of "
    "https://github.com/zalandoresearch/fashion-mnist, plain or .gz, into one of these folders.",
    "mnist": "put the four files of the MNIST distribution, plain or .gz, into one of these folders.",
}
# SHA-256 of the decompressed bytes: archives of the same file differ in their gzip header.
FASHION_MNIST_DIGESTS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


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
        image_file, label_file = (_existing(folder, file) for file in FILES[train])
        pixels = parse_idx(self._content(name, image_file), image_file, ndim=3)
        labels = parse_idx(self._content(name, label_file), label_file, ndim=1)
        kind = KINDS[name]
        if pixels.shape[1:] != kind.image_shape[1:]:
            raise bad_format(image_file, "image size", kind.image_shape[1:], pixels.shape[1:])
        if len(labels) != len(pixels):
            raise bad_format(label_file, "number of labels", f"{len(pixels)} as in {image_file.name}", len(labels))
        if len(labels) and labels.max() >= len(kind.class_names):
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


def idx_folder(dataset: str, root: str | os.PathLike[str] | None, *, owner: str, flat: bool = True) -> Path:
    """Folder that holds all four files of a data set.

    Args:
        dataset: "fashion_mnist" or "mnist".
        root: as for `IdxImageData`.
        owner: who asks; opens the error's message.
        flat: consider files in the root itself, too.

    Raises:
        DataNotFoundError: there is none.
    """
    base = data_root(root)
    places = [base / SUBFOLDERS[dataset], *([base] if flat else [])]
    places += [SYSTEM_FOLDERS[dataset]] if dataset in SYSTEM_FOLDERS else []
    names = [*FILES[True], *FILES[False]]
    tried = {place: [name for name in names if not _candidates(place, name)] for place in places}
    for place, lacking in tried.items():
        if not lacking:
            return place
    raise not_found(
        owner,
        KINDS[dataset].title,
        expected=names,
        tried=tried,
        obtain=OBTAIN[dataset],
        instead="DigitsData, whose images are embedded in scikit-learn (pip install lightning-neuro[data]).",
    )


def first_idx_folder(root: str | None, *, owner: str) -> tuple[str, Path]:
    """Name and folder of Fashion-MNIST if it is there, else of MNIST.

    Raises:
        DataNotFoundError: neither is there.
    """
    missing = []
    for dataset in KINDS:
        try:
            return dataset, idx_folder(dataset, root, owner=owner, flat=False)
        except DataNotFoundError as error:
            missing.append(str(error))
    raise DataNotFoundError("\n".join(missing))


def check_digest(dataset: str, file: Path, content: bytes) -> None:
    """Compare a file with the published one, as far as its digest is known.

    Raises:
        DataFormatError: the file is another one.
    """
    digest = hashlib.sha256(content).hexdigest()
    published = FASHION_MNIST_DIGESTS[file.name.removesuffix(".gz")]
    if dataset == "fashion_mnist" and digest != published:
        raise bad_format(file, "SHA-256 of the decompressed bytes", published, digest)
    if dataset != "fashion_mnist" and digest == published:
        raise bad_format(file, "data set", KINDS[dataset].title, KINDS["fashion_mnist"].title)


def _candidates(folder: Path, name: str) -> list[Path]:
    return [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]


def _existing(folder: Path, name: str) -> Path:
    return _candidates(folder, name)[0]
