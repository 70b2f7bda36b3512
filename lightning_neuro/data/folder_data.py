"""What data modules of files share: the folder of the data sets, and whether to compare with what was published."""

import os
from typing import Any

from lightning_neuro.data.labelled_data import LabelledDataModule


class FolderDataModule(LabelledDataModule):
    """Data module of labelled samples in files below a folder of data sets.

    Args:
        root: folder of the data sets; None means `$LIGHTNING_NEURO_DATA`, else `./data`.
        verify: compare what is read with what is known of the published files, and warn of differences.
        **options: as for `LabelledDataModule`.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range.
    """

    def __init__(self, *, root: str | os.PathLike[str] | None = None, verify: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.root = None if root is None else os.fspath(root)
        self.hparams["root"] = self.root  # a checkpoint holds plain types only
        self.verify = verify
