from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro._lightning import LightningModule


class Regression(LightningModule):
    """A small net on 32 fixed samples, in order; the optimizer is the test's choice."""

    def __init__(
        self, make_optimizer: Callable[[Iterator[nn.Parameter]], Any], batch_size: int = 8, scale: float = 1.0
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        inputs, targets = (torch.randn(32, width, generator=generator) for width in (4, 1))
        self.data = TensorDataset(inputs, scale * targets)
        self.net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
        for parameter in self.net.parameters():
            nn.init.normal_(parameter, std=0.5, generator=generator)
        self.make_optimizer = make_optimizer
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.data, batch_size=self.batch_size)

    def loss(self, batch: list[Tensor]) -> Tensor:
        return nn.functional.mse_loss(self.net(batch[0]), batch[1])

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.loss(batch)

    def configure_optimizers(self) -> Any:
        return self.make_optimizer(self.parameters())

    def weights(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.parameters()])

    def batches(self) -> list[list[Tensor]]:
        return list(self.train_dataloader())


class ManualRegression(Regression):
    """The same with manual optimisation: two optimizers, one per layer, both stepped on every batch."""

    def __init__(self, make_optimizer: Callable[[Iterator[nn.Parameter]], Any]) -> None:
        super().__init__(make_optimizer)
        self.automatic_optimization = False

    def configure_optimizers(self) -> Any:
        return [self.make_optimizer(self.net[0].parameters()), self.make_optimizer(self.net[2].parameters())]

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        optimizers = self.optimizers()
        for optimizer in optimizers:
            optimizer.zero_grad()
        self.manual_backward(self.loss(batch))
        for optimizer in optimizers:
            optimizer.step()
