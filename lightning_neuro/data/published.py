"""What is known of a published data set: names of its files, where they may lie, how to get them, how to know them."""

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lightning_neuro._lightning import rank_zero_warn
from lightning_neuro.data.errors import not_found
from lightning_neuro.data.folders import data_root


@dataclass(frozen=True)
class PublishedFiles:
    """Files, or folders of files, that make up a data set and lie in one folder.

    Args:
        title: the data set's usual name.
        names: of the files.
        subfolders: of the root that may hold them; the root itself is tried last.
        obtain: how to get them.
        instead: the nearest data that is easier to get.
    """

    title: str
    names: tuple[str, ...]
    subfolders: tuple[str, ...]
    obtain: str
    instead: str

    def folder(self, owner: str, root: str | os.PathLike[str] | None) -> Path:
        """Folder that holds all files.

        Args:
            owner: who asks; opens the error's message.
            root: folder of the data sets; None means `$LIGHTNING_NEURO_DATA`, else `./data`.

        Raises:
            DataNotFoundError: no folder holds them all.
        """
        base = data_root(root)
        places = [*(base / name for name in self.subfolders), base]
        tried = {place: [name for name in self.names if not (place / name).exists()] for place in places}
        for place, lacking in tried.items():
            if not lacking:
                return place
        raise not_found(owner, self.title, expected=self.names, tried=tried, obtain=self.obtain, instead=self.instead)


def warn_unless_published(owner: str, what: str, published: Collection[object], found: object) -> None:
    """Warn that data differ from the published ones, for `verify`.

    Args:
        owner: class of ours that read it.
        what: the property compared.
        published: values under which the property was published.
        found: what the files say.
    """
    if found not in published:
        expected = " or ".join(str(value) for value in published)
        rank_zero_warn(f"{owner}: {what} should be {expected} as published, got {found}. Results will not compare.")


def digest(file: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file's bytes, read piecemeal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
