"""Fashion-MNIST and MNIST: what is known of them, and where their files are found."""

import hashlib
import os
from pathlib import Path

from lightning_neuro.data.errors import DataNotFoundError, bad_format, not_found
from lightning_neuro.data.folders import data_root
from lightning_neuro.data.image_kind import ImageKind

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
    tried = {place: [name for name in names if not candidates(place, name)] for place in places}
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


def candidates(folder: Path, name: str) -> list[Path]:
    """Plain and gzipped form of a file, as far as they are there."""
    return [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
