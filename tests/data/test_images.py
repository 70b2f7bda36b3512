import pickle
from itertools import chain

import pytest
import torch

from lightning_neuro._lightning import ROOT, ROOTS, Callback, LightningModule, Trainer
from lightning_neuro.data import ImageDataModule
from lightning_neuro.data.image_kind import ImageKind, RawImages

TRAIN, TEST = 60, 20


class TinyData(ImageDataModule):
    """60 training images that carry their own number in their pixels, three classes; 20 test images from 200 on."""

    reads = ""

    @property
    def kind(self):
        return ImageKind("tiny", ("a", "b", "c"), (1, 1, 2), mean=(0.5,), std=(0.25,))

    def prepare_data(self):
        pass

    def read_images(self, *, train):
        self.reads += "train " if train else "test "
        numbers = torch.arange(TRAIN) if train else torch.arange(200, 200 + TEST)
        return RawImages(numbers.to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 1, 2), numbers % 3)


class Recorder(LightningModule):
    """Linear classifier that notes which images it was shown."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 3)
        torch.nn.init.zeros_(self.layer.weight)
        torch.nn.init.zeros_(self.layer.bias)
        self.seen = {"train": [], "val": [], "test": []}

    def _loss(self, part, batch):
        x, y = batch
        self.seen[part].append(y.tolist() if part != "train" else [self.current_epoch, *numbers(x)])
        return torch.nn.functional.cross_entropy(self(x), y)

    def forward(self, x):
        return self.layer(x)

    def training_step(self, batch, index):
        return self._loss("train", batch)

    def validation_step(self, batch, index):
        self._loss("val", batch)

    def test_step(self, batch, index):
        self._loss("test", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1, momentum=0.9)


def tiny(**options):
    return TinyData(**{"batch_size": 7, "flatten": True, "val_size": 12} | options)


def numbers(x):
    return (x[:, 0] * 0.25 * 255 + 0.5 * 255).round().int().tolist()


def members(images):
    return sorted(images.pixels[:, 0, 0, 0].tolist())


def trainer(path, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return Trainer(default_root_dir=path, **quiet | {"enable_checkpointing": False} | options)


def loaded(**options):
    data = tiny(**options)
    data.setup("fit")
    return data


@pytest.mark.parametrize(("val_size", "count"), [(12, 12), (0.2, 12), (0, 0), (0.0, 0), (59, 59)])
def test_train_and_validation_are_disjoint_and_cover(val_size, count):
    data = loaded(val_size=val_size)
    assert len(data.val_set) == count
    assert sorted(members(data.train_set) + members(data.val_set)) == list(range(TRAIN))


def test_validation_is_stratified():
    assert loaded().val_set.labels.bincount().tolist() == [4, 4, 4]


def test_split_depends_on_the_seed_only():
    torch.manual_seed(5)
    first = members(loaded(seed=1).val_set)
    torch.manual_seed(6)
    assert members(loaded(seed=1, batch_size=3, limit=9, normalize=False).val_set) == first
    assert members(loaded(seed=2).val_set) != first


def test_limit_is_stratified_nested_and_leaves_validation_alone():
    small, large, whole = (loaded(limit=limit) for limit in (6, 30, None))
    assert small.train_set.labels.bincount().tolist() == [2, 2, 2]
    assert set(members(small.train_set)) < set(members(large.train_set)) < set(members(whole.train_set))
    assert members(small.val_set) == members(whole.val_set)


def test_each_stage_reads_once_and_fit_never_reads_test():
    data = tiny()
    for stage in ("fit", "validate", "fit"):
        data.setup(stage)
    assert data.reads == "train "
    assert data.test_set is None
    data.setup("test")
    data.setup("predict")
    assert data.reads == "train test "


def test_setup_without_a_stage_loads_everything():
    data = tiny()
    data.setup()
    assert (len(data.train_set), len(data.val_set), len(data.test_set)) == (48, 12, 20)


@pytest.mark.parametrize(("normalize", "expected"), [(True, (200 / 255 - 0.5) / 0.25), (False, 200 / 255)])
@pytest.mark.parametrize("flatten", [True, False])
def test_values_and_shapes(normalize, expected, flatten):
    data = tiny(normalize=normalize, flatten=flatten)
    data.setup("test")
    x, y = next(iter(data.test_dataloader()))
    assert x.shape == ((7, 2) if flatten else (7, 1, 1, 2))
    assert x[0].flatten().tolist() == pytest.approx([expected] * 2, rel=1e-6)
    assert y.tolist() == [number % 3 for number in range(200, 207)]
    assert (data.num_classes, data.class_names, data.image_shape, data.num_features) == (3, tuple("abc"), (1, 1, 2), 2)


def test_training_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        data = loaded(val_size=0, seed=seed)
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        return [number for x, _ in loader for number in numbers(x)]

    assert order(0, 0) == order(0, 0)
    assert sorted(order(0, 1)) == list(range(TRAIN))
    samplers = [loaded(val_size=0, seed=seed).train_dataloader().sampler for seed in (0, 1)]
    assert list(samplers[0]) != list(samplers[1])
    samplers[0].set_epoch(1)
    assert list(samplers[0]) != list(samplers[1]), "seed 0 in epoch 1 must differ from seed 1 in epoch 0"
    assert order(0, 0) != order(0, 1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "TinyData: batch_size must be at least 1, got 0"),
        ({"batch_size": 2.5}, TypeError, "TinyData: batch_size must be an integer"),
        ({"val_size": -1}, ValueError, "TinyData: val_size must be at least 0, got -1"),
        ({"val_size": 1.0}, ValueError, r"TinyData: val_size \(a fraction\) must be .* less than 1, got 1.0"),
        ({"val_size": "many"}, TypeError, "TinyData: val_size must be an integer"),
        ({"seed": -1}, ValueError, "TinyData: seed must be at least 0"),
        ({"num_workers": -1}, ValueError, "TinyData: num_workers must be at least 0"),
        ({"limit": 0}, ValueError, "TinyData: limit must be at least 1"),
        ({"typo": 0}, TypeError, "unexpected keyword argument 'typo'"),
    ],
)
def test_bad_options_are_refused_by_name(options, error, message):
    with pytest.raises(error, match=message):
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


def test_pickles_with_its_images():
    data = loaded()
    copy = pickle.loads(pickle.dumps(data))
    assert members(copy.val_set) == members(data.val_set)


def test_a_trainer_sees_the_right_images_in_each_stage(tmp_path):
    data, model = tiny(), Recorder()
    run = trainer(tmp_path, max_epochs=2, num_sanity_val_steps=0)
    run.fit(model, datamodule=data)
    assert data.reads == "train "
    for epoch in (0, 1):
        shown = [number for first, *batch in model.seen["train"] for number in batch if first == epoch]
        assert sorted(shown) == members(data.train_set)
    assert sum(map(len, model.seen["val"])) == 2 * 12
    run.validate(model, datamodule=data, verbose=False)
    assert data.reads == "train "
    run.test(model, datamodule=data, verbose=False)
    assert list(chain(*model.seen["test"])) == [number % 3 for number in range(200, 220)]


def test_predict_gives_the_test_images_in_order_to_the_default_step(tmp_path):
    data, model = tiny(), Recorder()
    with torch.no_grad():
        model.layer.weight[0, 0] = 1.0
    outputs = torch.cat(trainer(tmp_path).predict(model, datamodule=data))
    assert [round((out * 0.25 + 0.5).item() * 255) for out in outputs[:, 0]] == list(range(200, 220))
    assert data.reads == "test "


def test_without_validation_images_a_fit_just_trains(tmp_path):
    model = Recorder()
    with pytest.warns(UserWarning, match="across ranks is zero"):
        trainer(tmp_path, max_epochs=1).fit(model, datamodule=tiny(val_size=0))
    assert model.seen["val"] == []
    assert sum(len(batch) - 1 for batch in model.seen["train"]) == TRAIN


def test_a_trainer_of_the_other_root_is_named():
    (other,) = set(ROOTS) - {ROOT}
    data = tiny()
    foreign = type("Trainer", (), {"__module__": f"{other}.trainer.trainer"})()
    with pytest.raises(TypeError, match=f"TinyData: expected a Trainer of {ROOT}, got one of {other}"):
        data.trainer = foreign


class Share(Callback):
    """Write down what this process was shown in training."""

    def on_train_end(self, trainer, module):
        torch.save(module.seen["train"], f"{trainer.default_root_dir}/rank-{trainer.global_rank}.pt")


@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_two_processes_share_the_images_of_each_epoch(tmp_path):
    data = tiny(val_size=0.2, batch_size=6)
    run = trainer(tmp_path, max_epochs=2, strategy="ddp_fork", devices=2, limit_val_batches=0, callbacks=[Share()])
    run.fit(Recorder(), datamodule=data)
    data.setup("fit")
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt") for rank in (0, 1))
    orders = []
    for epoch in (0, 1):
        halves = [[n for e, *batch in seen for n in batch if e == epoch] for seen in (first, second)]
        assert [len(half) for half in halves] == [24, 24]
        assert sorted(halves[0] + halves[1]) == members(data.train_set)
        orders.append(halves)
    assert orders[0] != orders[1]


class Save(Callback):
    """Checkpoint after every batch, validation and epoch, under names that tell which."""

    def on_train_batch_end(self, trainer, module, *_):
        trainer.save_checkpoint(f"{trainer.default_root_dir}/step-{trainer.global_step}.ckpt")

    def on_validation_end(self, trainer, module):
        trainer.save_checkpoint(f"{trainer.default_root_dir}/validated-{trainer.global_step}.ckpt")

    def on_train_epoch_end(self, trainer, module):
        trainer.save_checkpoint(f"{trainer.default_root_dir}/epoch-{trainer.global_step}.ckpt")


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """Three epochs of seven batches, validated twice per epoch, with a checkpoint at every turn."""
    folder, model = tmp_path_factory.mktemp("whole"), Recorder()
    trainer(folder, max_epochs=3, val_check_interval=4, num_sanity_val_steps=0, callbacks=[Save()]).fit(
        model, datamodule=tiny()
    )
    return folder, model


RESUME = ["step-1", "step-4", "validated-4", "step-6", "step-7", "epoch-7", "step-8", "validated-11", "epoch-14"]


@pytest.mark.parametrize(("name", "workers"), [*((name, 0) for name in RESUME), ("step-9", 1), ("epoch-7", 1)])
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, whole_run, name, workers):
    folder, whole = whole_run
    resumed, data = Recorder(), tiny(num_workers=workers)
    options = {"max_epochs": 3, "val_check_interval": 4, "num_sanity_val_steps": 0}
    trainer(tmp_path, **options).fit(resumed, datamodule=data, ckpt_path=folder / f"{name}.ckpt")
    done = int(name.split("-")[1])
    assert resumed.seen["train"] == whole.seen["train"][done:]
    for key, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key


def test_checkpoints_hold_plain_types_only(whole_run):
    content = torch.load(whole_run[0] / "step-4.ckpt", weights_only=True)
    assert content["datamodule_hyper_parameters"]["val_size"] == 12
