import warnings

import numpy as np
import pytest

from lightning_neuro.data import DataFormatError, DataNotFoundError
from lightning_neuro.data.ntidigits import NTidigitsData

h5py = pytest.importorskip("h5py")
SPOKEN = [*"o123456789z", "z-2", "12", "7"]


def write(root, **changes):
    """Recordings of one digit each but two; that of digit k has events in channel k at 10, 20 and 1000 ms."""
    folder = root / "N-TIDIGITS"
    folder.mkdir()
    with h5py.File(folder / "n-tidigits.hdf5", "w") as handle:
        for part in ("train", "test"):
            names = [f"man-{index}-{spoken.replace('-', '')}" for index, spoken in enumerate(SPOKEN)]
            handle[f"{part}_labels"] = np.array(names, "S")
            for index, name in enumerate(names):
                handle[f"{part}_timestamps/{name}"] = np.array([0.01, 0.02, 1.0])
                handle[f"{part}_addresses/{name}"] = np.full(3, index, np.int32)
        for name, value in changes.items():
            del handle[name]
            if value is not None:
                handle[name] = value
    return root


def test_reads_the_single_digits(tmp_path):
    data = NTidigitsData(write(tmp_path), val_size=0, batch_size=12)
    data.prepare_data()
    data.setup()
    assert sorted(data.train_set.labels.tolist()) == [*range(8), 7, 8, 9, 10]
    spikes, labels = next(iter(data.test_dataloader()))
    assert labels.tolist() == [*range(11), 7]
    assert spikes.shape == (700, 12, 64)
    expected = [[step, index, channel] for step in (5, 10, 500) for index, channel in enumerate([*range(11), 13])]
    assert spikes.nonzero().tolist() == expected
    assert (data.num_classes, data.class_names[10]) == (11, "z")


def test_validation_is_carved_from_training(tmp_path):
    data = NTidigitsData(write(tmp_path), val_size=2)
    data.setup("fit")
    assert (len(data.train_set), len(data.val_set), data.test_set) == (10, 2, None)


def test_missing_data_say_how_to_get_them(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"NTidigitsData: N-TIDIGITS was not found(.|\n)*n-tidigits\.hdf5"):
        NTidigitsData(tmp_path).prepare_data()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_labels": None}, "train_labels must be a data set, got nothing"),
        ({"train_labels": np.arange(3)}, r"train_labels must be names \(N,\), got int64 \(3,\)"),
        ({"train_labels": np.array([b"man-a-4x"])}, "train_labels must be names that end in digits .* got 'man-a-4x'"),
        ({"train_labels": np.array([b"man-a-"])}, "train_labels must be names that end in digits"),
        ({"train_labels": np.array([b"man-a-44"])}, "number of single digits in train_labels must be at least 1"),
        ({"train_addresses/man-4-4": None}, "train_addresses/man-4-4 must be a data set, got nothing"),
        ({"train_addresses/man-4-4": [0, 64, 0]}, "channels of man-4-4 must be from 0 to 63, got 64"),
        ({"train_addresses/man-4-4": [0.0, 1.0, 2.0]}, r"channels of man-4-4 must be whole numbers \(E,\)"),
        ({"train_timestamps/man-4-4": [0.0]}, "number of channels of man-4-4 must be 1 as of times, got 3"),
    ],
)
def test_damage_is_named(tmp_path, changes, message):
    with pytest.raises(DataFormatError, match=f"n-tidigits.hdf5: {message}"):
        NTidigitsData(write(tmp_path, **changes)).setup("fit")


def test_verify_warns_of_another_file(tmp_path):
    data = NTidigitsData(write(tmp_path), verify=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.setup("test")
    told = [str(one.message) for one in caught]
    assert "number of test recordings should be 2474 as published, got 12" in told[0]
    assert "MD5 of n-tidigits.hdf5 should be 360a2d11e5429555c9197381cf6b58e0" in told[1]


def test_options_come_back_from_a_checkpoint(tmp_path):
    data = NTidigitsData(tmp_path, num_steps=50, duration=2.0, seed=3)
    assert data.hparams["root"] == str(tmp_path)  # a plain type, as a checkpoint wants it
    again = NTidigitsData(**data.hparams)
    assert again.hparams == data.hparams
    assert (again.root, again.duration, again.seed) == (str(tmp_path), 2_000_000, 3)
