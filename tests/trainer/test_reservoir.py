import importlib

import numpy as np
import pytest
import torch
from reservoirpy.nodes import Reservoir, Ridge
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from lightning_neuro import ReservoirModule, TorchReservoir
from lightning_neuro._lightning import ROOT, Callback, MisconfigurationException
from lightning_neuro.data import LabelledSeries, ResumableLoader
from lightning_neuro.reservoir.tasks import narma

MixedPrecision = importlib.import_module(f"{ROOT}.plugins").MixedPrecision
pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no")

SERIES = [narma(60, 10, seed=seed) for seed in range(24)]
X, Y = (torch.tensor(np.stack(part)) for part in zip(*SERIES, strict=True))
TRAIN, VAL = TensorDataset(X[:16], Y[:16]), TensorDataset(X[16:], Y[16:])


RIDGE = 1e-3  # with less, neither way has more digits to compare


def node(units=40, **options):
    return Reservoir(units, sr=0.9, lr=0.7, input_dim=1, seed=0, **options)


def net(*, single=False, **options):
    dtype = torch.float32 if single else None
    return ReservoirModule(
        TorchReservoir.from_node(node(), dtype=dtype), 1, **({"washout": 10, "ridge": RIDGE} | options)
    )


def loader(data, batch_size=4, **options):
    return DataLoader(data, batch_size=batch_size, **options)


def fitted(trainer, module=None, batch_size=4, val=VAL, **options):
    module = net(**options) if module is None else module
    trainer.fit(module, loader(TRAIN, batch_size), None if val is None else loader(val))
    return module


def upstream():
    """Return states, targets and weights of reservoirpy's own way."""
    states = np.concatenate([node().run(x.numpy())[10:] for x in X[:16]])
    targets = Y[:16, 10:].reshape(-1, 1).numpy()
    return states, targets, Ridge(ridge=RIDGE).fit(states, targets)


@pytest.mark.parametrize("batch_size", [1, 4, 5, 16])
def test_batches_of_any_size_give_the_weights_of_reservoirpy(make_trainer, batch_size):
    module = fitted(make_trainer(), batch_size=batch_size)
    _, _, ridge = upstream()
    np.testing.assert_allclose(module.readout.weight.detach().numpy().T, ridge.Wout, atol=1e-8)
    np.testing.assert_allclose(module.readout.bias.detach().numpy(), np.ravel(ridge.bias), atol=1e-8)


def test_what_is_logged_is_what_the_weights_do(make_trainer):
    trainer = make_trainer()
    module = fitted(trainer)
    states, targets, ridge = upstream()
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert set(logged) == {"train_loss", "val_loss", "val_nrmse", "ridge"}
    assert logged["train_loss"] == pytest.approx(((ridge.run(states) - targets) ** 2).mean(), rel=1e-5)
    error = (module(X[16:]) - Y[16:])[:, 10:]
    assert logged["val_loss"] == pytest.approx(error.square().mean().item(), rel=1e-5)
    assert logged["val_nrmse"] == pytest.approx(
        (error.square().mean() / Y[16:, 10:].var(correction=0)).sqrt().item(), rel=1e-5
    )
    again = make_trainer()
    (tested,) = again.test(module, loader(VAL), verbose=False)
    assert tested["test_loss"] == pytest.approx(logged["val_loss"])
    (seen,) = again.validate(module, loader(VAL), verbose=False)
    assert seen["val_loss"] == pytest.approx(logged["val_loss"])


def test_of_several_penalties_the_best_in_validation_is_kept(make_trainer):
    ridges = [10.0, 1e-8, 1e-3, 1.0]
    alone = []
    for ridge in ridges:
        trainer = make_trainer()
        fitted(trainer, ridge=ridge)
        alone.append(float(trainer.callback_metrics["val_loss"]))
    trainer = make_trainer()
    module = fitted(trainer, ridge=ridges)
    best = int(np.argmin(alone))
    assert float(trainer.callback_metrics["val_loss"]) == pytest.approx(alone[best], rel=1e-9)
    assert float(trainer.callback_metrics["ridge"]) == pytest.approx(ridges[best])
    same = fitted(make_trainer(), ridge=ridges[best])
    torch.testing.assert_close(module.readout.weight, same.readout.weight, atol=1e-9, rtol=0)


def test_a_step_is_a_step_and_further_epochs_change_nothing(make_trainer):
    trainer = make_trainer(max_epochs=3)
    module = fitted(trainer)
    assert trainer.global_step == 12
    once = fitted(make_trainer())
    assert torch.equal(module.readout.weight, once.readout.weight)
    stopped = make_trainer(max_steps=3, max_epochs=-1)
    fitted(stopped, val=None)
    assert stopped.global_step == 3


def test_an_epoch_begins_with_no_sums_and_so_does_another_fit(make_trainer):
    class Swapped(Callback):
        """Trains on other targets in the second epoch."""

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if trainer.current_epoch:
                batch[1].neg_()

    module = net()
    twice = make_trainer(max_epochs=2, callbacks=[Swapped()])
    twice.fit(module, loader(TensorDataset(X[:16], Y[:16].clone())))
    once = fitted(make_trainer(), val=None)
    torch.testing.assert_close(module.readout.weight, -once.readout.weight, atol=1e-12, rtol=0)
    fitted(make_trainer(), module, val=None)
    assert torch.equal(module.readout.weight, once.readout.weight)


def test_validation_within_an_epoch_solves_for_what_there_is(make_trainer):
    class Watch(Callback):
        rows = ()

        def on_validation_end(self, trainer, pl_module):
            if not trainer.sanity_checking:
                self.rows = (*self.rows, pl_module.fitting.sums.rows.item())

    watch = Watch()
    module = fitted(make_trainer(val_check_interval=2, callbacks=[watch]), ridge=[1e-6, 1e-3])
    assert watch.rows == (400, 800)
    assert module.fitting.chosen == 0


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed", "16-mixed"])
def test_precision_of_mixed_kinds_changes_nothing(make_trainer, precision):
    options = {"precision": precision}
    if precision == "16-mixed":  # Lightning turns it into bfloat16 on the CPU, unless told so.
        options = {"plugins": [MixedPrecision("16-mixed", device="cpu")]}
    trainer = make_trainer(**options)
    module = fitted(trainer, single=True)
    plain = make_trainer()
    torch.testing.assert_close(module.readout.weight.double(), fitted(plain).readout.weight, atol=1e-3, rtol=0)
    assert float(trainer.callback_metrics["val_loss"]) == pytest.approx(
        float(plain.callback_metrics["val_loss"]), rel=1e-3
    )
    assert trainer.global_step == 4
    if precision.endswith("mixed"):
        exact = fitted(make_trainer(), single=True)
        assert torch.equal(module.readout.weight, exact.readout.weight)
        found = torch.cat(trainer.predict(module, loader(X[16:].float())))
        assert torch.equal(found, exact(X[16:].float()))


@pytest.mark.parametrize("precision", ["16-true", "bf16-true"])
@pytest.mark.parametrize("readout", ["ridge", "sgd"])
def test_half_precision_is_refused_by_name(make_trainer, precision, readout):
    with pytest.raises(MisconfigurationException, match=f"ReservoirModule: precision '{precision}' keeps"):
        fitted(make_trainer(precision=precision), readout=readout)


def test_accumulation_and_clipping_leave_it_alone(make_trainer):
    trainer = make_trainer(accumulate_grad_batches=2, gradient_clip_val=0.1)
    assert torch.equal(fitted(trainer).readout.weight, fitted(make_trainer()).readout.weight)
    assert trainer.global_step == 2


@pytest.mark.parametrize("readout", ["ridge", "sgd"])
def test_a_compiled_module_learns_the_same(make_trainer, readout):
    inner, plain = net(readout=readout), net(readout=readout)
    inner.load_state_dict(plain.state_dict())
    start = plain.readout.weight.detach().clone()
    fitted(make_trainer(), plain)
    fitted(make_trainer(), torch.compile(inner, backend="eager"))
    torch.testing.assert_close(inner.readout.weight, plain.readout.weight)
    assert not torch.equal(start, plain.readout.weight)


class Resumable(ReservoirModule):
    """Brings its own data, in an order of the epoch."""

    def train_dataloader(self):
        return ResumableLoader(TRAIN, sampler=DistributedSampler(TRAIN, 1, 0, seed=3), batch_size=3)

    def val_dataloader(self):
        return loader(VAL)


class Saving(Callback):
    def __init__(self, folder):
        self.folder = folder

    def on_train_batch_end(self, trainer, pl_module, *_):
        trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")


@pytest.mark.parametrize("readout", ["ridge", "sgd"])
@pytest.mark.parametrize("stop", [2, 6, 8])
def test_a_run_resumed_within_an_epoch_equals_one_that_never_stopped(make_trainer, tmp_path, readout, stop):
    def run(checkpoint=None):
        torch.manual_seed(0)
        module = Resumable(node(), 1, washout=10, readout=readout, ridge=[1e-9, 1e-4], learning_rate=1e-2)
        trainer = make_trainer(max_epochs=2, callbacks=[] if checkpoint else [Saving(tmp_path)])
        trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
        return module, trainer

    whole, trainer = run()
    resumed, again = run(tmp_path / f"{stop}.ckpt")
    assert torch.equal(resumed.readout.weight, whole.readout.weight)
    assert torch.equal(resumed.readout.bias, whole.readout.bias)
    assert trainer.callback_metrics["val_loss"] == again.callback_metrics["val_loss"]
    assert again.global_step == trainer.global_step == 12


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_checkpoint_of_the_last_batch_leaves_a_readout_that_is_solved_and_says_what_was_not_chosen(
    make_trainer, tmp_path
):
    def run(ridge, checkpoint=None):
        module = Resumable(node(), 1, washout=10, ridge=ridge)
        keep = importlib.import_module(f"{ROOT}.callbacks").ModelCheckpoint(
            tmp_path / ("again" if checkpoint else "first"), filename="{step}", every_n_train_steps=6, save_top_k=-1
        )
        trainer = make_trainer(max_epochs=1, callbacks=[keep], enable_checkpointing=True)
        trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
        return module

    whole = run([1e-4, 1e2])
    with pytest.warns(UserWarning, match=r"ridge 0\.0001 was taken, which was not chosen"):
        resumed = run([1e-4, 1e2], tmp_path / "first" / "step=6.ckpt")
    assert whole.fitting.ridge == resumed.fitting.ridge == 1e-4
    torch.testing.assert_close(resumed.readout.weight, whole.readout.weight, rtol=0, atol=0)


def test_a_checkpoint_is_usable_alone(make_trainer, tmp_path):
    trainer = make_trainer()
    module = fitted(trainer, ridge=np.logspace(-9, 0, 4))
    trainer.save_checkpoint(tmp_path / "done.ckpt")
    reservoir = TorchReservoir(torch.zeros(40, 40).double(), torch.zeros(40, 1))
    loaded = ReservoirModule.load_from_checkpoint(tmp_path / "done.ckpt", reservoir=reservoir, weights_only=True)
    assert loaded.washout == 10
    assert torch.equal(loaded(X[16:]), module(X[16:]))
    assert torch.equal(fitted(make_trainer(), loaded, val=VAL).readout.weight, module.readout.weight)


def classes():
    """Return noisy waves of unlike lengths, at three heights, and which of these."""
    rng = np.random.default_rng(0)
    labels = torch.tensor(rng.integers(0, 3, 150))
    steps = [np.arange(rng.integers(10, 30)) for _ in labels]
    waves = [label - 1 + np.sin(at + rng.uniform(0, 6)) for label, at in zip(labels.tolist(), steps, strict=True)]
    return LabelledSeries([(wave + rng.normal(0, 0.05, len(wave)))[:, None] for wave in waves], labels)


def class_loader(part, batch_size=10):
    places = range(100) if part == "train" else range(100, 150)
    return DataLoader(classes(), batch_size=batch_size, sampler=places, collate_fn=collated)


def collated(samples):
    series, labels = zip(*samples, strict=True)
    part = LabelledSeries([one.numpy() for one in series], torch.stack(labels))
    return part.batch(range(len(part)))


@pytest.mark.parametrize("readout", ["ridge", "sgd"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_series_of_unlike_lengths_are_told_apart(make_trainer, readout, pooling):
    torch.manual_seed(0)
    trainer = make_trainer(max_epochs=1 if readout == "ridge" else 10)
    options = {"readout": readout, "pooling": pooling, "ridge": [1e-6, 1e-2, 1.0], "learning_rate": 0.03}
    module = ReservoirModule(
        node(100, bias=np.linspace(-1, 1, 100)), 3, task="classification", input_to_readout=True, **options
    )
    trainer.fit(module, class_loader("train"), class_loader("val"))
    logged = trainer.callback_metrics
    assert logged["val_accuracy"] > 0.9
    labels = torch.cat(trainer.predict(module, class_loader("val")))
    wanted = classes().labels[100:]
    assert (labels == wanted).float().mean().item() == pytest.approx(logged["val_accuracy"].item())
    (tested,) = trainer.test(module, class_loader("val", batch_size=7), verbose=False)
    assert tested["test_accuracy"] == pytest.approx(logged["val_accuracy"].item())
    assert tested["test_loss"] == pytest.approx(logged["val_loss"].item(), rel=1e-5)


@pytest.mark.parametrize("pooling", ["none", "mean"])
def test_padding_counts_for_nothing(make_trainer, pooling):
    lengths = torch.randint(20, 61, (16,), generator=torch.Generator().manual_seed(0))
    x, y = X[:16].clone(), Y[:16].clone()
    for row, stop in enumerate(lengths.tolist()):
        x[row, stop:], y[row, stop:] = torch.nan, 1e3
    y = y if pooling == "none" else y[:, 15]
    whole = net(pooling=pooling, ridge=1e-2, input_to_readout=True)
    make_trainer().fit(whole, loader(TensorDataset(x, y, lengths)))
    alone = net(pooling=pooling, ridge=1e-2, input_to_readout=True)
    one_by_one = [
        (x[r : r + 1, :stop], y[r : r + 1, :stop] if y.ndim == 3 else y[r : r + 1]) for r, stop in enumerate(lengths)
    ]
    make_trainer().fit(alone, DataLoader(one_by_one, batch_size=None))
    torch.testing.assert_close(whole.readout.weight, alone.readout.weight, atol=1e-9, rtol=0)


def test_labels_of_each_step_may_be_missing(make_trainer):
    labels = (Y[..., 0] > Y.mean()).long()
    labels[:, ::3] = -100
    data = DataLoader(TensorDataset(X, labels), batch_size=6)
    trainer = make_trainer()
    module = ReservoirModule(node(), 2, task="classification", ridge=1e-6)
    trainer.fit(module, data, data)
    known = labels != -100
    rate = (module(X).argmax(-1) == labels)[known].float().mean().item()
    assert trainer.callback_metrics["val_accuracy"].item() == pytest.approx(rate)
    assert rate > 0.7


@pytest.mark.parametrize("trainable", [False, ("W", "Win")])
def test_gradients_train_the_readout_and_what_is_trainable(make_trainer, trainable):
    reservoir = TorchReservoir.from_node(node(), trainable=trainable)
    before = {name: part.detach().clone() for name, part in reservoir.state_dict().items()}
    torch.manual_seed(0)
    trainer = make_trainer(max_epochs=4)
    module = fitted(trainer, ReservoirModule(reservoir, 1, readout="sgd", washout=10, learning_rate=1e-2))
    assert trainer.callback_metrics["val_nrmse"] < 1.2
    assert trainer.callback_metrics["train_loss"] < 0.02
    moved = {name for name, part in module.reservoir.state_dict().items() if not torch.equal(part, before[name])}
    assert moved == set(trainable or ())


def test_gradients_go_on_from_ridge_regression(make_trainer):
    trainer = make_trainer()
    solved = fitted(trainer)
    going_on = net(readout="sgd")
    going_on.load_state_dict(solved.state_dict())
    (seen,) = make_trainer().validate(going_on, loader(VAL), verbose=False)
    assert seen["val_loss"] == pytest.approx(float(trainer.callback_metrics["val_loss"]))


def test_mixed_precision_by_gradients(make_trainer):
    trainer = make_trainer(max_epochs=3, plugins=[MixedPrecision("16-mixed", device="cpu")])
    torch.manual_seed(0)
    fitted(trainer, single=True, readout="sgd", learning_rate=1e-2)
    plain = make_trainer(max_epochs=3)
    torch.manual_seed(0)
    fitted(plain, single=True, readout="sgd", learning_rate=1e-2)
    assert float(trainer.callback_metrics["val_loss"]) == pytest.approx(
        float(plain.callback_metrics["val_loss"]), rel=0.05
    )


def test_several_penalties_need_validation(make_trainer):
    with pytest.raises(MisconfigurationException, match="2 values of ridge are compared on validation data"):
        fitted(make_trainer(), val=None, ridge=[1.0, 2.0])


def test_nothing_to_learn_from_is_told(make_trainer):
    with pytest.raises(ValueError, match="expected at least one target to learn from"):
        make_trainer().fit(net(washout=60), loader(TRAIN))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"outputs": 0}, ValueError, "outputs must be at least 1"),
        ({"readout": "lasso"}, ValueError, "readout must be one of 'ridge', 'sgd', got 'lasso'"),
        ({"task": "both"}, ValueError, "task must be one of"),
        ({"pooling": "max"}, ValueError, "pooling must be one of"),
        ({"ridge": -1.0}, ValueError, "ridge must be at least 0, got -1.0"),
        ({"ridge": []}, ValueError, "ridge must be a number or several, got none"),
        ({"ridge": "1"}, TypeError, "ridge must be a number, got '1'"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be greater than 0"),
        ({"washout": -1}, ValueError, "washout must be at least 0"),
        ({"input_to_readout": 1}, TypeError, "input_to_readout must be"),
        ({"reservoir": nn.RNN(1, 2)}, TypeError, "expected a reservoir with W"),
        ({"reservoir": Reservoir(5)}, ValueError, "Give input_dim"),
        ({"reservoir": TorchReservoir([[0.5]], [[1.0]], trainable=True)}, ValueError, "trains the readout only"),
    ],
)
def test_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        ReservoirModule(**({"reservoir": node(), "outputs": 1} | options))
