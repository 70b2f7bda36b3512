"""Two gloo processes on the CPU against one process on the joint batches."""

from functools import partial

import pytest
import torch
from support.regression import Regression
from torch import Tensor
from torch.optim import SGD
from torch.utils.data import DataLoader, DistributedSampler

from lightning_neuro.gradient_activation import GradientActivation, GradientActivationOptimizer

sgd = partial(SGD, lr=0.1, momentum=0.9)


class Ranked(Regression):
    def __init__(self, make_optimizer) -> None:
        super().__init__(make_optimizer, batch_size=8)
        self.register_buffer("spread", torch.tensor(-1.0))

    def train_dataloader(self) -> DataLoader:
        """Deal the rows out in turns, so that two batches of 8 are the joint batch of 16; Lightning would shuffle."""
        sampler = DistributedSampler(self.data, num_replicas=2, rank=self.global_rank, shuffle=False)
        return DataLoader(self.data, batch_size=8, sampler=sampler)

    def on_train_end(self) -> None:
        """Keep the largest difference between the ranks, in a buffer that travels back to the test."""
        low, high = self.weights(), self.weights()
        torch.distributed.all_reduce(low, torch.distributed.ReduceOp.MIN)
        torch.distributed.all_reduce(high, torch.distributed.ReduceOp.MAX)
        self.spread.copy_((high - low).max())


class Joint(Regression):
    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.data, batch_size=16)


def fit(make_trainer, model: Regression, callbacks, **options) -> Tensor:
    make_trainer(callbacks=callbacks, use_distributed_sampler=False, max_epochs=2, **options).fit(model)
    return model.weights()


@pytest.mark.parametrize("way", ["callback", "wrapper"])
def test_p11_two_ranks_stay_equal_and_equal_one_process(make_trainer, way):
    make = (lambda p: GradientActivationOptimizer(sgd(p))) if way == "wrapper" else sgd
    callbacks = [GradientActivation()] if way == "callback" else []
    two = Ranked(make)
    found = fit(make_trainer, two, callbacks, strategy="ddp_fork", devices=2)
    expected = fit(make_trainer, Joint(make), [GradientActivation()] if way == "callback" else [])
    assert two.spread.item() == 0.0
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
