from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.data import DataFormatError, DataNotFoundError
from lightning_neuro.data.nmnist import NMNISTData, read_recording

fields = st.tuples(st.integers(0, 33), st.integers(0, 33), st.integers(0, 1), st.integers(0, 2**23 - 1))


def packed(events):
    """Forty bits per event, as the authors' page draws them: x, y, polarity, time."""
    return b"".join((x << 32 | y << 24 | p << 23 | t).to_bytes(5, "big") for x, y, p, t in events)


def write(root):
    """Two recordings per class; those of class k have two ON events at x = k, y = 2 k."""
    for part in ("Train", "Test"):
        for digit in range(10):
            folder = root / "N-MNIST" / part / str(digit)
            folder.mkdir(parents=True)
            for number in (1, 2):
                events = [(digit, 2 * digit, 1, 1500), (digit, 2 * digit, number - 1, 250_000)]
                (folder / f"{number:05d}.bin").write_bytes(packed(events))
            (folder / "remarks.txt").write_text("not a recording")
    return root


@given(st.lists(fields, min_size=1, max_size=20))
def test_unpacks_what_was_packed(tmp_path_factory, events):
    file = tmp_path_factory.getbasetemp() / "packed.bin"
    file.write_bytes(packed(events))
    times, channels = read_recording(file)
    assert times.tolist() == [t for *_, t in events]
    assert channels.tolist() == [p * 34 * 34 + y * 34 + x for x, y, p, _ in events]


def test_reads_all_recordings_in_order(tmp_path):
    data = NMNISTData(write(tmp_path), batch_size=20, val_size=0.5)
    data.prepare_data()
    data.setup()
    assert data.train_set.labels.bincount().tolist() == data.val_set.labels.bincount().tolist() == [1] * 10
    spikes, labels = next(iter(data.test_dataloader()))
    assert labels.tolist() == [digit for digit in range(10) for _ in (1, 2)]
    assert spikes.shape == (300, 20, 2312)
    assert spikes[:, 7].nonzero().tolist() == [[1, 1156 + 6 * 34 + 3], [250, 1156 + 6 * 34 + 3]]
    assert spikes[:, 6].nonzero().tolist() == [[1, 1156 + 6 * 34 + 3], [250, 6 * 34 + 3]]


def test_the_order_is_that_of_the_names_however_a_file_system_lists_them(tmp_path, monkeypatch):
    listed = Path.glob
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: sorted(listed(folder, pattern), reverse=True))
    data = NMNISTData(write(tmp_path))
    data.setup("test")
    assert [len(set(places % 2312)) for places in data.test_set.places[:4]] == [2, 1, 2, 1]


def test_frames_keep_polarity_row_and_column(tmp_path):
    data = NMNISTData(write(tmp_path), flatten=False, batch_size=20)
    data.setup("test")
    spikes, _ = next(iter(data.test_dataloader()))
    assert spikes.shape == (300, 20, 2, 34, 34)
    assert spikes[1, 7].nonzero().tolist() == [[1, 6, 3]]
    assert data.num_features == 2312


def test_missing_data_name_the_folders(tmp_path):
    with pytest.raises(DataNotFoundError, match="expected files: Train, Test"):
        NMNISTData(tmp_path).prepare_data()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "length must be a positive multiple of 5 bytes, got 0"),
        (packed([(1, 1, 1, 1)])[:-1], "length must be a positive multiple of 5 bytes, got 4"),
        (packed([(1, 1, 1, 1), (34, 1, 1, 1)]), "x must be from 0 to 33, got 34"),
        (packed([(1, 255, 1, 1)]), "y must be from 0 to 33, got 255"),
        (b"MM\0*abcdef", "x must be from 0 to 33, got 98"),
    ],
)
def test_damage_is_named(tmp_path, content, message):
    file = write(tmp_path) / "N-MNIST" / "Train" / "4" / "00001.bin"
    file.write_bytes(content)
    with pytest.raises(DataFormatError, match=message) as caught:
        NMNISTData(tmp_path).setup("fit")
    assert str(caught.value).startswith(f"{file}: ")


def test_a_class_without_recordings_is_named(tmp_path):
    folder = write(tmp_path) / "N-MNIST" / "Test" / "9"
    for file in folder.glob("*.bin"):
        file.unlink()
    with pytest.raises(DataFormatError, match=f"{folder}: number of .bin files must be at least 1, got 0"):
        NMNISTData(tmp_path).setup("test")


def test_verify_warns_of_another_number(tmp_path):
    data = NMNISTData(write(tmp_path), verify=True)
    with pytest.warns(UserWarning, match="number of recordings in Test should be 10000 as published, got 20"):
        data.setup("test")
