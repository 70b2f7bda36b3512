"""Two gloo processes on the CPU against one process on all the data."""

import numpy as np
import pytest
import torch
from reservoirpy.nodes import Reservoir
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from lightning_neuro._lightning import Callback
from lightning_neuro.data import ResumableLoader
from lightning_neuro.reservoir import ReservoirModule
from lightning_neuro.reservoir.module import CHECKPOINT_KEY
from lightning_neuro.reservoir.tasks import narma

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")
X, Y = (torch.tensor(np.stack(part)) for part in zip(*[narma(60, 10, seed=seed) for seed in range(24)], strict=True))
TRAIN, VAL = TensorDataset(X[:16], Y[:16]), TensorDataset(X[16:], Y[16:])
TWO = {"strategy": "ddp_fork", "devices": 2}


class Compared(ReservoirModule):
    """Tells, in a buffer that travels back to the test, how far the ranks are apart."""

    def __init__(self, **options):
        super().__init__(Reservoir(40, sr=0.9, input_dim=1, seed=0), 1, washout=10, **options)
        self.register_buffer("spread", torch.tensor(-1.0, dtype=torch.float64))

    def on_train_end(self):
        if self.trainer.world_size > 1:
            low, high = self.readout.weight.detach().clone(), self.readout.weight.detach().clone()
            torch.distributed.all_reduce(low, torch.distributed.ReduceOp.MIN)
            torch.distributed.all_reduce(high, torch.distributed.ReduceOp.MAX)
            self.spread.copy_((high - low).max())


class Resumable(Compared):
    """Brings its own data, which a checkpoint can interrupt."""

    def train_dataloader(self):
        share = DistributedSampler(TRAIN, self.trainer.world_size, self.trainer.global_rank, shuffle=False)
        return ResumableLoader(TRAIN, sampler=share, batch_size=4 // self.trainer.world_size)


class Saving(Callback):
    def __init__(self, folder):
        self.folder = folder

    def on_train_batch_end(self, trainer, pl_module, *_):
        trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")


def run(make_trainer, **options):
    module = Compared(ridge=[1.0, 1e-3])
    trainer = make_trainer(**options)
    trainer.fit(module, DataLoader(TRAIN, batch_size=2), DataLoader(VAL, batch_size=4))
    return trainer, module


def test_two_ranks_give_the_weights_and_the_choice_of_one(make_trainer):
    together, module = run(make_trainer, **TWO)
    alone, single = run(make_trainer)
    assert module.spread.item() == 0.0
    torch.testing.assert_close(module.readout.weight, single.readout.weight, atol=1e-8, rtol=0)
    for name in ("train_loss", "val_loss", "val_nrmse", "ridge"):
        assert together.callback_metrics[name].item() == pytest.approx(alone.callback_metrics[name].item(), rel=1e-6)


def test_a_checkpoint_within_an_epoch_holds_the_sums_of_all_ranks(make_trainer, tmp_path):
    whole, resumed = Resumable(ridge=1e-3), Resumable(ridge=1e-3)
    make_trainer(callbacks=[Saving(tmp_path)], **TWO).fit(whole)
    stored = torch.load(tmp_path / "2.ckpt", weights_only=True)[CHECKPOINT_KEY]
    assert stored["sums"]["rows"].tolist() == [200.0, 200.0]
    make_trainer(**TWO).fit(resumed, ckpt_path=tmp_path / "2.ckpt", weights_only=True)
    assert whole.spread.item() == resumed.spread.item() == 0.0
    assert torch.equal(resumed.readout.weight, whole.readout.weight)


def test_sums_of_two_ranks_can_be_taken_up_by_one():
    many = Compared(ridge=1e-3).fitting
    shares = {name: torch.stack([part + 1, part + 2]) for name, part in many.sums._asdict().items()}
    many.load_state_dict({"sums": shares, "epoch": 0, "ridge": 1e-3})
    many.take_share(0, 1)
    assert many.sums.rows.item() == 3.0


def test_gradients_of_two_ranks_are_those_of_one(make_trainer):
    found = []
    for options in (TWO, {}):
        torch.manual_seed(0)
        module = Resumable(readout="sgd", learning_rate=1e-2)
        make_trainer(max_epochs=2, **options).fit(module)
        found.append(module)
    assert found[0].spread.item() == 0.0
    torch.testing.assert_close(found[0].readout.weight, found[1].readout.weight, atol=1e-9, rtol=0)
