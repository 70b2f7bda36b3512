from pathlib import Path

import pytest
import torch

from lightning_neuro.data.folder_data import FolderDataModule
from lightning_neuro.data.labelled_images import LabelledImages


class TinyData(FolderDataModule):
    """Four images that carry their own number."""

    title, class_names, num_features = "tiny", ("a", "b"), 1

    def read_samples(self, *, train):
        pixels = torch.arange(4, dtype=torch.uint8).reshape(-1, 1, 1, 1)
        return LabelledImages(pixels, torch.arange(4) % 2, shift=[0.0], spread=[1.0])


@pytest.mark.parametrize(("root", "expected"), [(Path("a", "b"), str(Path("a", "b"))), ("a", "a"), (None, None)])
def test_the_root_is_kept_as_a_plain_type(root, expected):
    data = TinyData(root=root)
    assert (data.root, data.hparams["root"]) == (expected, expected)


def test_the_other_options_are_those_of_labelled_data():
    data = TinyData(verify=True, batch_size=3, val_size=1, seed=2)
    data.setup("fit")
    assert (data.verify, data.batch_size, len(data.train_set), len(data.val_set)) == (True, 3, 3, 1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "TinyData: batch_size must be at least 1, got 0"),
        ({"root": 3}, TypeError, "expected str, bytes or os.PathLike object, not int"),
        ({"typo": 0}, TypeError, "unexpected keyword argument 'typo'"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        TinyData(**options)
