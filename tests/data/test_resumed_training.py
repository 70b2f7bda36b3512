"""Training that a checkpoint interrupts anywhere ends with the weights of training that was never interrupted."""

import pytest
import torch

from lightning_neuro._lightning import Callback, Trainer
from lightning_neuro.data import DigitsData
from lightning_neuro.demo.spiking_classifier import SpikingClassifier
from lightning_neuro.gradient_activation import GradientActivation

pytest.importorskip("sklearn")
EPOCHS, BATCHES = 3, 4


class FixedRate(SpikingClassifier):
    """Does not ask the Trainer how many steps there will be, so that its loader is made later."""

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.learning_rate, momentum=self.momentum)


class SaveAll(Callback):
    """Checkpoint after every batch and epoch."""

    def on_train_batch_end(self, trainer, module, *_):
        trainer.save_checkpoint(f"{trainer.default_root_dir}/step-{trainer.global_step}.ckpt")

    def on_train_epoch_end(self, trainer, module):
        trainer.save_checkpoint(f"{trainer.default_root_dir}/epoch-{trainer.global_step}.ckpt")


def trained(folder, kind, *, callbacks=(), ckpt_path=None, data=None, **options):
    torch.manual_seed(0)
    model = kind(in_features=64, hidden_features=8, num_steps=3, learning_rate=0.1)
    trainer = Trainer(
        default_root_dir=folder,
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[GradientActivation(warmup_steps=9), *callbacks],
        **options,
    )
    trainer.fit(model, datamodule=data or digits(), ckpt_path=ckpt_path)
    assert trainer.global_step == EPOCHS * BATCHES
    return model.state_dict()


def digits(workers=0):
    return DigitsData(batch_size=10, limit=40, val_size=20, num_workers=workers)


def assert_equal(found, expected):
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.fixture(scope="module", params=[SpikingClassifier, FixedRate])
def uninterrupted(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, request.param, trained(folder, request.param, callbacks=[SaveAll()])


PLACES = ["step-1", "step-3", "step-4", "epoch-4", "step-5", "step-6", "step-8", "epoch-8", "step-11"]


@pytest.mark.parametrize(("place", "workers"), [*((place, 0) for place in PLACES), ("step-3", 1), ("step-6", 1)])
def test_weights_equal_those_of_an_uninterrupted_run(tmp_path, uninterrupted, place, workers):
    folder, kind, expected = uninterrupted
    checkpoint = folder / f"{place}.ckpt"
    assert_equal(trained(tmp_path, kind, ckpt_path=checkpoint, data=digits(workers)), expected)


@pytest.mark.parametrize("place", ["step-3", "step-6"])
def test_loaders_made_anew_each_epoch(tmp_path, uninterrupted, place):
    folder, kind, expected = uninterrupted
    options = {"ckpt_path": folder / f"{place}.ckpt", "reload_dataloaders_every_n_epochs": 1}
    assert_equal(trained(tmp_path, kind, **options), expected)


def test_interrupted_twice(tmp_path, uninterrupted):
    folder, kind, expected = uninterrupted
    trained(tmp_path, kind, callbacks=[SaveAll()], ckpt_path=folder / "step-1.ckpt")
    assert_equal(trained(tmp_path, kind, ckpt_path=tmp_path / "step-3.ckpt"), expected)


@pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`, callbacks")
def test_a_checkpoint_leaves_no_trace_in_later_use_of_the_data(tmp_path, uninterrupted):
    folder, kind, expected = uninterrupted
    data = digits()
    tester = Trainer(default_root_dir=tmp_path, accelerator="cpu", logger=False, enable_progress_bar=False)
    model = kind(in_features=64, hidden_features=8, num_steps=3)
    tester.test(model, datamodule=data, ckpt_path=folder / "step-2.ckpt", verbose=False)
    data.setup("fit")
    assert len(list(data.train_dataloader())) == BATCHES
    assert_equal(trained(tmp_path, kind, data=data, ckpt_path=folder / "step-2.ckpt"), expected)
    assert len(list(data.train_dataloader())) == BATCHES
    assert_equal(trained(tmp_path, kind, data=data), expected)


def test_teardown_forgets_a_place_that_no_loader_took():
    data = digits()
    data.setup("fit")
    data.load_state_dict({"epoch": 0, "batches": 3})
    assert len(list(data.train_dataloader())) == 1
    data.load_state_dict({"epoch": 0, "batches": 3})
    data.teardown("test")
    assert len(list(data.train_dataloader())) == BATCHES


def test_state_without_a_trainer_is_empty():
    assert digits().state_dict() == {}
