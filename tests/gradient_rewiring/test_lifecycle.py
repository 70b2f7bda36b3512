from functools import partial

import pytest
import torch
from support.regression import ManualRegression, Regression
from torch import nn
from torch.optim import SGD, Adam

from lightning_neuro import _lightning
from lightning_neuro._lightning import Callback, MisconfigurationException
from lightning_neuro.gradient_rewiring import DeepRewiring, GradientRewiring
from lightning_neuro.gradient_rewiring.functional import join

if _lightning.ROOT == "pytorch_lightning":
    from pytorch_lightning.callbacks import ModelCheckpoint, StochasticWeightAveraging
    from pytorch_lightning.loggers.logger import DummyLogger
else:
    from lightning.pytorch.callbacks import ModelCheckpoint, StochasticWeightAveraging
    from lightning.pytorch.loggers.logger import DummyLogger

pytestmark = pytest.mark.filterwarnings("ignore:.*hardly anything is left of")  # nets are tiny here
adam = partial(Adam, lr=0.05)
published = partial(GradientRewiring, alpha=0.05)
deep = partial(DeepRewiring, 0.7, l1=1e-3, temperature=1e-4)


class Larger(Regression):
    """With a norm, and enough weights for shares to mean something."""

    def __init__(self, make_optimizer=adam, hidden: int = 40) -> None:
        super().__init__(make_optimizer)
        self.net = nn.Sequential(nn.Linear(4, hidden), nn.BatchNorm1d(hidden), nn.Tanh(), nn.Linear(hidden, 1))


def values(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def unchanged(module: nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_averaging_over_a_net_with_norms_keeps_the_connections(make_trainer, first):
    callback, model = GradientRewiring(0.8, ramp_steps=8), Larger()
    average = StochasticWeightAveraging(0.05, swa_epoch_start=3)
    order = [callback, average] if first == "ours" else [average, callback]
    make_trainer(callbacks=order, max_epochs=7).fit(model)
    projection = callback.projections[0]
    for name, weight in projection.weights.items():
        assert torch.equal(weight, join(projection.theta[name], projection.sign[name]))
    assert 1 - callback.connectivity()["total"] == pytest.approx(0.8, abs=0.005)


class Unused(Larger):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(30, 30)


def test_a_layer_without_gradient_is_named_and_not_made_up_for(make_trainer):
    callback, model = GradientRewiring(0.8, ramp_steps=8), Unused()
    trainer = make_trainer(callbacks=[callback], max_epochs=4)
    with pytest.warns(UserWarning, match=r"GradientRewiring: no gradient has reached 'spare\.weight'") as seen:
        trainer.fit(model)
    assert len([w for w in seen if "spare.weight" in str(w.message)]) == 1
    used = torch.cat([model.net[0].weight.flatten(), model.net[3].weight.flatten()])
    assert int((used != 0).sum()) == 40
    assert callback.connectivity()["spare.weight"] == 1


def test_a_layer_that_is_all_but_gone_and_a_short_ramp_are_told_once(make_trainer, caplog):
    with pytest.warns(UserWarning, match="GradientRewiring") as seen:
        make_trainer(callbacks=[GradientRewiring(0.98)], max_epochs=6).fit(Regression(adam))
    told = [str(w.message) for w in seen]
    assert len([text for text in told if "hardly anything is left of 'net.2.weight': 1 of its 1 outputs" in text]) == 1
    assert caplog.text.count("within 12 optimizer steps, in which weights can hardly adapt") == 1


def test_the_ramp_ends_before_connections_are_frozen(make_trainer):
    callback, model = GradientRewiring(0.8, freeze_after=0.25), Larger()
    make_trainer(callbacks=[callback], max_epochs=20).fit(model)
    assert 1 - callback.connectivity()["total"] == pytest.approx(0.8, abs=0.005)
    model = Larger()
    before = values(model)
    late = GradientRewiring(0.8, ramp_steps=30, freeze_after=10)
    with pytest.raises(
        ValueError, match=r"GradientRewiring: the ramp must end before connections are frozen.* 30 .* 10"
    ):
        make_trainer(callbacks=[late], max_epochs=20).fit(model)
    assert unchanged(model, before)


def test_frozen_from_the_start_no_connection_goes(make_trainer):
    callback = GradientRewiring(0.8, ramp_steps=0, freeze_after=0)
    make_trainer(callbacks=[callback]).fit(Larger())
    assert callback.connectivity()["total"] == 1


class PoisonedBias(Regression):
    def on_after_backward(self):
        if self.global_step == 1:
            self.net[2].bias.grad.fill_(float("nan"))


@pytest.mark.parametrize("way", ["raise", "skip"])
def test_a_nan_gradient_of_a_bias_stops_the_step_as_well(make_trainer, way):
    model = PoisonedBias(adam)
    trainer = make_trainer(callbacks=[published(on_nonfinite=way)])
    if way == "raise":
        with pytest.raises(FloatingPointError, match=r"a parameter of shape \(1,\) that is not rewired holds NaN"):
            trainer.fit(model)
    else:
        trainer.fit(model)
    assert model.weights().isfinite().all()


def optimizers_of(trainer) -> int:
    return sum(len(o._optimizer_step_post_hooks) + len(o._optimizer_step_pre_hooks) for o in trainer.optimizers)


def test_after_an_exception_optimizers_are_free(make_trainer):
    class Stumbling(Regression):
        def training_step(self, batch, batch_idx):
            if batch_idx == 2:
                raise ZeroDivisionError
            return self.loss(batch)

    trainer = make_trainer(callbacks=[published()])
    with pytest.raises(ZeroDivisionError):
        trainer.fit(Stumbling(adam))
    assert optimizers_of(trainer) == 0


@pytest.mark.parametrize("make", [published, deep])
def test_a_checkpoint_that_does_not_fit_changes_nothing(make_trainer, tmp_path, make):
    with_state = make_trainer(callbacks=[make()])
    with_state.fit(Larger())
    with_state.save_checkpoint(tmp_path / "other.ckpt")
    bare = make_trainer()
    bare.fit(Larger(hidden=20))
    bare.save_checkpoint(tmp_path / "bare.ckpt")
    for name, error, message in (
        ("other.ckpt", ValueError, r"the state belongs to another model .*'net\.0\.weight' \(40, 4\) instead of \(20"),
        ("bare.ckpt", MisconfigurationException, "holds no state of this callback"),
    ):
        model = Larger(hidden=20)
        before = values(model)
        trainer = make_trainer(callbacks=[make()], max_epochs=2)
        with pytest.raises(error, match=message):
            trainer.fit(model, ckpt_path=tmp_path / name)
        assert unchanged(model, before)
        assert optimizers_of(trainer) == 0
        assert not model._load_state_dict_pre_hooks
    trainer = make_trainer(callbacks=[make()], max_epochs=2)
    again = Larger()
    trainer.fit(again, ckpt_path=tmp_path / "other.ckpt")
    assert not again._load_state_dict_pre_hooks


def test_with_several_optimizers_all_states_are_checked_before_one_is_taken(make_trainer):
    callback, model = deep(), ManualRegression(adam)
    make_trainer(callbacks=[callback]).fit(model)
    state = callback.state_dict()
    state["projections"][1]["tensors"] = {"net.2.weight": {"theta": torch.zeros(9, 9), "sign": torch.zeros(9, 9)}}
    fresh, other = deep(), ManualRegression(adam)
    fresh.load_state_dict(state)
    before = values(other)
    with pytest.raises(ValueError, match="DeepRewiring: the state belongs to another model"):
        make_trainer(callbacks=[fresh]).fit(other)
    assert unchanged(other, before)


@pytest.mark.parametrize("length", [{"max_epochs": 3}, {"max_epochs": -1, "max_steps": 10}])
def test_what_is_trimmed_at_the_end_is_in_the_last_checkpoint_and_entry(make_trainer, tmp_path, length):
    callback, model = published(alpha=0.01, sparsity=0.9, trim=True), Larger()
    keeper = ModelCheckpoint(tmp_path, save_last=True, every_n_train_steps=1, save_top_k=1)
    make_trainer(callbacks=[callback, keeper], enable_checkpointing=True, **length).fit(model)
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert callback.connectivity()["total"] == pytest.approx(0.1)
    for name in ("net.0.weight", "net.3.weight"):
        assert torch.equal(saved[name], model.state_dict()[name])
    if "max_steps" not in length:
        assert callback.history[-1]["connectivity/total"] == pytest.approx(0.1)


@pytest.mark.parametrize("options", [{"ramp_steps": 4}, {"alpha": 0.01}])
def test_trimming_keeps_to_targets_by_pattern(make_trainer, options):
    callback = GradientRewiring({"net.0": 0.8, "*": 0.5}, trim=True, **options)
    make_trainer(callbacks=[callback], max_epochs=2).fit(Larger())
    found = callback.connectivity()
    assert found["net.0.weight"] <= 0.2 + 1e-9
    assert found["net.3.weight"] <= 0.5 + 1e-9
    assert found["total"] == pytest.approx((0.2 * 160 + 0.5 * 40) / 200)


def test_totals_of_two_callbacks_are_of_all_their_weights(make_trainer):
    callbacks, model = [published(select="net.0"), published(select="net.3", alpha=0.5)], Larger()
    trainer = make_trainer(callbacks=callbacks)
    trainer.fit(model)
    weights = torch.cat([model.net[0].weight.flatten(), model.net[3].weight.flatten()])
    logged = trainer.callback_metrics["rewiring/connectivity/total"].item()
    assert logged == pytest.approx((weights != 0).double().mean().item(), abs=1e-6)
    pruned = sum(callback.history[-1]["pruned/total"] for callback in callbacks)
    assert trainer.callback_metrics["rewiring/pruned/total"].item() == pruned > 0


def test_a_generator_selects_more_than_once_and_a_number_never(make_trainer):
    callback = published(select=(name for name in ["net.0"]))
    for _ in range(2):
        make_trainer(callbacks=[callback]).fit(Regression(adam))
        assert list(callback.connectivity()) == ["net.0.weight", "total"]
    with pytest.raises(TypeError, match=r"GradientRewiring: select takes names, .*got 3"):
        published(select=3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"alpha": 0.1, "schedule": 0.5}, TypeError, "GradientRewiring: schedule must be a function of the optimizer"),
        ({"trim": "no"}, TypeError, "GradientRewiring: trim must be True or False, got 'no'"),
        ({"alpha": 0.1, "ramp_steps": 5}, ValueError, "scope and ramp_steps are the controller's"),
        ({"alpha": 0.1, "scope": "layer"}, ValueError, "scope and ramp_steps are the controller's"),
        ({"sparsity": {}}, ValueError, "GradientRewiring: sparsity must name at least one pattern"),
    ],
)
def test_what_would_be_ignored_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        GradientRewiring(**arguments)


@pytest.mark.parametrize("factor", [float("nan"), -1.0])
def test_a_schedule_of_nonsense_is_refused_when_it_says_so(make_trainer, factor):
    callback = published(schedule=lambda step: factor if step == 2 else 1.0)
    with pytest.raises(ValueError, match=r"GradientRewiring: schedule\(2\) must be at least 0"):
        make_trainer(callbacks=[callback]).fit(Regression(adam))


def test_a_second_fit_with_the_same_callback_stays_frozen(make_trainer):
    callback, model = published(freeze_after=3), Larger()
    make_trainer(callbacks=[callback]).fit(model)
    links = model.net[0].weight != 0
    make_trainer(callbacks=[callback]).fit(model)
    assert torch.equal(model.net[0].weight != 0, links)


def test_theta_goes_to_loggers_that_draw_histograms(make_trainer):
    drawn = []

    class Experiment:
        def add_histogram(self, name, values, step):
            drawn.append((name, len(values), step))

    class Board(DummyLogger):
        experiment = Experiment()

    make_trainer(callbacks=[published()], logger=Board(), max_epochs=2).fit(Regression(adam))
    assert drawn == [(f"rewiring/theta/net.{i}.weight", n, s) for s in (4, 8) for i, n in ((0, 24), (2, 6))]


class TwoSteps(ManualRegression):
    def training_step(self, batch, batch_idx):
        for _ in range(2):
            super().training_step(batch, batch_idx)


def test_fractions_under_manual_optimisation_take_one_step_per_batch(make_trainer):
    frozen_at = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if callback.projections[0].frozen:
                frozen_at.append(batch_idx)

    callback = published(freeze_after=0.5)
    make_trainer(callbacks=[callback, Watch()]).fit(TwoSteps(partial(SGD, lr=0.01)))
    assert frozen_at[0] == 0  # 4 batches: after 2 steps, which the first batch has taken
