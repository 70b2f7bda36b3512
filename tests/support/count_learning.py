"""A small task for networks that are trained on spike counts: each class fires in its own third of the inputs."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lightning_neuro.st_rsbp import RecurrentSpikingLayer, SpikingLayer, SpikingNetwork
from lightning_neuro.st_rsbp.module import STRSBP

STEPS, INPUTS, CLASSES, SAMPLES = 40, 9, 3, 24


class Trains(Dataset[Any]):
    """Spike trains `(T, M)`, a class, and the sample's index if it is wanted."""

    def __init__(self, samples: int = SAMPLES, *, index: bool = False, seed: int = 0) -> None:
        self.labels, self.index = torch.arange(samples) % CLASSES, index
        rates = torch.where(torch.arange(INPUTS) % CLASSES == self.labels[:, None], 0.5, 0.1)
        drawn = torch.rand(samples, STEPS, INPUTS, generator=torch.Generator().manual_seed(seed))
        self.spikes = drawn < rates[:, None]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        sample = self.spikes[index], self.labels[index]
        return (*sample, torch.tensor(index)) if self.index else sample


def time_first(samples: list[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    spikes, *rest = zip(*samples, strict=True)
    return (torch.stack(spikes, dim=1), *(torch.stack(each) for each in rest))


def loader(batch_size: int = 8, samples: int = SAMPLES, *, index: bool = False, **options: Any) -> DataLoader[Any]:
    return DataLoader(Trains(samples, index=index), batch_size=batch_size, collate_fn=time_first, **options)


def network(seed: int = 0, dtype: torch.dtype = torch.float32) -> SpikingNetwork:
    layers = RecurrentSpikingLayer(INPUTS, 12, threshold=2.0), SpikingLayer(12, CLASSES, threshold=2.0)
    return SpikingNetwork(*layers, seed=seed).to(dtype)


def learner(net: SpikingNetwork | None = None, kind: type[STRSBP] = STRSBP, **options: Any) -> STRSBP:
    counts = {"desired_count": 8, "undesired_count": 1, "margin": 1, "learning_rate": 0.05}
    return kind(network() if net is None else net, **(counts | options))


def weights(model: STRSBP) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.network.parameters()])
