"""Two gloo processes on the CPU against one process on the joint batches."""

from typing import Any

import pytest
import torch
from support.count_learning import Trains, learner, network, time_first, weights
from torch.utils.data import DataLoader, DistributedSampler

from lightning_neuro.gradient_activation import GradientActivation
from lightning_neuro.gradient_rewiring import GradientRewiring
from lightning_neuro.st_rsbp import Boosting
from lightning_neuro.st_rsbp.module import STRSBP

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:STRSBP. layer 0 fires in"),
]


class Ranked(STRSBP):
    """Deals samples out in turns, so that two batches of 4 are the joint batch of 8; keeps how far the ranks differ."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register_buffer("spread", torch.tensor(-1.0))
        self.register_buffer("boosted", torch.zeros(24))

    def train_dataloader(self) -> DataLoader:
        data = Trains(index=True)
        sampler = DistributedSampler(data, num_replicas=2, rank=self.global_rank, shuffle=False)
        return DataLoader(data, batch_size=4, sampler=sampler, collate_fn=time_first)

    def on_train_end(self) -> None:
        low, high = weights(self), weights(self)
        torch.distributed.all_reduce(low, torch.distributed.ReduceOp.MIN)
        torch.distributed.all_reduce(high, torch.distributed.ReduceOp.MAX)
        self.spread.copy_((high - low).max())
        if self.boosting is not None:
            self.boosted.copy_(self.boosting.weights(torch.arange(24)))


def fit(make_trainer, model: STRSBP, callbacks=(), **options) -> torch.Tensor:
    data = [] if isinstance(model, Ranked) else [DataLoader(Trains(index=True), batch_size=8, collate_fn=time_first)]
    make_trainer(use_distributed_sampler=False, max_epochs=3, callbacks=list(callbacks), **options).fit(model, *data)
    return weights(model)


WAYS = {
    "plain": {},
    "accumulated": {"accumulate_grad_batches": 2},
    "clipped": {"gradient_clip_val": 0.5},
}


@pytest.mark.parametrize("way", WAYS)
def test_two_ranks_stay_equal_and_equal_one_process(make_trainer, way):
    two, one = (learner(network(dtype=torch.float64), kind, **WAYS[way]) for kind in (Ranked, STRSBP))
    found = fit(make_trainer, two, strategy="ddp_fork", devices=2)
    expected = fit(make_trainer, one)
    assert two.spread.item() == 0.0
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_with_activation_and_rewiring_at_once(make_trainer):
    callbacks = [[GradientActivation(), GradientRewiring(0.3, ramp_steps=6)] for _ in range(2)]
    two, one = (learner(network(dtype=torch.float64), kind) for kind in (Ranked, STRSBP))
    found = fit(make_trainer, two, callbacks[0], strategy="ddp_fork", devices=2)
    expected = fit(make_trainer, one, callbacks[1])
    assert two.spread.item() == 0.0
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert (found == 0).any()


def test_boosting_knows_what_other_ranks_saw(make_trainer):
    two, one = (learner(network(dtype=torch.float64), k, boosting=Boosting(24, rate=1.0)) for k in (Ranked, STRSBP))
    found = fit(make_trainer, two, strategy="ddp_fork", devices=2)
    expected = fit(make_trainer, one)
    torch.testing.assert_close(two.boosted, one.boosting.weights(torch.arange(24)))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
