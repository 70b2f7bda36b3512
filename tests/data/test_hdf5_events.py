import sys

import numpy as np
import pytest

from lightning_neuro.data import DataFormatError
from lightning_neuro.data.hdf5_events import class_labels, open_hdf5, table, timed_events

h5py = pytest.importorskip("h5py")


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "tiny.h5", "w") as handle:
        handle["labels"] = np.array([0, 2], np.uint16)
        handle["texts"] = np.array([b"a"])
        handle["square"] = np.zeros((2, 2), int)
        handle["none"] = np.zeros(0, int)
        handle["folder/values"] = [1.0]
    return tmp_path / "tiny.h5"


def test_reads_labels(file):
    with open_hdf5("Owner", file) as handle:
        assert class_labels(handle, "labels", file, 3).tolist() == [0, 2]
        assert table(handle, "folder/values", file)[()].tolist() == [1.0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "absent must be a data set, got nothing"),
        ("folder", "folder must be a data set, got a group"),
        ("texts", r"texts must be whole numbers \(N,\), got \|S1 \(1,\)"),
        ("square", r"square must be whole numbers \(N,\), got int64 \(2, 2\)"),
        ("none", "number of none must be at least 1, got 0"),
        ("labels", "labels must be from 0 to 1, got 2"),
    ],
)
def test_bad_labels_are_named(file, name, message):
    with (
        pytest.raises(DataFormatError, match=f"tiny.h5: {message}"),
        open_hdf5("Owner", file) as handle,
    ):
        class_labels(handle, name, file, 2)


@pytest.mark.parametrize("content", [b"", b"no HDF5", None])
def test_a_damaged_or_foreign_file_is_named(file, content):
    file.write_bytes(file.read_bytes()[:900] if content is None else content)
    with (
        pytest.raises(DataFormatError, match="HDF5 structure must be complete and intact"),
        open_hdf5("Owner", file),
    ):
        pass


def test_damage_found_while_reading_is_named(tmp_path):
    path = tmp_path / "long.h5"
    with h5py.File(path, "w") as handle:
        handle.create_dataset("labels", data=np.arange(5000), compression="gzip", fletcher32=True)
        begin = handle["labels"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[begin + 10 : begin + 30] = bytes(20)
    path.write_bytes(content)
    with (
        pytest.raises(DataFormatError, match="HDF5 structure must be complete and intact"),
        open_hdf5("Owner", path) as handle,
    ):
        class_labels(handle, "labels", path, 5000)


def test_without_h5py_the_extra_is_named(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with (
        pytest.raises(ModuleNotFoundError, match=r"Owner: tiny.h5 is read with h5py.*lightning-neuro\[data\]"),
        open_hdf5("Owner", file),
    ):
        pass


def test_times_become_microseconds():
    times, channels = timed_events(
        np.array([0.25, 0.001], np.float16), np.array([3, 0], np.uint16), file="f", where="one", num_channels=4
    )
    assert times.tolist() == [250_000, 1_000]
    assert channels.tolist() == [3, 0]


@pytest.mark.parametrize(
    ("seconds", "channels", "message"),
    [
        ([b"a"], [0], r"times of one must be numbers \(E,\)"),
        ([[0.0]], [0], r"times of one must be numbers \(E,\), got float64 \(1, 1\)"),
        ([0.0], [0.5], r"channels of one must be whole numbers \(E,\)"),
        ([0.0, 1.0], [0], "number of channels of one must be 2 as of times, got 1"),
        ([-0.1], [0], r"times of one must be from 0 to 1e\+06 s, got -0.1"),
        ([float("nan")], [0], "times of one .* got nan"),
        ([2e6], [0], "times of one .* got 2000000"),
        ([0.0], [4], "channels of one must be from 0 to 3, got 4"),
        ([0.0], [-1], "channels of one must be from 0 to 3, got -1"),
    ],
)
def test_bad_events_are_named(seconds, channels, message):
    with pytest.raises(DataFormatError, match=f"f: {message}"):
        timed_events(seconds, channels, file="f", where="one", num_channels=4)
