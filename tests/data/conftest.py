"""Small valid files of each format, for tests to read and to damage."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def write_idx() -> Callable[..., Path]:
    """Write the four files of an MNIST-like set: 40 training and 20 test images, drawn from a seed."""

    def write(folder: Path, seed: int = 0) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        for prefix, count in (("train", 40), ("t10k", 20)):
            pixels = rng.integers(0, 256, (count, 28, 28))
            (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx_bytes(pixels))
            (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(count) % 10))
        return folder

    return write


@pytest.fixture
def cifar_root(tmp_path: Path) -> Path:
    """Six batch files of 20 images each; batch k is filled with the value k, its first pixel is red 200."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for value, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"], start=1):
        data = np.full((20, 3072), value, np.uint8)
        data[:, 0] = 200
        content = {b"data": data, b"labels": [k % 10 for k in range(20)], b"filenames": [b"a.png"] * 20}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return tmp_path


@pytest.fixture
def no_system_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what is installed on the machine, and any folder named in the environment."""
    monkeypatch.setattr("lightning_neuro.data.idx_sets.SYSTEM_FOLDERS", {})
    monkeypatch.delenv("LIGHTNING_NEURO_DATA", raising=False)
