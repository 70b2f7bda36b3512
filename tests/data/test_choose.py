import os
import subprocess
import sys

import pytest

from lightning_neuro._lightning import ROOT
from lightning_neuro.data import Cifar10Data, DataNotFoundError, DigitsData, IdxImageData, image_data

pytestmark = pytest.mark.usefixtures("no_system_data")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("digits", DigitsData), ("mnist", IdxImageData), ("fashion_mnist", IdxImageData), ("cifar10", Cifar10Data)],
)
def test_names(name, kind, tmp_path):
    data = image_data(name, root=tmp_path, batch_size=3)
    assert type(data) is kind
    assert data.batch_size == 3
    if name != "digits":
        with pytest.raises(DataNotFoundError):
            data.prepare_data()


@pytest.mark.parametrize("place", ["FashionMNIST/raw", "system"])
def test_auto_takes_fashion_mnist_and_says_so(tmp_path, write_idx, caplog, monkeypatch, place):
    monkeypatch.setattr("lightning_neuro.data.idx_sets.SYSTEM_FOLDERS", {"fashion_mnist": tmp_path / "system"})
    folder = write_idx(tmp_path / place)
    write_idx(tmp_path, seed=1)  # could be MNIST: must not be read in its stead
    with caplog.at_level("INFO", ROOT):
        data = image_data(root=tmp_path, val_size=0)
    assert caplog.messages == [f"image_data: using Fashion-MNIST from {folder}."]
    data.setup("test")
    assert data.kind.title == "Fashion-MNIST"
    assert data.test_set.pixels.flatten().tolist() == list((folder / "t10k-images-idx3-ubyte").read_bytes()[16:])


def test_auto_falls_back_to_the_digits_and_says_so(tmp_path, write_idx, caplog):
    write_idx(tmp_path)
    with caplog.at_level("INFO", ROOT):
        data = image_data(root=tmp_path, limit=50)
    assert caplog.messages == ["image_data: found no Fashion-MNIST on disk, using the 8x8 digits of scikit-learn."]
    assert type(data) is DigitsData
    assert data.limit == 50


def test_unknown_name():
    with pytest.raises(ValueError, match=r"image_data: name must be one of 'auto', .* got 'imagenet'"):
        image_data("imagenet")


@pytest.mark.parametrize("name", ["DigitsData", "IdxImageData", "Cifar10Data", "lightning_neuro.data.image_data"])
def test_options_and_their_defaults_reach_the_command_line(name):
    jsonargparse = pytest.importorskip("jsonargparse")
    from lightning_neuro.data import ImageDataModule

    parser = jsonargparse.ArgumentParser()
    parser.add_subclass_arguments(ImageDataModule, "data")
    found = parser.parse_args([f"--data={name}", "--data.val_size=0.2"]).data.init_args
    assert (found.val_size, found.batch_size, found.normalize) == (0.2, 128, True)


def test_the_message_is_seen_without_any_logging_setup(tmp_path):
    code = "from lightning_neuro.data import image_data; image_data()"
    environment = os.environ | {"LIGHTNING_NEURO_DATA": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "image_data: " in run.stderr
