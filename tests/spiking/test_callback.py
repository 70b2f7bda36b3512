import copy
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro._lightning import ROOT, LightningModule, MisconfigurationException, Trainer
from lightning_neuro.spiking.callback import SpikingStateReset
from lightning_neuro.spiking.state import detach_, hidden_state, holds_graph

if ROOT == "pytorch_lightning":
    from pytorch_lightning.callbacks import Callback, ModelCheckpoint, StochasticWeightAveraging, WeightAveraging
    from pytorch_lightning.strategies import DDPStrategy
else:
    from lightning.pytorch.callbacks import Callback, ModelCheckpoint, StochasticWeightAveraging, WeightAveraging
    from lightning.pytorch.strategies import DDPStrategy

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists"),
    # torch.compile warns of what it does itself.
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*attribute of a Tensor that is not a leaf:UserWarning"),
]
STEPS = 3


class Model(LightningModule):
    """A network that never resets its neurons itself."""

    def __init__(self, optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD, manual: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.automatic_optimization = not manual
        self.optimizer = optimizer
        self.net = nn.Sequential(
            nn.Linear(4, 5),
            snn.Leaky(beta=0.9, init_hidden=True),
            nn.Linear(5, 2),
            snn.RLeaky(beta=0.9, linear_features=2, init_hidden=True, output=True),
        )
        self.seen: list[tuple[str, dict[str, Tensor]]] = []

    def loss(self, x: Tensor, kind: str) -> Tensor:
        self.seen.append((kind, {name: value.detach().clone() for name, value in hidden_state(self).items()}))
        return sum(self.net(x)[1].pow(2).mean() for _ in range(STEPS))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor | None:
        loss = self.loss(batch[0], "train")
        if self.automatic_optimization:
            return loss
        self.optimizers().zero_grad()
        self.manual_backward(loss)
        self.optimizers().step()
        return None

    def validation_step(self, batch: list[Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:
        self.loss(batch[0], f"validate.{dataloader_idx}")

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.loss(batch[0], "test")

    def predict_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.loss(batch[0], "predict")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters(), lr=0.01)

    def states(self, kind: str) -> list[dict[str, Tensor]]:
        return [state for each, state in self.seen if each == kind]


class Plain(Model):
    """No spiking neurons at all."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2))

    def loss(self, x: Tensor, kind: str) -> Tensor:
        return self.net(x).pow(2).mean()


def loader(samples: int = 8, batch_size: int = 2) -> DataLoader:
    x = torch.rand(samples, 4, generator=torch.Generator().manual_seed(1)) * 3
    return DataLoader(TensorDataset(x), batch_size=batch_size)


def trainer(tmp_path: Path, *callbacks: Callback, **options: Any) -> Trainer:
    settings = {
        "max_epochs": 1,
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "default_root_dir": tmp_path,
        "callbacks": list(callbacks),
    }
    return Trainer(**{**settings, **options})


def weights(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_without_it_the_second_batch_fails(tmp_path):
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        trainer(tmp_path).fit(Model(), loader())


@pytest.mark.parametrize("manual", [False, True])
def test_reset_gives_every_batch_silent_neurons(tmp_path, manual):
    model = Model(manual=manual)
    before = weights(model)
    run = trainer(tmp_path, SpikingStateReset(), max_epochs=2)
    run.fit(model, loader(), [loader(), loader()])
    run.validate(model, loader(), verbose=False)
    run.test(model, loader(), verbose=False)
    run.predict(model, loader())
    kinds = [kind for kind, _ in model.seen]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "train": 8,
        "validate.0": 2 + 8 + 4,
        "validate.1": 2 + 8,
        "test": 4,
        "predict": 4,
    }
    assert all(state == {} for _, state in model.seen)
    assert any(not torch.equal(a, b) for a, b in zip(before, weights(model), strict=True))


def test_reset_equals_resetting_by_hand(tmp_path):
    class ByHand(Model):
        def loss(self, x: Tensor, kind: str) -> Tensor:
            for neuron in (self.net[1], self.net[3]):
                neuron.reset_mem()
            return super().loss(x, kind)

    ours, theirs = Model(), ByHand()
    trainer(tmp_path, SpikingStateReset()).fit(ours, loader())
    trainer(tmp_path).fit(theirs, loader())
    assert all(torch.equal(a, b) for a, b in zip(weights(ours), weights(theirs), strict=True))


@pytest.mark.parametrize("manual", [False, True])
def test_detach_carries_within_training_and_equals_a_loop(tmp_path, manual):
    model, twin = Model(manual=manual), Model()
    trainer(tmp_path, SpikingStateReset("detach")).fit(model, loader())
    states = model.states("train")
    optimizer = twin.configure_optimizers()
    for index, (x,) in enumerate(loader()):
        for neuron in (twin.net[1], twin.net[3]):
            for name, value in list(neuron.named_buffers(recurse=False)):
                setattr(neuron, name, value.detach())
        assert states[index].keys() == (hidden_state(twin).keys() if index else set())
        assert all(torch.equal(states[index][name], hidden_state(twin)[name]) for name in states[index])
        optimizer.zero_grad()
        twin.loss(x, "").backward()
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(weights(model), weights(twin), strict=True))


def test_detach_keeps_validation_out_of_training(tmp_path):
    alone, validated = Model(), Model()
    trainer(tmp_path, SpikingStateReset("detach"), max_epochs=2).fit(alone, loader())
    run = trainer(tmp_path, SpikingStateReset("detach"), max_epochs=2, val_check_interval=1)
    run.fit(validated, loader(), [loader(4), loader(6)])
    assert all(torch.equal(a, b) for a, b in zip(weights(alone), weights(validated), strict=True))
    for kind, batches in (("train", 4), ("validate.0", 2), ("validate.1", 3)):
        # Each epoch, and in it each data loader, starts silent and carries from there.
        skip = 2 if kind.startswith("validate") else 0  # the sanity check: two batches
        silent = [state == {} for state in validated.states(kind)[skip:]]
        assert silent == [index % batches == 0 for index in range(len(silent))]


def test_detach_carries_in_test_and_predict(tmp_path):
    model = Model()
    run = trainer(tmp_path, SpikingStateReset("detach"))
    for _ in range(2):
        run.test(model, loader(), verbose=False)
        run.predict(model, loader())
    for kind in ("test", "predict"):
        assert [state == {} for state in model.states(kind)] == [True, False, False, False] * 2


def test_detach_warns_when_the_batch_size_drops_the_state(tmp_path):
    with pytest.warns(
        UserWarning, match=r"batch size changed.*started from zero: net\.1\.mem, net\.3\.spk, net\.3\.mem"
    ):
        trainer(tmp_path, SpikingStateReset("detach"), max_epochs=2).fit(Model(), loader(samples=7))


def test_none_warns_once_of_graphs_and_leaves_neurons_alone(tmp_path):
    class Late(Model):
        def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
            for neuron in (self.net[1], self.net[3]):
                neuron.reset_mem()
            return super().training_step(batch, batch_idx)

    model = Late()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer(tmp_path, SpikingStateReset("none")).fit(model, loader())
    ours = [str(each.message) for each in caught if "SpikingStateReset" in str(each.message)]
    assert len(ours) == 1
    assert "go into a batch with the graph of an earlier one: net.1, net.3." in ours[0]
    assert holds_graph(model) == ["net.1", "net.3"]


def test_none_is_silent_about_explicit_state(tmp_path):
    model = Model()
    model.net = nn.Linear(4, 2)
    model.lif = snn.Leaky(beta=0.9)
    model.loss = lambda x, kind: model.lif(model.net(x), torch.zeros(len(x), 2))[1].pow(2).mean()
    trainer(tmp_path, SpikingStateReset("none")).fit(model, loader())
    assert holds_graph(model) == ["lif"]


@pytest.mark.parametrize("mode", ["reset", "detach", "none"])
def test_nothing_happens_without_neurons(tmp_path, mode):
    ours, theirs = Plain(), Plain()
    trainer(tmp_path, SpikingStateReset(mode)).fit(ours, loader(), loader())
    trainer(tmp_path).fit(theirs, loader(), loader())
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("mode", ["reset", "detach"])
@pytest.mark.parametrize("use_buffers", [True, False])
def test_weight_averaging_works(tmp_path, mode, first, use_buffers):
    averaging = WeightAveraging(avg_fn=lambda mean, new, count: 0.5 * (mean + new), use_buffers=use_buffers)
    pair = (SpikingStateReset(mode), averaging)
    model = Model()
    used = weights(model)
    expected: list[Tensor] = []

    class Follow(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *rest: Any) -> None:
            new = weights(pl_module)
            expected[:] = [0.5 * (a + b) for a, b in zip(expected, new, strict=True)] if expected else new

    run = trainer(tmp_path, Follow(), *(pair if first else pair[::-1]), max_epochs=2)
    run.fit(model, loader(), loader())
    assert all(torch.allclose(a, b) for a, b in zip(weights(model), expected, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(weights(model), used, strict=True))


def test_weight_averaging_fails_without_it(tmp_path):
    class ByHand(Model):
        def loss(self, x: Tensor, kind: str) -> Tensor:
            for neuron in (self.net[1], self.net[3]):
                neuron.reset_mem()
            return super().loss(x, kind)

    with pytest.raises(RuntimeError, match="size of tensor"):
        trainer(tmp_path, WeightAveraging()).fit(ByHand(), loader(), loader())


@pytest.mark.parametrize("mode", ["reset", "detach"])
@pytest.mark.filterwarnings("ignore:.*SWA.*", "ignore:.*lr_scheduler.step.*")
def test_stochastic_weight_averaging_works(tmp_path, mode):
    model = Model()
    swa = StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=1)
    run = trainer(tmp_path, swa, SpikingStateReset(mode), max_epochs=3)
    run.fit(model, loader(), loader())
    # A second fit deep-copies the model that the first one left behind.
    swa = StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=1)
    trainer(tmp_path, swa, SpikingStateReset(mode), max_epochs=2).fit(model, loader(), loader())


class CopyOften(Callback):
    """What a callback that snapshots the model does."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *rest: Any) -> None:
        copy.deepcopy(pl_module.net)


@pytest.mark.parametrize("mode", ["reset", "detach"])
def test_the_model_can_be_copied_between_batches(tmp_path, mode):
    trainer(tmp_path, CopyOften(), SpikingStateReset(mode)).fit(Model(), loader())


def test_a_model_with_a_graph_can_be_copied_in_setup(tmp_path):
    class CopyInSetup(Callback):
        def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
            copy.deepcopy(pl_module.net)

    model = Model()
    model.loss(next(iter(loader()))[0], "before")
    trainer(tmp_path, SpikingStateReset(), CopyInSetup()).fit(model, loader())


@pytest.mark.parametrize("mode", ["reset", "detach"])
def test_manual_steps_inside_a_batch_keep_the_state(tmp_path, mode):
    class TwoSteps(Model):
        def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
            super().training_step(batch, batch_idx)
            detach_(self)
            self.loss(batch[0], "second half")

    model = TwoSteps(manual=True)
    trainer(tmp_path, SpikingStateReset(mode)).fit(model, loader())
    assert all(state for state in model.states("second half"))
    assert len(model.states("second half")) == 4


def test_lbfgs_runs_with_reset_and_is_refused_with_detach(tmp_path):
    trainer(tmp_path, SpikingStateReset()).fit(Model(torch.optim.LBFGS), loader())
    with pytest.raises(MisconfigurationException, match="mode='detach' cannot carry state with LBFGS"):
        trainer(tmp_path, SpikingStateReset("detach")).fit(Model(torch.optim.LBFGS), loader())


def test_accumulated_gradients(tmp_path):
    model = Model()
    trainer(tmp_path, SpikingStateReset("detach"), accumulate_grad_batches=3).fit(model, loader())
    assert [state == {} for state in model.states("train")] == [True, False, False, False]


def test_compiled_model(tmp_path):
    plain, compiled = Model(), Model()
    compiled.net = torch.compile(compiled.net, backend="eager")
    for model in (plain, compiled):
        trainer(tmp_path, SpikingStateReset("detach")).fit(model, loader())
    assert all(torch.allclose(a, b) for a, b in zip(weights(plain), weights(compiled), strict=True))
    assert compiled.states("train")[-1].keys() == plain.states("train")[-1].keys()


@pytest.mark.filterwarnings("ignore:.*ended before the epoch ended")
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_resume_within_and_at_the_end_of_an_epoch_is_bit_identical(tmp_path, stop):
    # The same batch again and again, because a plain DataLoader does not go on where it stopped.
    batches = DataLoader(TensorDataset(loader().dataset.tensors[0][:2].repeat(4, 1)), batch_size=2)
    whole = Model()
    trainer(tmp_path, SpikingStateReset("detach", save_state=True), max_epochs=2).fit(whole, batches)
    first, second = Model(), Model()
    saver = ModelCheckpoint(tmp_path, filename="mid", save_top_k=-1, every_n_train_steps=stop)
    run = trainer(
        tmp_path, saver, SpikingStateReset("detach", save_state=True), enable_checkpointing=True, max_steps=stop
    )
    run.fit(first, batches)
    (path,) = tmp_path.glob("*.ckpt")
    saved = torch.load(path, weights_only=True)["callbacks"]["SpikingStateReset[mode=detach]"]["carried"]
    assert saved.keys() == {"net.1.mem", "net.3.spk", "net.3.mem"}
    run = trainer(
        tmp_path, saver, SpikingStateReset("detach", save_state=True), enable_checkpointing=True, max_epochs=2
    )
    run.fit(second, batches, ckpt_path=path)
    for expected, found in zip(whole.states("train")[stop:], second.states("train"), strict=True):
        assert expected.keys() == found.keys()
        assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert whole.states("train")[4] == {}
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(second), strict=True))


def test_nothing_is_saved_unless_asked(tmp_path):
    run = trainer(tmp_path, SpikingStateReset("detach"))
    run.fit(Model(), loader())
    run.save_checkpoint(tmp_path / "last.ckpt")
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"] == {}


def test_detach_under_ddp_needs_buffers_of_its_own(tmp_path):
    with pytest.raises(MisconfigurationException, match=r"DDPStrategy\(broadcast_buffers=False\)"):
        one_process_ddp(tmp_path, DDPStrategy(process_group_backend="gloo"))
    options = inspect.signature(DistributedDataParallel).parameters
    flag = "forward_sync_buffers" if "forward_sync_buffers" in options else "broadcast_buffers"
    one_process_ddp(tmp_path, DDPStrategy(process_group_backend="gloo", **{flag: False}))


def one_process_ddp(tmp_path: Path, strategy: DDPStrategy) -> None:
    try:
        trainer(tmp_path, SpikingStateReset("detach"), strategy=strategy, devices=1).fit(Model(), loader())
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def test_refuses_unknown_modes_and_useless_saving():
    with pytest.raises(
        ValueError, match="SpikingStateReset: mode must be one of 'reset', 'detach', 'none', got 'zero'"
    ):
        SpikingStateReset("zero")
    with pytest.raises(ValueError, match="save_state=True needs mode='detach', got 'reset'"):
        SpikingStateReset(save_state=True)
