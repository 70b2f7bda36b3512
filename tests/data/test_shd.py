import numpy as np
import pytest

from lightning_neuro.data import DataFormatError, DataNotFoundError
from lightning_neuro.data.shd import SHDData

h5py = pytest.importorskip("h5py")


def ragged(rows, dtype):
    array = np.empty(len(rows), object)
    array[:] = [np.array(row, dtype) for row in rows]
    return array


def write(root, dataset="shd", classes=20, parts=("train", "test"), **changes):
    """One recording per class; that of class k has k + 2 events in channel 35 k, every 100 ms from 0."""
    folder = root / dataset.upper()
    folder.mkdir(exist_ok=True)
    for part in parts:
        content = {
            "spikes/times": ragged([np.arange(k % 10 + 2) * 0.1 for k in range(classes)], np.float16),
            "spikes/units": ragged([[35 * (k % 20)] * (k % 10 + 2) for k in range(classes)], np.uint16),
            "labels": np.arange(classes, dtype=np.uint16),
        } | changes
        with h5py.File(folder / f"{dataset}_{part}.h5", "w") as handle:
            for name, value in content.items():
                if value is None:
                    continue
                dtype = h5py.vlen_dtype(value[0].dtype) if value.dtype == object else None
                handle.create_dataset(name, data=value, dtype=dtype)
    return root


def test_reads_ragged_events(tmp_path):
    data = SHDData(root=write(tmp_path), num_steps=14, val_size=0)
    data.prepare_data()
    data.setup()
    assert sorted(data.train_set.labels.tolist()) == list(range(20))
    spikes, labels = data.test_set.batch([0, 13])
    assert labels.tolist() == [0, 13]
    assert spikes.shape == (14, 2, 700)
    # Half precision stores 0.1 s as 0.09998 s, which lies in the first step, but 0.3 s as 0.30005 s.
    assert spikes[:, 0].nonzero().tolist() == [[0, 0]]
    assert spikes[:, 1].nonzero().tolist() == [[0, 455], [1, 455], [3, 455]]
    assert (data.num_classes, data.class_names[13], data.num_features) == (20, "drei", 700)


def test_pooling_joins_neighbouring_channels(tmp_path):
    data = SHDData(root=write(tmp_path), pool=70)
    data.setup("test")
    spikes, _ = next(iter(data.test_dataloader()))
    assert spikes.shape == (100, 20, 10)
    channel = spikes.any(0).int().argmax(1)
    assert channel.tolist() == [k // 2 for k in range(20)]


def test_speech_commands_have_a_validation_part_of_their_own(tmp_path):
    write(tmp_path, "ssc", 35, ("train", "test"))
    write(tmp_path, "ssc", 5, ("valid",))
    data = SHDData("ssc", root=tmp_path)
    data.setup("fit")
    assert (len(data.train_set), len(data.val_set), data.num_classes) == (35, 5, 35)
    carved = SHDData("ssc", root=tmp_path, val_size=7)
    carved.setup("fit")
    assert (len(carved.train_set), len(carved.val_set)) == (28, 7)
    again = SHDData(**data.hparams)
    again.setup("fit")
    assert len(again.val_set) == 5


def test_the_digits_have_none(tmp_path):
    data = SHDData(root=write(tmp_path))
    data.setup("fit")
    assert (len(data.train_set), len(data.val_set)) == (18, 2)


def test_missing_data_name_every_file(tmp_path):
    write(tmp_path, parts=("train",))
    with pytest.raises(DataNotFoundError, match=r"expected files: shd_train.h5, shd_test.h5(.|\n)*lacks shd_test.h5"):
        SHDData(root=tmp_path).prepare_data()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "labels must be a data set, got nothing"),
        ({"labels": np.arange(1, 21)}, "labels must be from 0 to 19, got 20"),
        ({"labels": np.arange(20.0)}, r"labels must be whole numbers \(N,\), got float64"),
        ({"labels": np.arange(19)}, r"length of spikes/times must be 19 as of labels, got \(20,\)"),
        ({"spikes/units": None}, "spikes/units must be a data set, got nothing"),
        ({"spikes/units": np.array([b"a"] * 20)}, r"channels of recording 0 must be whole numbers \(E,\)"),
        (
            {"spikes/units": ragged([[700, 0]] * 20, np.uint16)},
            "channels of recording 0 must be from 0 to 699, got 700",
        ),
        ({"spikes/times": ragged([[0.0]] * 20, np.float16)}, "number of channels of recording 0 must be 1 as of times"),
    ],
)
def test_damage_is_named(tmp_path, changes, message):
    with pytest.raises(DataFormatError, match=f"shd_train.h5: {message}"):
        SHDData(root=write(tmp_path, **changes)).setup("fit")


def test_a_truncated_file_is_named(tmp_path):
    file = write(tmp_path) / "SHD" / "shd_test.h5"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(DataFormatError, match=r"shd_test\.h5: HDF5 structure must be complete and intact"):
        SHDData(root=tmp_path).setup("test")


def test_verify_warns_of_another_number(tmp_path):
    data = SHDData(root=write(tmp_path), verify=True)
    with pytest.warns(UserWarning, match="recordings in shd_test.h5 should be 2264 or 2088 as published, got 20"):
        data.setup("test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "dvs"}, "dataset must be one of 'shd', 'ssc', got 'dvs'"),
        ({"pool": 3}, "pool must divide the 700 channels, got 3"),
        ({"pool": 0}, "pool must be at least 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=f"SHDData: {message}"):
        SHDData(**options)
