import numpy as np
import pytest
import torch
from reservoirpy.nodes import Reservoir
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro._lightning import LightningModule, MisconfigurationException
from lightning_neuro.reservoir import MeasureCallback, ReservoirModule
from lightning_neuro.reservoir.measures import active_information_storage, kernel_rank

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")
X = torch.rand(8, 80, 1, generator=torch.Generator().manual_seed(0))
LOADER = DataLoader(TensorDataset(X, X), batch_size=4)


def node():
    return Reservoir(20, sr=0.9, input_dim=1, seed=0)


def fitted(trainer, callbacks=(), val=LOADER):
    module = ReservoirModule(node(), 1)
    trainer.callbacks.extend(callbacks)
    trainer.fit(module, LOADER, val)
    return module


def mean_square(states):
    return (states**2).mean()


def test_a_reservoir_is_measured_on_the_first_batch_of_validation(make_trainer):
    measures = {"active_information_storage": {"washout": 10}, "kernel_rank": {}, "memory_capacity": {"max_delay": 5}}
    watch = MeasureCallback(measures, every_n_epochs=2)
    trainer = make_trainer(max_epochs=4, callbacks=[watch])
    module = fitted(trainer)
    assert [(entry["epoch"], entry["step"]) for entry in watch.history] == [(1, 4), (3, 8)]
    storage = active_information_storage(node().run(X[0].numpy().astype(float)), washout=10)
    assert watch.history[0]["active_information_storage"] == pytest.approx(np.median(storage.value), rel=1e-6)
    rank = kernel_rank(module.reservoir, X[:4].numpy())
    assert watch.history[0]["kernel_rank"] == float(rank)
    assert trainer.callback_metrics["measure/kernel_rank"].item() == float(rank)
    assert "measure/memory_capacity" in trainer.callback_metrics


@pytest.mark.parametrize("series", [1, 3, 9])
def test_several_series_are_averaged(make_trainer, series):
    watch = MeasureCallback([lambda reservoir, inputs: inputs.mean()], series=series)
    make_trainer(callbacks=[watch]).fit(ReservoirModule(node(), 1), LOADER, LOADER)
    assert watch.history[0]["<lambda>"] == pytest.approx(X[:4][:series].mean().item(), rel=1e-6)


@pytest.mark.filterwarnings("ignore:Found 1 module")
def test_given_series_need_no_validation_and_leave_modes_alone(make_trainer):
    watch = MeasureCallback("transfer_entropy", inputs=X[:2].numpy())
    module = ReservoirModule(node(), 1)
    module.reservoir.eval()
    make_trainer(callbacks=[watch]).fit(module, LOADER)
    assert len(watch.history) == 1
    assert np.isfinite(watch.history[0]["transfer_entropy"])
    assert not module.reservoir.training
    assert module.readout.training


class Net(LightningModule):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.cell = nn.RNN(1, 5, batch_first=kind == "batch") if kind != "steps" else nn.RNNCell(1, 5)
        self.read = nn.Linear(5, 1)

    def forward(self, x):
        if self.kind == "batch":
            return self.read(self.cell(x)[0])
        if self.kind == "time":
            return self.read(self.cell(x.transpose(0, 1))[0]).transpose(0, 1)
        state, found = None, []
        for step in x.unbind(1):
            state = self.cell(step, state)
            found.append(state)
        return self.read(torch.stack(found, 1))

    def training_step(self, batch, batch_idx):
        return (self(batch[0]) - batch[1]).square().mean()

    def validation_step(self, batch, batch_idx):
        self(batch[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.mark.parametrize("kind", ["batch", "time", "steps"])
def test_activations_of_any_layer_are_series_however_it_is_called(make_trainer, kind):
    torch.manual_seed(0)
    net = Net(kind)
    watch = MeasureCallback([mean_square, "entropy"], layer="cell", time_first=kind == "time", series=2)
    make_trainer(callbacks=[watch]).fit(net, LOADER, LOADER)
    whole = nn.RNN(1, 5, batch_first=True)
    whole.load_state_dict({f"{name.removesuffix('_l0')}_l0": part for name, part in net.cell.state_dict().items()})
    assert watch.history[0]["mean_square"] == pytest.approx(whole(X[:2])[0].square().mean().item(), rel=1e-5)
    assert not net.cell._forward_hooks


def test_a_measure_that_refuses_is_told_once_and_training_goes_on(make_trainer):
    watch = MeasureCallback({"active_information_storage": {"washout": 200}})
    with pytest.warns(UserWarning, match="active_information_storage is logged as NaN, because it was refused") as told:
        fitted(make_trainer(max_epochs=2), [watch])
    assert sum("NaN" in str(each.message) for each in told) == 1
    assert all(np.isnan(entry["active_information_storage"]) for entry in watch.history)


def test_history_goes_on_with_a_checkpoint(make_trainer, tmp_path):
    watch = MeasureCallback("kernel_rank")
    trainer = make_trainer(callbacks=[watch])
    module = fitted(trainer)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    again = MeasureCallback("kernel_rank")
    resumed = make_trainer(callbacks=[again], max_epochs=2)
    resumed.fit(module, LOADER, LOADER, ckpt_path=tmp_path / "one.ckpt", weights_only=True)
    assert [entry["epoch"] for entry in again.history] == [0, 1]
    assert again.history[0] == watch.history[0]


def test_two_ranks_log_what_the_first_one_measured(make_trainer):
    trainer = make_trainer(callbacks=[MeasureCallback("kernel_rank")], strategy="ddp_fork", devices=2)
    fitted(trainer)
    assert trainer.callback_metrics["measure/kernel_rank"] >= 1


def test_what_cannot_be_measured_is_refused_before_training(make_trainer):
    with pytest.raises(ValueError, match=r"expected one TorchReservoir in the module, got none\. Say by layer="):
        make_trainer(callbacks=[MeasureCallback("entropy")]).fit(Net("batch"), LOADER, LOADER)
    with pytest.raises(ValueError, match="layer must name a part of the module, got 'rnn'"):
        make_trainer(callbacks=[MeasureCallback("entropy", layer="rnn")]).fit(Net("batch"), LOADER, LOADER)
    with pytest.raises(MisconfigurationException, match="expected validation data to measure on"):
        make_trainer(callbacks=[MeasureCallback("entropy")]).fit(ReservoirModule(node(), 1), LOADER)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"measures": "sharpness"}, ValueError, "measures must be one of 'active_information_storage'"),
        ({"measures": []}, ValueError, "measures must name at least one"),
        ({"measures": 3}, TypeError, "measures must be names or functions, got int"),
        ({"measures": "entropy", "every_n_epochs": 0}, ValueError, "every_n_epochs must be at least 1"),
        ({"measures": "entropy", "series": 0}, ValueError, "series must be at least 1"),
    ],
)
def test_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        MeasureCallback(**arguments)
