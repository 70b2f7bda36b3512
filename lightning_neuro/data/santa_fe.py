"""The Santa Fe laser: 10,093 intensities of a chaotic far-infrared laser, to be predicted a few steps ahead."""

from importlib.resources import as_file, files
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro._lightning import LightningDataModule
from lightning_neuro.common import checks
from lightning_neuro.data.resumable_loader import ResumableLoader

LENGTH = 10_093
TRAIN, VAL = 6_000, 1_000


class SantaFeData(LightningDataModule):
    """Windows over the Santa Fe laser in the order of time: 6,000 steps to learn, 1,000 to choose by, the rest to test.

    Batches are `(x (B, T, lags) float32, y (B, T, horizon) float32)`: the last intensities, the newest first, and those
    that follow, the next first, all standardised by the training steps. The recording is inside reservoirpy.

    Args:
        lags: intensities given at each step.
        horizon: intensities to predict at each step.
        steps: length T of a series; what is left over at the end of a part is dropped.
        batch_size: series per batch and process.
        seed: of the order of training.

    Raises:
        TypeError, ValueError: an option is of the wrong type or out of range.

    >>> data = SantaFeData(lags=3, horizon=2, steps=50)
    >>> data.setup()
    >>> x, y = next(iter(data.val_dataloader()))
    >>> x.shape, y.shape, bool((x[0, 1, 0] == y[0, 0, 0]).all())
    (torch.Size([19, 50, 3]), torch.Size([19, 50, 2]), True)
    """

    def __init__(self, lags: int = 8, horizon: int = 1, steps: int = 50, batch_size: int = 32, seed: int = 0) -> None:
        super().__init__()
        owner = "SantaFeData"
        self.lags = checks.integer(owner, "lags", lags, at_least=1, at_most=VAL // 2)
        self.horizon = checks.integer(owner, "horizon", horizon, at_least=1, at_most=VAL // 4)
        self.steps = checks.integer(owner, "steps", steps, at_least=1, at_most=VAL - self.lags - self.horizon)
        self.batch_size = checks.integer(owner, "batch_size", batch_size, at_least=1)
        self.seed = checks.integer(owner, "seed", seed, at_least=0)
        self.parts: dict[str, tuple[Tensor, Tensor]] = {}

    def setup(self, stage: str | None = None) -> None:
        """Cut the recording."""
        values = scaled()
        places = {"train": (0, TRAIN), "val": (TRAIN, TRAIN + VAL), "test": (TRAIN + VAL, len(values))}
        self.parts = {name: self._series(values[start:stop]) for name, (start, stop) in places.items()}

    def train_dataloader(self) -> ResumableLoader:
        """Series in an order of seed and epoch."""
        samples: Any = self._set("train")
        share: dict[str, Any] = {"num_replicas": 1, "rank": 0}
        share |= (self.trainer.distributed_sampler_kwargs if self.trainer is not None else None) or {}
        sampler: Any = torch.utils.data.DistributedSampler(samples, **share, shuffle=True, seed=self.seed)
        return ResumableLoader(samples, sampler=sampler, batch_size=self.batch_size)

    def val_dataloader(self) -> DataLoader[Any]:
        """Series to choose by."""
        return DataLoader(self._set("val"), batch_size=self.batch_size)

    def test_dataloader(self) -> DataLoader[Any]:
        """Series to test on."""
        return DataLoader(self._set("test"), batch_size=self.batch_size)

    def _set(self, name: str) -> TensorDataset:
        return TensorDataset(*self.parts[name])

    def _series(self, values: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        windows = np.lib.stride_tricks.sliding_window_view(values, self.lags + self.horizon)
        count = len(windows) // self.steps
        cut = torch.as_tensor(windows[: count * self.steps].copy()).float().reshape(count, self.steps, -1)
        return cut[..., : self.lags].flip(-1).contiguous(), cut[..., self.lags :].contiguous()


def scaled() -> NDArray[np.float64]:
    """Return the recording `(10093,)` with mean 0 and standard deviation 1 over the training steps.

    >>> bool(abs(scaled()[:6000].mean()) < 1e-12), len(scaled())
    (True, 10093)
    """
    # Read here and not by reservoirpy's own function, which leaves the file open.
    with as_file(files("reservoirpy.datasets") / "santafe_laser.npy") as path:
        values = np.load(path).astype(np.float64)[:, 0]
    learned = values[:TRAIN]
    scaled_values: NDArray[np.float64] = (values - learned.mean()) / learned.std()
    return scaled_values
