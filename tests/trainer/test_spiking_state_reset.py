"""`SpikingStateReset` with the other things a Trainer does; what every batch starts from must stay silent neurons."""

from typing import Any

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro._lightning import ROOT, LightningModule
from lightning_neuro.spiking import FastSigmoid, SpikingStateReset, hidden_state, reset_

if ROOT == "pytorch_lightning":
    from pytorch_lightning.plugins import MixedPrecision
else:
    from lightning.pytorch.plugins import MixedPrecision


class Net(LightningModule):
    """Two layers with state in the neurons; counts the batches that start from silent neurons."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.inputs = 3 * torch.rand(16, 4, generator=generator)
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 2)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.7, generator=generator)
        self.lif = snn.Leaky(beta=0.9, init_hidden=True, spike_grad=FastSigmoid())
        self.readout = snn.Leaky(beta=0.9, init_hidden=True, output=True, spike_grad=FastSigmoid())
        self.register_buffer("silent_starts", torch.zeros(()))

    def train_dataloader(self) -> DataLoader:
        return DataLoader(TensorDataset(self.inputs), batch_size=4)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        self.silent_starts += float(all(state.numel() == 0 for state in hidden_state(self).values()))
        return sum(self.readout(self.second(self.lif(self.first(batch[0]))))[1].pow(2).mean() for _ in range(3))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.05)

    def weights(self) -> Tensor:
        return torch.cat([p.detach().flatten() for p in self.parameters()])


class TwoOptimizers(Net):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(layer.parameters(), lr=0.05) for layer in (self.first, self.second)]

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(super().training_step(batch, batch_idx))
        for optimizer in self.optimizers():
            optimizer.step()


def fit(make_trainer, model: Net, **options: Any) -> Net:
    make_trainer(callbacks=[SpikingStateReset()], max_epochs=2, **options).fit(model)
    return model


def by_hand(dtype: torch.dtype) -> Tensor:
    """The same training written out, each batch from silent neurons, under autocast."""
    model = Net()
    optimizer = model.configure_optimizers()
    for _ in range(2):
        for batch in model.train_dataloader():
            reset_(model)
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=dtype, cache_enabled=False):  # as Lightning does
                loss = model.training_step(batch, 0)
            loss.backward()
            optimizer.step()
    return model.weights()


@pytest.mark.parametrize(("precision", "dtype"), [("16-mixed", torch.float16), ("bf16-mixed", torch.bfloat16)])
def test_mixed_precision_equals_a_loop_written_out(make_trainer, precision, dtype):
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0) if precision == "16-mixed" else None
    found = fit(make_trainer, Net(), plugins=[MixedPrecision(precision, device="cpu", scaler=scaler)])
    assert found.silent_starts == 8
    torch.testing.assert_close(found.weights(), by_hand(dtype), rtol=1e-3, atol=1e-4)


def test_two_optimizers_in_manual_optimization_equal_one(make_trainer):
    found, expected = fit(make_trainer, TwoOptimizers()), fit(make_trainer, Net())
    assert found.silent_starts == 8
    torch.testing.assert_close(found.weights(), expected.weights(), rtol=1e-6, atol=1e-7)


def test_accumulation_and_clipping_see_silent_starts(make_trainer):
    model = fit(make_trainer, Net(), accumulate_grad_batches=2, gradient_clip_val=0.1)
    assert model.silent_starts == 8


def test_two_gloo_ranks_start_silent_and_equal_one_process(make_trainer):
    class Halves(Net):
        def train_dataloader(self) -> DataLoader:
            return DataLoader(TensorDataset(self.inputs[self.global_rank :: 2]), batch_size=2)

    options = {"strategy": "ddp_fork", "devices": 2, "use_distributed_sampler": False}
    found, expected = fit(make_trainer, Halves(), **options), fit(make_trainer, Net())
    assert found.silent_starts == 8
    torch.testing.assert_close(found.weights(), expected.weights(), rtol=1e-5, atol=1e-6)
