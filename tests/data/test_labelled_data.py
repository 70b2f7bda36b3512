import pickle

import numpy as np
import pytest
import torch

from lightning_neuro._lightning import ROOT, ROOTS, Callback, LightningModule, Trainer
from lightning_neuro.data.binned_events import BinnedEvents
from lightning_neuro.data.labelled_data import LabelledDataModule

TRAIN, TEST, STEPS = 60, 20, 7


class TinyData(LabelledDataModule):
    """60 training samples that carry their own number in binary in their first step; three classes."""

    title, class_names, num_features = "tiny", ("a", "b", "c"), 8
    reads = ""

    def read_samples(self, *, train):
        self.reads += "train " if train else "test "
        return samples(range(TRAIN) if train else range(200, 200 + TEST))


class WithValidation(TinyData):
    def read_validation(self):
        return samples(range(100, 110))


def samples(numbers):
    channels = [np.flatnonzero([number >> bit & 1 for bit in range(8)]) for number in numbers]
    events = [(np.zeros_like(on), on) for on in channels]
    return BinnedEvents.from_events(
        events, [number % 3 for number in numbers], num_steps=STEPS, duration=STEPS, shape=(8,)
    )


def numbers(spikes):
    return (spikes[0].long() * 2 ** torch.arange(8)).sum(-1).tolist()


def members(part):
    return sorted(numbers(part.batch(range(len(part)))[0]))


class Recorder(LightningModule):
    """Linear classifier of spike counts that notes which samples it was shown."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(8, 3)
        torch.nn.init.zeros_(self.layer.weight)
        torch.nn.init.zeros_(self.layer.bias)
        self.seen = []

    def forward(self, spikes):
        return self.layer(spikes.float().sum(0))

    def training_step(self, batch, index):
        spikes, labels = batch
        self.seen.append([self.current_epoch, *numbers(spikes)])
        return torch.nn.functional.cross_entropy(self(spikes), labels)

    def validation_step(self, batch, index):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1, momentum=0.9)


def tiny(kind=TinyData, **options):
    return kind(**{"batch_size": 7, "val_size": 12} | options)


def loaded(kind=TinyData, **options):
    data = tiny(kind, **options)
    data.setup("fit")
    return data


def trainer(path, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return Trainer(default_root_dir=path, **quiet | {"enable_checkpointing": False, "max_epochs": 3} | options)


@pytest.mark.parametrize(("val_size", "count"), [(12, 12), (0.2, 12), (0, 0), (59, 59)])
def test_train_and_validation_are_disjoint_and_cover(val_size, count):
    data = loaded(val_size=val_size)
    assert len(data.val_set) == count
    assert sorted(members(data.train_set) + members(data.val_set)) == list(range(TRAIN))


def test_split_is_stratified_and_depends_on_the_seed_only():
    torch.manual_seed(5)
    first = loaded(seed=1).val_set
    assert first.labels.bincount().tolist() == [4, 4, 4]
    torch.manual_seed(6)
    assert members(loaded(seed=1, batch_size=3, limit=9).val_set) == members(first)
    assert members(loaded(seed=2).val_set) != members(first)


def test_limit_is_nested_and_leaves_validation_alone():
    small, whole = loaded(limit=6), loaded()
    assert small.train_set.labels.bincount().tolist() == [2, 2, 2]
    assert set(members(small.train_set)) < set(members(whole.train_set))
    assert members(small.val_set) == members(whole.val_set)


def test_an_official_validation_part_is_taken_whole():
    data = loaded(WithValidation, val_size=0)
    assert members(data.val_set) == list(range(100, 110))
    assert members(data.train_set) == list(range(TRAIN))


def test_each_stage_reads_once_and_fit_never_reads_test():
    data = tiny()
    for stage in ("fit", "validate", "fit"):
        data.setup(stage)
    assert data.reads == "train "
    assert data.test_set is None
    data.setup(None)
    data.setup("predict")
    assert data.reads == "train test "


def test_training_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        loader = loaded(val_size=0, seed=seed).train_dataloader()
        loader.sampler.set_epoch(epoch)
        return [number for spikes, _ in loader for number in numbers(spikes)]

    assert order(0, 0) == order(0, 0)
    assert sorted(order(0, 1)) == list(range(TRAIN))
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_predict_gives_the_test_inputs_in_order_to_the_default_step(tmp_path):
    data, model = tiny(), Recorder()
    with torch.no_grad():
        model.layer.weight[0] = 2.0 ** torch.arange(8)
    outputs = torch.cat(trainer(tmp_path).predict(model, datamodule=data))
    assert outputs[:, 0].round().int().tolist() == list(range(200, 220))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"val_size": 1.0}, ValueError, r"val_size \(a fraction\) must be .* less than 1, got 1.0"),
        ({"val_size": "many"}, TypeError, "val_size must be an integer"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"num_workers": -1}, ValueError, "num_workers must be at least 0"),
        ({"limit": 0}, ValueError, "limit must be at least 1"),
    ],
)
def test_bad_options_are_refused_by_name(options, error, message):
    with pytest.raises(error, match=f"TinyData: {message}"):
        TinyData(**options)


@pytest.mark.parametrize("options", [{"val_size": 60}, {"val_size": 50, "limit": 11}])
def test_what_does_not_fit_is_refused(options):
    with pytest.raises(ValueError, match="must fit into the 60 training samples of tiny, got"):
        loaded(**options)


def test_loaders_before_setup_say_what_to_do():
    with pytest.raises(RuntimeError, match=r"TinyData: no samples yet\. Call setup\('fit'\)"):
        tiny().train_dataloader()
    with pytest.raises(RuntimeError, match=r"setup\('test'\)"):
        tiny().predict_dataloader()


def test_pickles_with_its_samples():
    data = loaded()
    assert members(pickle.loads(pickle.dumps(data)).val_set) == members(data.val_set)


def test_the_other_lightning_is_named():
    (other,) = set(ROOTS) - {ROOT}
    foreign = type("Trainer", (), {"__module__": f"{other}.trainer.trainer"})()
    with pytest.raises(TypeError, match=f"TinyData: expected a Trainer of {ROOT}, got one of {other}"):
        tiny().trainer = foreign


class Save(Callback):
    """Checkpoint after every batch and epoch."""

    def on_train_batch_end(self, trainer, module, *_):
        trainer.save_checkpoint(f"{trainer.default_root_dir}/step-{trainer.global_step}.ckpt")

    def on_train_epoch_end(self, trainer, module):
        trainer.save_checkpoint(f"{trainer.default_root_dir}/epoch-{trainer.global_step}.ckpt")


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """Three epochs of seven batches."""
    folder, model = tmp_path_factory.mktemp("whole"), Recorder()
    trainer(folder, callbacks=[Save()]).fit(model, datamodule=tiny())
    return folder, model


@pytest.mark.parametrize(("name", "workers"), [("step-3", 0), ("epoch-7", 0), ("step-11", 0), ("step-9", 1)])
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, whole_run, name, workers):
    folder, whole = whole_run
    resumed = Recorder()
    trainer(tmp_path).fit(resumed, datamodule=tiny(num_workers=workers), ckpt_path=folder / f"{name}.ckpt")
    assert resumed.seen == whole.seen[int(name.split("-")[1]) :]
    for key, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key


def test_loaders_made_anew_go_on_and_setup_and_teardown_forget(whole_run):
    data = loaded()
    for state, count in (({"epoch": 0, "batches": 3}, 4), (None, 7)):
        if state is not None:
            data.load_state_dict(state)
        assert len(list(data.train_dataloader())) == count
    for forget in (data.teardown, data.setup):
        data.load_state_dict({"epoch": 0, "batches": 3})
        forget("fit")
        assert len(list(data.train_dataloader())) == 7
    assert data.state_dict() == {}


def test_checkpoints_hold_plain_types_only(whole_run):
    content = torch.load(whole_run[0] / "step-3.ckpt", weights_only=True)
    assert content["datamodule_hyper_parameters"]["val_size"] == 12
