import pytest

from lightning_neuro.data import DataFormatError, DataNotFoundError
from lightning_neuro.data.idx_sets import FASHION_MNIST_DIGESTS, KINDS, check_digest, first_idx_folder, idx_folder

pytestmark = pytest.mark.usefixtures("no_system_data")


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_named_folder_comes_before_the_root_itself(tmp_path, write_idx, dataset):
    with pytest.raises(DataNotFoundError):
        idx_folder(dataset, tmp_path, owner="Test")
    write_idx(tmp_path)
    assert idx_folder(dataset, tmp_path, owner="Test") == tmp_path
    named = write_idx(tmp_path / {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}[dataset] / "raw")
    assert idx_folder(dataset, tmp_path, owner="Test") == named


def test_system_folder_is_the_last_resort_and_for_its_own_set_only(tmp_path, write_idx, monkeypatch):
    system = write_idx(tmp_path / "system")
    monkeypatch.setattr("lightning_neuro.data.idx_sets.SYSTEM_FOLDERS", {"fashion_mnist": system})
    assert idx_folder("fashion_mnist", tmp_path, owner="Test") == system
    with pytest.raises(DataNotFoundError):
        idx_folder("mnist", tmp_path, owner="Test")
    write_idx(tmp_path)
    assert idx_folder("fashion_mnist", tmp_path, owner="Test") == tmp_path


def test_auto_prefers_fashion_and_ignores_files_that_could_be_either(tmp_path, write_idx):
    write_idx(tmp_path)
    with pytest.raises(DataNotFoundError, match=r"Fashion-MNIST was not found[\s\S]*Test: MNIST was not found"):
        first_idx_folder(tmp_path, owner="Test")
    mnist = write_idx(tmp_path / "MNIST" / "raw")
    assert first_idx_folder(tmp_path, owner="Test") == ("mnist", mnist)
    fashion = write_idx(tmp_path / "FashionMNIST" / "raw")
    assert first_idx_folder(tmp_path, owner="Test") == ("fashion_mnist", fashion)


def test_an_incomplete_folder_is_described(tmp_path, write_idx):
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataNotFoundError) as caught:
        idx_folder("mnist", tmp_path, owner="Test")
    message = str(caught.value)
    assert message.startswith("Test: MNIST was not found.")
    assert f"{tmp_path / 'MNIST' / 'raw'}, {tmp_path} (lacks t10k-labels-idx1-ubyte)" in message
    assert "train-images-idx3-ubyte" in message
    assert "DigitsData" in message


def test_digests_are_checked_as_far_as_they_are_known(tmp_path):
    file = tmp_path / "train-labels-idx1-ubyte.gz"
    with pytest.raises(DataFormatError, match="SHA-256 of the decompressed bytes must be bad3541b"):
        check_digest("fashion_mnist", file, b"something else")
    check_digest("mnist", file, b"something else")


def test_facts():
    assert all(len(digest) == 64 for digest in FASHION_MNIST_DIGESTS.values())
    assert all(len(set(kind.class_names)) == 10 for kind in KINDS.values())
