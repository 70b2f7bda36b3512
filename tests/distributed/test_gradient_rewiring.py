"""Two gloo processes on the CPU against one process on the joint batches."""

from functools import partial

import pytest
import torch
from support.regression import Regression
from torch import Tensor
from torch.optim import SGD
from torch.utils.data import DataLoader, DistributedSampler

from lightning_neuro.gradient_rewiring import DeepRewiring, GradientRewiring

sgd = partial(SGD, lr=0.1, momentum=0.9)
CALLBACKS = {
    "auto": partial(GradientRewiring, 0.7, ramp_steps=4),
    "published": partial(GradientRewiring, alpha=0.1),
    "deep": partial(DeepRewiring, 0.7, l1=1e-3, temperature=1e-4),
}


class Ranked(Regression):
    def __init__(self) -> None:
        super().__init__(sgd, batch_size=8)
        self.register_buffer("spread", torch.tensor(-1.0))

    def train_dataloader(self) -> DataLoader:
        """Deal the rows out in turns, so that two batches of 8 are the joint batch of 16; Lightning would shuffle."""
        sampler = DistributedSampler(self.data, num_replicas=2, rank=self.global_rank, shuffle=False)
        return DataLoader(self.data, batch_size=8, sampler=sampler)

    def on_train_end(self) -> None:
        """Keep the largest difference between the ranks, theta's included, in a buffer that travels back."""
        [callback] = [each for each in self.trainer.callbacks if hasattr(each, "projections")]
        theta = [t.flatten() for p in callback.projections for t in p.theta.values()]
        low, high = (torch.cat([self.weights(), *theta]) for _ in range(2))
        torch.distributed.all_reduce(low, torch.distributed.ReduceOp.MIN)
        torch.distributed.all_reduce(high, torch.distributed.ReduceOp.MAX)
        self.spread.copy_((high - low).max())


class Joint(Regression):
    def __init__(self) -> None:
        super().__init__(sgd, batch_size=16)


def fit(make_trainer, model: Regression, callback, **options) -> Tensor:
    make_trainer(callbacks=[callback], use_distributed_sampler=False, max_epochs=3, **options).fit(model)
    return model.weights()


@pytest.mark.parametrize("kind", CALLBACKS)
def test_p10_two_ranks_stay_equal_and_equal_one_process(make_trainer, kind):
    two = Ranked()
    found = fit(make_trainer, two, CALLBACKS[kind](), strategy="ddp_fork", devices=2)
    expected = fit(make_trainer, Joint(), CALLBACKS[kind]())
    assert two.spread.item() == 0.0
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert (found == 0).any()
