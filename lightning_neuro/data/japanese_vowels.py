"""Japanese vowels: nine speakers told apart by series of twelve cepstral coefficients."""

import os
from typing import Any

import numpy as np
import torch

from lightning_neuro.common import checks
from lightning_neuro.data.errors import bad_format
from lightning_neuro.data.folder_data import FolderDataModule
from lightning_neuro.data.labelled_series import LabelledSeries
from lightning_neuro.data.published import PublishedFiles, digest, warn_unless_published
from lightning_neuro.data.ts_file import parse_ts

FILES = PublishedFiles(
    title="Japanese vowels",
    names=("JapaneseVowels_TRAIN.ts", "JapaneseVowels_TEST.ts"),
    subfolders=("JapaneseVowels",),
    obtain="pip download --no-deps aeon==1.6.0, unpack the wheel, which is a zip archive, and copy "
    "aeon/datasets/data/JapaneseVowels here.",
    instead="DigitsData, whose images are embedded in scikit-learn (pip install lightning-neuro[data]).",
)
CHANNELS = 12
PUBLISHED_COUNTS = {True: 270, False: 370}
SHA256 = {  # of the files inside aeon 1.6.0
    True: "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
    False: "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
}


class JapaneseVowelsData(FolderDataModule):
    """Japanese vowels: 270 training and 370 test series of 7 to 29 steps and 12 channels, by 9 speakers.

    The task is to tell the speaker. Reads `JapaneseVowels_{TRAIN,TEST}.ts` from `<root>/JapaneseVowels` or `<root>`;
    the package aeon carries both. Nothing is downloaded. Source: Kudo, Toyama, Shimbo (1999), Pattern Recognition
    Letters 20, 1103-1111.

    Batches are `(PaddedSeries(values (T, B, 12) float32, lengths (B,)), labels (B,))`, T the longest of the batch;
    with `num_steps` they are `(values (T, B, 12), labels (B,))`.

    Args:
        root: folder of the data sets; None means `$LIGHTNING_NEURO_DATA`, else `./data`.
        num_steps: bring all series to this length by linear interpolation.
        standardize: give each channel mean 0 and std 1 over the steps of the training part, which is what
            validation and `limit` leave of the official one.
        **options: as for `FolderDataModule`; `verify` compares the files' SHA-256 and the number of series.

    Raises:
        DataNotFoundError: not both files are there.
        DataFormatError: a file is damaged, or holds something else.

    >>> JapaneseVowelsData(num_steps=20).num_classes
    9
    """

    title = FILES.title
    class_names = tuple("123456789")
    num_features = CHANNELS

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        num_steps: int | None = None,
        standardize: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(root=root, **options)
        if num_steps is not None:
            num_steps = checks.integer("JapaneseVowelsData", "num_steps", num_steps, at_least=2)
        self.num_steps = num_steps
        self.standardize = standardize

    def prepare_data(self) -> None:
        """Check that the files are there."""
        FILES.folder("JapaneseVowelsData", self.root)

    def setup(self, stage: str | None = None) -> None:
        """Load what a stage needs, once; the training part also for testing, because it gives the scale.

        Args:
            stage: "fit", "validate", "test" or "predict"; None loads everything.
        """
        if self.standardize:
            super().setup("fit")
        super().setup(stage)
        if self.standardize:
            mean, std = self.train_set.mean_and_std()
            for part in (self.train_set, self.val_set, self.test_set):
                if part is not None:
                    part.shift, part.spread = mean, np.where(std > 0, std, np.float32(1))

    def read_samples(self, *, train: bool) -> LabelledSeries:
        """Read the official training or test series."""
        file = FILES.folder("JapaneseVowelsData", self.root) / FILES.names[0 if train else 1]
        found = parse_ts(file.read_bytes(), file)
        if found.class_names != self.class_names:
            raise bad_format(file, "@classLabel", " ".join(self.class_names), " ".join(found.class_names))
        if found.series[0].shape[1] != CHANNELS:
            raise bad_format(file, "@dimensions", CHANNELS, found.series[0].shape[1])
        if self.verify:
            part = f"number of series in {file.name}"
            warn_unless_published("JapaneseVowelsData", part, [PUBLISHED_COUNTS[train]], len(found.series))
            warn_unless_published(
                "JapaneseVowelsData", f"SHA-256 of {file.name}", [SHA256[train]], digest(file, "sha256")
            )
        return LabelledSeries(found.series, torch.from_numpy(found.labels), num_steps=self.num_steps)
