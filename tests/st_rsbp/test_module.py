"""`STRSBP` by itself: what it is given, what it computes, what it refuses. With a real Trainer: `tests/trainer`."""

import copy
import pickle

import pytest
import torch
from support.count_learning import CLASSES, INPUTS, STEPS, Trains, learner, loader, network, time_first, weights
from torch import Tensor, nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau

from lightning_neuro._lightning import MisconfigurationException
from lightning_neuro.st_rsbp import Boosting, CountLoss, ExponentialRegulariser, GradientRule, SpikingLayer
from lightning_neuro.st_rsbp.module import STRSBP

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")


def batch(size: int = 6, *, index: bool = False) -> tuple[Tensor, ...]:
    return time_first([Trains(index=index)[place] for place in range(size)])


def by_hand(net, batches, steps_of, **options) -> Tensor:
    """The same training written out: Adam, and lr / sqrt(epoch + 1)."""
    net.train()
    optimizer = Adam(net.parameters(), lr=0.05)
    for epoch in range(steps_of):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 / (epoch + 1) ** 0.5
        for spikes, targets in batches:
            optimizer.zero_grad()
            net(spikes)
            net.backward(targets, loss=CountLoss(8, 1, 1), **options)
            optimizer.step()
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_training_equals_a_loop_written_out(make_trainer):
    model = learner()
    make_trainer(max_epochs=3).fit(model, loader())
    assert torch.equal(weights(model), by_hand(network(), list(loader()), 3))


@pytest.mark.parametrize("regulariser", [None, ExponentialRegulariser(1.0, 0.5, 2.0)])
def test_options_of_the_backward_pass_reach_it(make_trainer, regulariser):
    model = learner(gradient="published", regulariser=regulariser)
    make_trainer().fit(model, loader())
    expected = by_hand(network(), list(loader()), 1, rule=GradientRule.published(), regulariser=regulariser)
    assert torch.equal(weights(model), expected)


def test_it_learns(make_trainer):
    model = learner()
    trainer = make_trainer(max_epochs=8)
    trainer.fit(model, loader())
    assert trainer.callback_metrics["train_accuracy"] > 0.9
    [found] = trainer.test(model, loader(), verbose=False)
    assert found["test_accuracy"] > 0.9


def test_no_autograd_graph(make_trainer):
    seen = []

    class Watching(STRSBP):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            seen.append(loss)
            seen.extend(p.grad for p in self.network.parameters())
            return loss

    make_trainer().fit(learner(kind=Watching), loader())
    assert seen
    assert all(each.grad_fn is None and not each.requires_grad for each in seen)


def test_what_is_logged(make_trainer):
    model = learner()
    trainer = make_trainer()
    trainer.fit(model, loader(batch_size=24), loader(batch_size=24))
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    net = network()
    counts = net(batch(24)[0])
    rates = net.rates()
    result = net.backward(batch(24)[1], loss=CountLoss(8, 1, 1))
    assert logged["train_loss"] == pytest.approx(float(result.loss))
    assert logged["train_accuracy"] == pytest.approx(float((counts.argmax(1) == batch(24)[1]).float().mean()))
    assert logged["st_rsbp/firing_rate/0"] == pytest.approx(float(rates["0"]))
    assert logged["st_rsbp/firing_rate/1"] == pytest.approx(float(rates["1"]))
    assert logged["st_rsbp/clamped_fraction"] == pytest.approx(float(result.clamped))
    assert logged["st_rsbp/teacher_forced"] == float(result.teacher_forced)
    assert {"val_loss", "val_accuracy", "st_rsbp/given_up"} <= set(logged)


def test_teacher_forcing_is_counted_over_the_epoch(make_trainer):
    silent = network()
    for parameter in silent.parameters():
        parameter.data.zero_()
    trainer = make_trainer()
    trainer.fit(learner(silent, learning_rate=1e-9), loader(batch_size=5))
    assert trainer.callback_metrics["st_rsbp/teacher_forced"] == 24
    trainer = make_trainer()
    trainer.fit(learner(silent, learning_rate=1e-9, teacher_forcing=False), loader(batch_size=5))
    assert trainer.callback_metrics["st_rsbp/teacher_forced"] == 0


def test_predict_gives_classes_or_counts(make_trainer):
    model = learner()
    counts = torch.cat([model.eval()(spikes) for spikes, _ in loader()])
    found = torch.cat(make_trainer().predict(model, loader()))
    assert torch.equal(found, counts.argmax(1))
    inputs_alone = torch.utils.data.DataLoader(Trains().spikes.transpose(0, 1)[None], batch_size=None)
    model = learner(predict="counts")
    assert torch.equal(torch.cat(make_trainer().predict(model, inputs_alone)), counts)


def test_predict_takes_inputs_alone_in_a_tuple_and_several_loaders(make_trainer):
    model, spikes = learner(), batch()[0]
    alone = torch.utils.data.DataLoader([(spikes,)], batch_size=None)
    [found] = make_trainer().predict(model, alone)
    assert torch.equal(found, model.eval()(spikes).argmax(1))
    assert len(make_trainer().predict(model, [alone, alone])) == 2
    trainer = make_trainer()
    trainer.test(model, [loader(), loader()], verbose=False)
    assert "test_accuracy/dataloader_idx_1" in trainer.callback_metrics


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_a_loss_with_targets_of_its_own_forces_nothing_and_hears_nothing_of_desired_counts(make_trainer, dtype):
    class Total(STRSBP):
        def loss_on_counts(self, counts, targets):
            difference = counts.sum(1, keepdim=True) - targets[:, None]
            return difference.square()[:, 0], difference.expand_as(counts)

    silent = network()
    silent.layers[1].weight.data.fill_(-1.0)
    data = [(spikes, (7 + targets).to(dtype)) for spikes, targets in loader()]
    trainer = make_trainer()
    trainer.fit(learner(silent, kind=Total, desired_count=35), torch.utils.data.DataLoader(data, batch_size=None))
    assert trainer.callback_metrics["st_rsbp/teacher_forced"] == 0


def test_hooks_set_loss_and_wanted_counts(make_trainer):
    class Own(STRSBP):
        def target_counts(self, counts, targets):
            return nn.functional.one_hot(targets.flip(0), CLASSES).to(counts) * 6

        def loss_on_counts(self, counts, targets):
            difference = counts - self.target_counts(counts, targets)
            return difference.abs().sum(1), difference.sign()

    model = learner(kind=Own)
    trainer = make_trainer()
    trainer.fit(model, loader(batch_size=24))
    net = network()
    counts = net(batch(24)[0])
    wanted = nn.functional.one_hot(batch(24)[1].flip(0), CLASSES) * 6
    assert trainer.callback_metrics["train_loss"] == pytest.approx(float((counts - wanted).abs().sum(1).mean()))


def test_targets_that_are_no_classes_have_no_accuracy(make_trainer):
    class Total(STRSBP):
        def loss_on_counts(self, counts, targets):
            difference = counts.sum(1, keepdim=True) - targets[:, None]
            return difference.square()[:, 0], difference.expand_as(counts)

    model = learner(kind=Total, teacher_forcing=False)
    data = [(spikes, 5.0 * targets) for spikes, targets in loader()]
    trainer = make_trainer()
    trainer.fit(model, torch.utils.data.DataLoader(data, batch_size=None))
    assert "train_loss" in trainer.callback_metrics
    assert "train_accuracy" not in trainer.callback_metrics


def test_wanted_counts_as_targets_equal_classes(make_trainer):
    classes, counts = learner(), learner()
    wanted = [(spikes, 1 + 7.0 * nn.functional.one_hot(targets, CLASSES)) for spikes, targets in loader()]
    make_trainer().fit(classes, loader())
    trainer = make_trainer()
    trainer.fit(counts, torch.utils.data.DataLoader(wanted, batch_size=None))
    assert torch.equal(weights(classes), weights(counts))
    assert "train_accuracy" in trainer.callback_metrics


def test_the_encoder_gets_the_index_if_it_fixes_spikes(make_trainer):
    class ByIndex(nn.Module):
        fixed = True

        def forward(self, inputs, index):
            seen.append(index.tolist())
            return inputs

    seen = []
    make_trainer().fit(learner(encoder=ByIndex()), loader(index=True))
    assert seen == [list(range(start, start + 8)) for start in (0, 8, 16)]


def test_hyperparameters_are_plain():
    model = learner(regulariser=ExponentialRegulariser(), gradient=GradientRule(), boosting=Boosting(24))
    assert set(model.hparams) & {"network", "encoder", "regulariser", "gradient", "boosting"} == set()
    assert model.hparams["desired_count"] == 8
    assert learner(gradient="published").hparams["gradient"] == "published"


def test_a_checkpoint_holds_plain_values_and_loads(make_trainer, tmp_path):
    model, path = learner(boosting=Boosting(24)), tmp_path / "last.ckpt"
    trainer = make_trainer()
    trainer.fit(model, loader(index=True))
    trainer.save_checkpoint(path)
    torch.load(path, weights_only=True)
    again = STRSBP.load_from_checkpoint(path, network=network(seed=1))
    assert torch.equal(weights(again), weights(model))
    assert again.count_loss == model.count_loss


def test_copies_work_in_the_middle_of_things(make_trainer):
    model = learner(boosting=Boosting(24), accumulate_grad_batches=2)
    make_trainer().fit(model, loader(index=True))
    model.network(batch()[0])
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        make_trainer().fit(copied, loader(index=True))
        assert not torch.equal(weights(copied), weights(model))


def test_a_list_of_layers_is_a_network():
    model = STRSBP([SpikingLayer(4, 2, threshold=2.0)])
    assert len(model.network.layers) == 1


class WithOptimizers(STRSBP):
    made = None

    def configure_optimizers(self):
        return type(self).made(self.network.parameters())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda p: [SGD([weight], lr=0.1) for weight in list(p)[:2]], "must return one optimizer, got 2"),
        (lambda p: torch.optim.LBFGS(p), "LBFGS is not supported"),
        (lambda p: ([o := SGD(p, lr=0.1)], [ReduceLROnPlateau(o)]), "ReduceLROnPlateau needs a metric"),
    ],
)
def test_optimizers_that_could_not_work_are_refused(make_trainer, make, told):
    kind = type("Own", (WithOptimizers,), {"made": staticmethod(make)})
    with pytest.raises(MisconfigurationException, match=told):
        make_trainer().fit(learner(kind=kind), loader())


@pytest.mark.filterwarnings("ignore:`LightningModule.configure_optimizers` returned `None`")
@pytest.mark.parametrize("make", [lambda p: None, lambda p: SGD([nn.Parameter(torch.zeros(1))], lr=0.1)])
def test_an_optimizer_of_nothing_is_refused(make_trainer, make):
    kind = type("Own", (WithOptimizers,), {"made": staticmethod(make)})
    with pytest.raises(MisconfigurationException, match="must return an optimizer of the network's weights"):
        make_trainer().fit(learner(kind=kind), loader())


def test_schedulers_of_ones_own_keep_interval_and_frequency(make_trainer):
    def made(parameters):
        optimizer = SGD(parameters, lr=1.0)
        step = {"scheduler": ExponentialLR(optimizer, 0.5), "interval": "step", "frequency": 2}
        epoch = {"scheduler": ExponentialLR(optimizer, 0.1), "interval": "epoch", "frequency": 2}
        return [optimizer], [step, epoch]

    model = learner(kind=type("Own", (WithOptimizers,), {"made": staticmethod(made)}))
    trainer = make_trainer(max_epochs=3)
    trainer.fit(model, loader())
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.5**4 * 0.1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"gradient_clip_val": 0.5}, r"Trainer\(gradient_clip_val=0.5\) .* pass gradient_clip_val=0.5 to STRSBP"),
        ({"accumulate_grad_batches": 4}, r"Trainer\(accumulate_grad_batches=4\) .* pass accumulate_grad_batches=4"),
    ],
)
def test_options_of_the_trainer_are_sent_to_the_module(make_trainer, options, told):
    with pytest.raises(MisconfigurationException, match=told):
        make_trainer(**options).fit(learner(), loader())
    make_trainer(**options).test(learner(), loader(), verbose=False)


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"network": nn.Linear(1, 1)}, TypeError, "network must be a SpikingNetwork or a list of spiking layers"),
        ({"network": [nn.Linear(1, 1)]}, TypeError, "layer 0 must be a spiking layer"),
        ({"encoder": abs}, TypeError, "encoder must be a module or None"),
        ({"gradient": "exact"}, ValueError, "gradient must be one of 'adjoint', 'published'"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be greater than 0"),
        ({"accumulate_grad_batches": 0}, ValueError, "accumulate_grad_batches must be at least 1"),
        ({"gradient_clip_val": -1.0}, ValueError, "gradient_clip_val must be greater than 0"),
        ({"gradient_clip_algorithm": "sum"}, ValueError, "gradient_clip_algorithm must be one of"),
        ({"undesired_count": 50}, ValueError, "undesired_count must be at least 0 and at most 35"),
        ({"teacher_forcing": "no"}, TypeError, "teacher_forcing must be True or False, got 'no'"),
        ({"boosting": 5}, TypeError, r"boosting must be a Boosting or None, got 5 .*Boosting\(len\(training_set\)\)"),
        ({"boosting": True}, TypeError, "boosting must be a Boosting or None, got True"),
        ({"regulariser": 0.1}, TypeError, "STRSBP: regulariser must be an ExponentialRegulariser or None"),
        ({"predict": "spikes"}, ValueError, "predict must be one of 'classes', 'counts'"),
    ],
)
def test_arguments_are_checked(arguments, error, told):
    with pytest.raises(error, match=told):
        STRSBP(**({"network": network()} | arguments))


SPIKES, TARGETS = batch()


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ((SPIKES[:, 0], TARGETS), ValueError, "must be time-first"),
        ((SPIKES.float() * 0.5, TARGETS), ValueError, "only 0 and 1, got 0.5. Encode rates"),
        ((-SPIKES.float(), TARGETS), ValueError, "only 0 and 1, got -1"),
        ((SPIKES.float() * float("nan"), TARGETS), ValueError, "makes NaN"),
        ((SPIKES[:, :0], TARGETS[:0]), ValueError, "an empty batch"),
        ((SPIKES.transpose(0, 1), TARGETS), ValueError, r"batch-first, bring time first"),
        ((SPIKES.transpose(1, 2), TARGETS), ValueError, rf"\(T, B, {INPUTS}\)"),
        ((SPIKES, TARGETS[:4]), ValueError, "one entry for each of 6 samples"),
        ((SPIKES, TARGETS + 2), ValueError, "targets must be from 0 to 2"),
        ((SPIKES, TARGETS.float()), TypeError, "class indices of an integer type"),
        ((SPIKES,), TypeError, r"\(inputs, targets\) or \(inputs, targets, index\), got 1 parts"),
        (SPIKES, TypeError, "got Tensor"),
    ],
)
def test_bad_batches_are_told_and_change_nothing(make_trainer, given, error, told):
    model = learner()
    before = weights(model)
    data = torch.utils.data.DataLoader([given], batch_size=None)
    with pytest.raises(error, match=told):
        make_trainer().fit(model, data)
    assert torch.equal(weights(model), before)
    assert all(parameter.grad is None for parameter in model.network.parameters())


def test_boosting_needs_the_index(make_trainer):
    with pytest.raises(ValueError, match=r"STRSBP: boosting knows samples by index .* \(inputs, targets, index\)"):
        make_trainer().fit(learner(boosting=Boosting(24)), loader())


def test_boosting_weighs_wrong_samples_in_the_next_epoch(make_trainer):
    boosting = Boosting(24, rate=1.0)
    make_trainer(max_epochs=2).fit(learner(boosting=boosting, learning_rate=1e-9), loader(index=True))
    counts = network().eval()(batch(24)[0])
    correct = counts.argmax(1) == batch(24)[1]
    assert torch.equal(boosting.weights(torch.arange(24)) > 1, ~correct)
    assert 0 < correct.sum() < 24


def test_counts_out_of_reach_are_told_once(make_trainer):
    with pytest.warns(UserWarning, match=f"desired count of 35 cannot be reached in {STEPS} steps") as told:
        make_trainer(max_epochs=2).fit(learner(desired_count=35), loader())
    assert len([each for each in told if "cannot be reached" in str(each.message)]) == 1


def test_saturated_layers_are_told_once(make_trainer):
    net = network()
    net.layers[0].weight.data.fill_(5.0)
    with pytest.warns(UserWarning, match=r"STRSBP: layer 0 fires in \d+ % of the steps; from about") as told:
        make_trainer(max_epochs=2).fit(learner(net, learning_rate=1e-9), loader())
    assert len([each for each in told if "layer 0 fires" in str(each.message)]) == 1
