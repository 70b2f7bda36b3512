import os
import pickle

import numpy as np
import pytest

from lightning_neuro.data import Cifar10Data, DataFormatError, DataNotFoundError
from lightning_neuro.data.cifar10 import read_batch


def rewrite(root, **changes):
    file = root / "cifar-10-batches-py" / "data_batch_2"
    content = {"data": np.zeros((20, 3072), np.uint8), "labels": [1] * 20} | changes
    file.write_bytes(pickle.dumps({k: v for k, v in content.items() if v is not None}, 2))
    return file


def test_reads_all_batches_as_planes_of_red_green_blue(cifar_root):
    data = Cifar10Data(cifar_root, val_size=0, normalize=False)
    data.prepare_data()
    data.setup()
    assert len(data.train_set) == 100
    assert data.train_set.pixels[:, 0, 5, 5].bincount(minlength=6).tolist() == [0, 20, 20, 20, 20, 20]
    assert data.train_set.labels.bincount().tolist() == [10] * 10
    x, y = data.test_set[3]
    assert x.shape == (3, 32, 32)
    assert (x * 255).round()[:, 0, 0].tolist() == [200, 6, 6]
    assert y.item() == 3


def test_channels_are_normalised_each_by_its_own_constants(cifar_root):
    data = Cifar10Data(cifar_root)
    data.setup("test")
    x, _ = data.test_set[0]
    expected = [(6 / 255 - mean) / std for mean, std in zip(data.kind.mean, data.kind.std, strict=True)]
    assert x[:, 9, 9].tolist() == pytest.approx(expected, rel=1e-5)


def test_text_keys_read_like_byte_keys(cifar_root):
    pixels, labels = read_batch(rewrite(cifar_root))
    assert pixels.shape == (20, 3, 32, 32)
    assert labels.tolist() == [1] * 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": None}, r"data must be an array \(N, 3072\) of bytes, got nothing"),
        ({"data": np.zeros((20, 3071), np.uint8)}, r"data must be .* got ndarray \(20, 3071\)"),
        ({"data": np.zeros((20, 3072))}, "only arrays of unsigned bytes are read"),
        ({"data": "pixels"}, "data must be .* got str 6"),
        ({"labels": None}, "labels must be a list of 20, got nothing"),
        ({"labels": [1] * 19}, "labels must be a list of 20, got list 19"),
        ({"labels": [1] * 19 + [10]}, "labels must be integers from 0 to 9, got 10"),
        ({"labels": [1] * 19 + [-1]}, "labels must be integers from 0 to 9, got -1"),
        ({"labels": [1] * 19 + ["cat"]}, "labels must be integers from 0 to 9, got 'cat'"),
    ],
)
def test_damage_is_named(cifar_root, changes, message):
    file = rewrite(cifar_root, **changes)
    with pytest.raises(DataFormatError, match=message) as caught:
        Cifar10Data(cifar_root).setup("fit")
    assert str(caught.value).startswith(f"{file}: ")


def test_a_file_without_a_single_image_is_refused(tmp_path):
    file = tmp_path / "test_batch"
    file.write_bytes(pickle.dumps({"data": np.zeros((0, 3072), np.uint8), "labels": []}, protocol=3))
    with pytest.raises(DataFormatError, match="test_batch: number of images must be at least 1, got 0"):
        read_batch(file)


def test_a_truncated_file_is_named(cifar_root):
    file = rewrite(cifar_root)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DataFormatError, match="data_batch_2: pickle must be plain data"):
        Cifar10Data(cifar_root).setup("fit")


def test_a_malicious_file_is_refused_and_does_nothing(cifar_root):
    proof = cifar_root / "executed"

    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {proof}",)

    rewrite(cifar_root, extra=Attack())
    with pytest.raises(DataFormatError, match=r"data_batch_2: .* it names \w+\.system, which is not admitted"):
        Cifar10Data(cifar_root).setup("fit")
    assert not proof.exists()


def test_a_missing_file_is_named(cifar_root):
    folder = cifar_root / "cifar-10-batches-py"
    (folder / "data_batch_4").unlink()
    with pytest.raises(DataNotFoundError) as caught:
        Cifar10Data(cifar_root).prepare_data()
    assert str(caught.value).startswith("Cifar10Data: CIFAR-10 was not found.")
    assert f"{folder} (lacks data_batch_4)" in str(caught.value)
