import gzip
from pathlib import Path

import pytest
import torch

from lightning_neuro._lightning import ROOT
from lightning_neuro.data import DataFormatError, DataNotFoundError, IdxImageData

INSTALLED = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture
def root(tmp_path, write_idx, no_system_data):
    write_idx(tmp_path)
    return tmp_path


def damage(file, change):
    file.write_bytes(change(file.read_bytes()))


def test_reads_images_and_labels_in_order(root):
    data = IdxImageData("mnist", root=root, val_size=0, normalize=False)
    data.prepare_data()
    data.setup("test")
    content = (root / "t10k-images-idx3-ubyte").read_bytes()
    x, y = next(iter(data.test_dataloader()))
    assert x.shape == (20, 1, 28, 28)
    assert (x * 255).round().to(torch.uint8).flatten().tolist() == list(content[16:])
    assert y.tolist() == [*range(10)] * 2


def test_environment_names_the_root(root, monkeypatch):
    monkeypatch.setenv("LIGHTNING_NEURO_DATA", str(root))
    data = IdxImageData("mnist")
    data.setup("fit")
    assert len(data.train_set) + len(data.val_set) == 40


def test_gzipped_files_are_read(root):
    for file in list(root.glob("*-ubyte")):
        Path(f"{file}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    data = IdxImageData("fashion_mnist", root=root)
    data.setup("fit")
    assert data.train_set.labels.bincount().sum() == 36


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("images-idx3", lambda b: b[:-1], "number of values must be 31360 for shape (40, 28, 28), got 31359"),
        ("images-idx3", lambda b: b + b"\0", "number of values must be 31360 for shape (40, 28, 28), got 31361"),
        ("images-idx3", lambda b: b[:3] + b"\1" + b[4:], "number of dimensions must be 3, got 1"),
        (
            "images-idx3",
            lambda b: b[:8] + b"\0\0\0\x0e\0\0\0\x38" + b[16:],
            "image size must be (28, 28), got (14, 56)",
        ),
        ("labels-idx1", lambda b: b[:2] + b"\x0d" + b[3:], "type code must be 8 (unsigned byte), got 13"),
        ("labels-idx1", lambda b: b[:7] + b"\x27" + b[8:-1], "number of labels must be 40 as in train-images-idx3"),
        ("labels-idx1", lambda b: b[:-1] + b"\x0a", "labels must be below 10, got 10"),
        ("labels-idx1", lambda b: gzip.compress(b)[:-4], "gzip stream must be complete and intact"),
    ],
)
def test_damage_is_named(root, name, change, message):
    file = root / f"train-{name}-ubyte"
    damage(file, change)
    with pytest.raises(DataFormatError) as caught:
        IdxImageData("mnist", root=root).setup("fit")
    assert str(caught.value).startswith(f"{file}: {message}")


def test_files_without_a_single_image_are_refused(root):
    damage(root / "t10k-images-idx3-ubyte", lambda b: b[:4] + bytes(4) + b[8:16])
    damage(root / "t10k-labels-idx1-ubyte", lambda b: b[:4] + bytes(4))
    with pytest.raises(DataFormatError, match="t10k-images-idx3-ubyte: number of images must be at least 1, got 0"):
        IdxImageData("mnist", root=root).setup("test")


def test_fit_works_while_the_test_files_are_broken(root):
    damage(root / "t10k-images-idx3-ubyte", lambda b: b[:-1])
    data = IdxImageData("mnist", root=root)
    data.prepare_data()
    data.setup("fit")
    with pytest.raises(DataFormatError, match="t10k-images"):
        data.setup("test")


def test_prepare_data_sets_no_state(root):
    data = IdxImageData("mnist", root=root)
    before = dict(vars(data))
    data.prepare_data()
    assert vars(data) == before


@pytest.mark.usefixtures("no_system_data")
def test_missing_files_are_noticed_at_once(tmp_path):
    with pytest.raises(DataNotFoundError, match="IdxImageData: Fashion-MNIST was not found"):
        IdxImageData("fashion_mnist", root=tmp_path).prepare_data()


def test_a_named_set_never_falls_back(root, write_idx):
    write_idx(root / "empty" / "FashionMNIST" / "raw")
    with pytest.raises(DataNotFoundError, match="MNIST was not found"):
        IdxImageData("mnist", root=root / "empty").prepare_data()


def test_auto_tells_what_it_uses(root, write_idx, caplog):
    mnist = write_idx(root / "MNIST" / "raw")
    data = IdxImageData(root=root)
    with caplog.at_level("INFO", ROOT):
        data.prepare_data()
    assert caplog.messages == [f"IdxImageData: using MNIST from {mnist}."]
    assert data.class_names[0] == "0"
    write_idx(root / "FashionMNIST" / "raw")
    assert data.class_names[0] == "T-shirt/top"


def test_verify_refuses_files_that_are_not_the_published_ones(root):
    IdxImageData("mnist", root=root, verify=True).setup("fit")
    with pytest.raises(DataFormatError, match="SHA-256 of the decompressed bytes must be c59f468a"):
        IdxImageData("fashion_mnist", root=root, verify=True).setup("fit")


def test_unknown_name():
    with pytest.raises(ValueError, match="IdxImageData: dataset must be one of 'auto', 'fashion_mnist', 'mnist', got"):
        IdxImageData("kuzushiji")


def test_options_are_kept_as_plain_types(root):
    assert IdxImageData("mnist", root=root).hparams["root"] == str(root)


@pytest.fixture(scope="module")
def fashion():
    """The real data set, read once."""
    if not INSTALLED.is_dir():
        pytest.skip("Fashion-MNIST is not installed (apt-get install dataset-fashion-mnist)")
    data = IdxImageData("fashion_mnist", root=INSTALLED, verify=True, val_size=5000)
    data.setup()
    return data


@pytest.mark.realdata
def test_real_fashion_mnist_is_complete_and_genuine(fashion):
    assert (len(fashion.train_set), len(fashion.val_set), len(fashion.test_set)) == (55_000, 5_000, 10_000)
    assert fashion.val_set.labels.bincount().tolist() == [500] * 10
    assert fashion.train_set.labels.bincount().tolist() == [5500] * 10
    assert fashion.test_set.labels.bincount().tolist() == [1000] * 10


@pytest.mark.realdata
def test_real_fashion_mnist_has_the_stated_mean_and_std(fashion):
    counts = sum(part.pixels.flatten().bincount(minlength=256) for part in (fashion.train_set, fashion.val_set))
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = (counts * values).sum() / counts.sum()
    std = ((counts * values**2).sum() / counts.sum() - mean**2).sqrt()
    assert (mean.item(), std.item()) == (pytest.approx(0.28604, abs=5e-6), pytest.approx(0.35302, abs=5e-6))
    assert fashion.kind.mean[0] == pytest.approx(mean.item(), abs=5e-5)
    assert fashion.kind.std[0] == pytest.approx(std.item(), abs=5e-5)


@pytest.mark.realdata
def test_fashion_mnist_in_the_place_of_mnist_is_noticed(fashion):
    with pytest.raises(DataFormatError, match="data set must be MNIST, got Fashion-MNIST"):
        IdxImageData("mnist", root=INSTALLED, verify=True).setup("test")
