import copy
import math
import pickle
from functools import partial

import pytest
import torch
from support.regression import ManualRegression, Regression
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adam

from lightning_neuro import _lightning
from lightning_neuro._lightning import Callback, MisconfigurationException, Trainer
from lightning_neuro.gradient_activation import GradientActivation, GradientActivationOptimizer
from lightning_neuro.gradient_activation import functional as gaf

if _lightning.ROOT == "pytorch_lightning":
    from pytorch_lightning.callbacks import ModelCheckpoint
    from pytorch_lightning.plugins import MixedPrecision
    from pytorch_lightning.strategies import SingleDeviceStrategy
else:
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.plugins import MixedPrecision
    from lightning.pytorch.strategies import SingleDeviceStrategy

sgd = partial(SGD, lr=0.1, momentum=0.9, weight_decay=0.01)


class Watch(Callback):
    """Keeps copies of the gradients as the optimizer gets them."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def on_before_zero_grad(self, trainer, pl_module, optimizer) -> None:
        gradients = [p.grad.flatten() for p in pl_module.parameters() if p.grad is not None]
        if gradients:  # those of the step before, after clipping
            self.seen.append(torch.cat(gradients).clone())


def by_hand(model: Regression, activate, accumulate: int = 1) -> Tensor:
    """The same training written out; `activate` maps one gradient to another, before the step."""
    optimizer = model.configure_optimizers()
    for index, batch in enumerate(model.batches()):
        (model.loss(batch) / accumulate).backward()
        if (index + 1) % accumulate == 0:
            for p in model.parameters():
                p.grad = activate(p.grad)
            optimizer.step()
            optimizer.zero_grad()
    return model.weights()


@pytest.mark.parametrize("function", ["atan", "tanh", "log", "atan_adaptive"])
def test_p05_training_equals_a_loop_written_out(make_trainer, function):
    model = Regression(sgd)
    make_trainer(callbacks=[GradientActivation(function)]).fit(model)
    expected = by_hand(Regression(sgd), lambda g: gaf.resolve(function)(g, 0.1, 20.0))
    torch.testing.assert_close(model.weights(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("foreach", [False, True])
def test_p05_callback_and_wrapper_agree_to_the_last_bit(make_trainer, foreach):
    with_callback = Regression(partial(sgd, foreach=foreach))
    make_trainer(callbacks=[GradientActivation()]).fit(with_callback)
    with_wrapper = Regression(lambda p: GradientActivationOptimizer(sgd(p, foreach=foreach)))
    make_trainer().fit(with_wrapper)
    assert torch.equal(with_callback.weights(), with_wrapper.weights())


def test_p04_identity_leaves_training_bit_identical(make_trainer):
    plain, watched = Regression(sgd), Regression(sgd)
    make_trainer(max_epochs=2).fit(plain)
    make_trainer(max_epochs=2, callbacks=[GradientActivation("identity")]).fit(watched)
    assert torch.equal(plain.weights(), watched.weights())


def test_p10_accumulated_halves_equal_one_full_batch(make_trainer):
    halves, full = Regression(sgd, batch_size=8), Regression(sgd, batch_size=16)
    make_trainer(callbacks=[GradientActivation()], accumulate_grad_batches=2).fit(halves)
    make_trainer(callbacks=[GradientActivation()]).fit(full)
    torch.testing.assert_close(halves.weights(), full.weights(), rtol=1e-6, atol=1e-7)
    twice = by_hand_per_micro_batch(Regression(sgd, batch_size=8))
    assert (twice - full.weights()).abs().max() > 1e-3


def by_hand_per_micro_batch(model: Regression) -> Tensor:
    """What must not happen: each micro-batch activated on its own."""
    optimizer = model.configure_optimizers()
    for index, batch in enumerate(model.batches()):
        gradients = torch.autograd.grad(model.loss(batch) / 2, list(model.parameters()))
        for p, g in zip(model.parameters(), gradients, strict=True):
            p.grad = gaf.atan(g) if p.grad is None else p.grad + gaf.atan(g)
        if index % 2:
            optimizer.step()
            optimizer.zero_grad()
    return model.weights()


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_p12_callback_activates_first_and_lightning_clips_afterwards(make_trainer, algorithm):
    model, watch = Regression(sgd, scale=50.0), Watch()
    trainer = make_trainer(
        callbacks=[GradientActivation("tanh", 2.0, 5.0), watch],
        gradient_clip_val=0.25,
        gradient_clip_algorithm=algorithm,
    )
    with pytest.warns(UserWarning, match=r"activated first and clipped afterwards, with gradient_clip_val=0.25"):
        trainer.fit(model)
    assert len(watch.seen) == 3
    for gradient in watch.seen:
        size = gradient.norm() if algorithm == "norm" else gradient.abs().max()
        assert size.item() == pytest.approx(0.25, rel=1e-4)


def test_p12_wrapper_activates_what_lightning_has_clipped(make_trainer):
    def clip(model: Regression) -> None:
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)

    model = Regression(lambda p: GradientActivationOptimizer(sgd(p)), scale=50.0)
    make_trainer(gradient_clip_val=0.25).fit(model)
    expected = Regression(sgd, scale=50.0)
    optimizer = expected.configure_optimizers()
    for batch in expected.batches():
        optimizer.zero_grad()
        expected.loss(batch).backward()
        clip(expected)
        for p in expected.parameters():
            p.grad = gaf.atan(p.grad)
        optimizer.step()
    torch.testing.assert_close(model.weights(), expected.weights(), rtol=1e-6, atol=1e-7)


def scaled_precision(**options) -> dict:
    scaler = torch.amp.GradScaler("cpu", **options)
    return {"plugins": [MixedPrecision("16-mixed", device="cpu", scaler=scaler)]}


def test_p13_fused_optimizer_under_16_mixed_is_refused_by_the_callback(make_trainer):
    trainer = make_trainer(callbacks=[GradientActivation()], **scaled_precision())
    with pytest.raises(MisconfigurationException, match=r"a fused Adam unscales .* itself, after this callback"):
        trainer.fit(Regression(partial(Adam, fused=True)))


def test_p13_wrapper_is_right_with_a_fused_optimizer_under_16_mixed(make_trainer):
    results = []
    for fused in (False, True):
        model = Regression(lambda p, fused=fused: GradientActivationOptimizer(Adam(p, lr=0.01, fused=fused)))
        make_trainer(**scaled_precision(init_scale=256.0)).fit(model)
        results.append(model.weights())
    torch.testing.assert_close(results[0], results[1], rtol=1e-3, atol=1e-4)
    assert (results[0] - Regression(sgd).weights()).abs().max() > 0.02


@pytest.mark.parametrize("wrapped", [False, True])
def test_16_mixed_activates_true_gradients_and_skips_overflow(make_trainer, wrapped):
    def fit(**options) -> tuple[Tensor, Trainer]:
        make = (lambda p: GradientActivationOptimizer(sgd(p))) if wrapped else sgd
        model = Regression(make)
        trainer = make_trainer(callbacks=[] if wrapped else [GradientActivation()], **options)
        trainer.fit(model)
        return model.weights(), trainer

    expected, _ = fit()
    found, _ = fit(**scaled_precision(init_scale=1024.0))
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.01)
    # From a scale at which every product overflows in half precision, steps are skipped and nothing raises.
    start = Regression(sgd).weights()
    overflown, trainer = fit(**scaled_precision(init_scale=2.0**40, growth_interval=100), limit_train_batches=2)
    assert torch.equal(overflown, start)
    assert trainer.precision_plugin.scaler.get_scale() == 2.0**38


def test_bf16_mixed_stays_near_full_precision(make_trainer):
    full, half = Regression(sgd), Regression(sgd)
    make_trainer(callbacks=[GradientActivation()]).fit(full)
    make_trainer(callbacks=[GradientActivation()], precision="bf16-mixed").fit(half)
    torch.testing.assert_close(half.weights(), full.weights(), rtol=0.05, atol=0.03)
    assert not torch.equal(half.weights(), full.weights())


class OrderedByStep(Regression):
    """Takes its batch by the global step, so that a run resumed inside an epoch sees the same data."""

    def training_step(self, batch, batch_idx):
        return self.loss(self.batches()[self.global_step % 4])


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
@pytest.mark.filterwarnings("ignore:You.re resuming from a checkpoint that ended before the epoch")
@pytest.mark.parametrize("wrapped", [False, True])
def test_p16_resume_after_a_crash_at_any_step_is_bit_identical(make_trainer, tmp_path, wrapped):
    def fit(crash_at: int | None = None, ckpt_path=None) -> Tensor:
        make = (lambda p: GradientActivationOptimizer(sgd(p), warmup_steps=6)) if wrapped else sgd
        model = OrderedByStep(make)
        callbacks = [] if wrapped else [GradientActivation(warmup_steps=6)]
        folder = tmp_path / f"{crash_at}-from-{ckpt_path.stem if ckpt_path else 'start'}"
        callbacks.append(ModelCheckpoint(folder, save_top_k=-1, every_n_train_steps=1, filename="{step}"))
        trainer = make_trainer(max_steps=8, max_epochs=-1, callbacks=callbacks, enable_checkpointing=True)
        if crash_at is None:
            trainer.fit(model, ckpt_path=ckpt_path)
            return model.weights()
        loss = model.loss

        def crash(batch):
            if model.global_step == crash_at:
                raise KeyboardInterrupt("pulled the plug")
            return loss(batch)

        model.loss = crash
        with pytest.raises((SystemExit, KeyboardInterrupt)):
            trainer.fit(model)
        return fit(ckpt_path=folder / f"step={crash_at}.ckpt")

    expected = fit()
    for crash_at in range(1, 8):
        assert torch.equal(fit(crash_at), expected), f"crash at step {crash_at}"


def test_checkpoint_holds_builtin_types_only_and_loads_without_the_callback(make_trainer, tmp_path):
    model = Regression(sgd)
    trainer = make_trainer(callbacks=[GradientActivation(select="weight")])
    trainer.fit(model)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    checkpoint = torch.load(tmp_path / "one.ckpt", weights_only=True)
    [(key, state)] = checkpoint["callbacks"].items()
    assert "atan" in key
    assert "weight" in key
    assert state == {"steps": {0: 4}}
    with pytest.warns(UserWarning, match="callbacks used to create the checkpoint need to be provided"):
        make_trainer(max_epochs=2).fit(Regression(sgd), ckpt_path=tmp_path / "one.ckpt")


def test_p19_acts_on_the_chosen_optimizer_only_in_manual_optimisation(make_trainer):
    plain_sgd = partial(SGD, lr=0.05)

    def train(*callbacks: Callback) -> ManualRegression:
        model = ManualRegression(plain_sgd)
        make_trainer(callbacks=list(callbacks), limit_train_batches=1).fit(model)
        return model

    untouched, first, both = train(), train(GradientActivation(optimizers=[0])), train(GradientActivation())
    assert torch.equal(first.net[2].weight, untouched.net[2].weight)
    assert not torch.equal(first.net[0].weight, untouched.net[0].weight)
    assert torch.equal(first.net[0].weight, both.net[0].weight)
    assert not torch.equal(both.net[2].weight, untouched.net[2].weight)


def test_two_optimizers_count_their_own_steps_and_log_apart(make_trainer):
    callback = GradientActivation(log_every_n_steps=1)
    trainer = make_trainer(callbacks=[callback], logger=False)
    trainer.fit(ManualRegression(sgd))
    assert callback.steps == {0: 4, 1: 4}
    assert "gradient_activation/0/cosine" in trainer.callback_metrics
    assert "gradient_activation/1/cosine" in trainer.callback_metrics


def test_two_callbacks_act_on_two_optimizers(make_trainer):
    model = ManualRegression(partial(SGD, lr=1.0))
    start = [model.net[0].weight.clone(), model.net[2].weight.clone()]
    callbacks = [
        GradientActivation("tanh", 0.01, 1e6, optimizers=[0]),
        GradientActivation("tanh", 0.3, 1e6, optimizers=[1]),
    ]
    make_trainer(callbacks=callbacks, limit_train_batches=1).fit(model)
    assert (model.net[0].weight - start[0]).abs().max().item() == pytest.approx(0.01, rel=1e-3)
    assert (model.net[2].weight - start[1]).abs().max().item() == pytest.approx(0.3, rel=1e-3)


def test_selection_leaves_the_rest_alone(make_trainer):
    model, watch = Regression(partial(SGD, lr=0.0), scale=1e6), Watch()
    make_trainer(callbacks=[GradientActivation(select="net.0", exclude="bias"), watch]).fit(model)
    sizes = watch.seen[0].abs().split([p.numel() for p in model.parameters()])
    names = [name for name, _ in model.named_parameters()]
    bounded = [name for name, size in zip(names, sizes, strict=True) if size.max() < 1]
    assert bounded == ["net.0.weight"]
    with pytest.raises(ValueError, match=r"GradientActivation: select 'net.7' matches no parameter"):
        make_trainer(callbacks=[GradientActivation(select="net.7")]).fit(Regression(sgd))


def test_group_entries_win(make_trainer):
    def make(parameters) -> SGD:
        weights = list(parameters)
        groups = [{"params": weights[:2], "gradient_activation": None}, {"params": weights[2:]}]
        groups[1] |= {"gradient_activation": "tanh", "gradient_activation_alpha": 0.5}
        return SGD(groups, lr=0.0)

    model, watch = Regression(make, scale=1e6), Watch()
    make_trainer(callbacks=[GradientActivation(), watch]).fit(model)
    sizes = watch.seen[0].abs()
    assert sizes[:30].max() > 1e3
    assert sizes[30:].max().item() == pytest.approx(0.5)


@pytest.mark.parametrize("options", [{"warmup_steps": 4}, {"schedule": lambda step: min(1.0, step / 4)}])
def test_strength_follows_warmup_and_schedule(make_trainer, options):
    model, watch = Regression(partial(SGD, lr=0.0), batch_size=32), Watch()
    make_trainer(callbacks=[GradientActivation(**options), watch], max_epochs=6).fit(model)
    raw = watch.seen[0]  # strength 0, and the weights stay as they are
    for step, gradient in enumerate(watch.seen):
        strength = min(1.0, step / 4)
        torch.testing.assert_close(gradient, (1 - strength) * raw + strength * gaf.atan(raw), rtol=1e-5, atol=1e-7)


def test_metrics_are_logged_every_n_steps_and_true(make_trainer):
    model = Regression(partial(SGD, lr=0.0), batch_size=32)
    model.loss(model.batches()[0]).backward()
    raw = torch.cat([p.grad.flatten() for p in model.parameters()])
    model.zero_grad()
    trainer = make_trainer(callbacks=[GradientActivation(log_every_n_steps=2)], max_epochs=3)
    trainer.fit(model)
    found = {name.split("/")[1]: value.item() for name, value in trainer.callback_metrics.items()}
    activated = gaf.atan(raw)
    assert found == {
        "fraction_enlarged": pytest.approx((activated.abs() > raw.abs()).float().mean().item()),
        "fraction_saturated": pytest.approx((20 * raw.abs() > 3).float().mean().item()),
        "norm_before": pytest.approx(raw.norm().item(), rel=1e-5),
        "norm_after": pytest.approx(activated.norm().item(), rel=1e-5),
        "cosine": pytest.approx(nn.functional.cosine_similarity(raw, activated, dim=0).item(), rel=1e-5),
    }


class Poisoned(Regression):
    """Its second batch has a target that is not a number."""

    def training_step(self, batch, batch_idx):
        return self.loss(batch) * (math.nan if batch_idx == 1 else 1.0)


def test_p20_non_finite_gradients_follow_the_policy(make_trainer):
    def train(policy: str) -> Tensor:
        model = Poisoned(sgd)
        make_trainer(callbacks=[GradientActivation(on_nonfinite=policy)]).fit(model)
        return model.weights()

    with pytest.raises(FloatingPointError, match="NaN or infinity at optimizer step 1"):
        train("raise")
    assert train("skip").isfinite().all()
    assert train("zero").isfinite().all()
    assert not torch.equal(train("skip"), train("zero"))  # momentum and decay go on with zero gradients
    assert train("ignore").isnan().any()


def test_skipped_step_is_as_if_the_batch_had_not_been_there(make_trainer):
    model = Poisoned(sgd)
    make_trainer(callbacks=[GradientActivation(on_nonfinite="skip")]).fit(model)
    expected = Regression(sgd)
    batches = expected.batches()
    del batches[1]
    expected.batches = lambda: batches
    torch.testing.assert_close(model.weights(), by_hand(expected, gaf.atan), rtol=1e-6, atol=1e-7)


def test_compiled_module_trains_as_the_plain_one(make_trainer):
    plain, inner = Regression(sgd), Regression(sgd)
    make_trainer(callbacks=[GradientActivation(select="net.0")]).fit(plain)
    make_trainer(callbacks=[GradientActivation(select="net.0")]).fit(torch.compile(inner, backend="eager"))
    torch.testing.assert_close(inner.weights(), plain.weights())


class OwnsGradients(SingleDeviceStrategy):
    handles_gradient_accumulation = True


class FSDPStrategy(SingleDeviceStrategy):
    """Stands for the real one, which needs GPUs; recognised by name."""


def test_what_cannot_be_right_is_refused_by_name(make_trainer):
    def fit(callback: GradientActivation, make=sgd, **options) -> None:
        make_trainer(callbacks=[callback], **options).fit(Regression(make))

    with pytest.raises(MisconfigurationException, match="LBFGS is not supported: its line search"):
        fit(GradientActivation(), LBFGS)
    with pytest.raises(MisconfigurationException, match="would be activated twice"):
        fit(GradientActivation(), lambda p: GradientActivationOptimizer(sgd(p)))
    with pytest.raises(MisconfigurationException, match="OwnsGradients accumulates and owns the gradients itself"):
        fit(GradientActivation(), strategy=OwnsGradients(torch.device("cpu")))
    with pytest.raises(MisconfigurationException, match="under FSDPStrategy each rank sees a shard"):
        fit(GradientActivation("atan_adaptive"), strategy=FSDPStrategy(torch.device("cpu")))
    fit(GradientActivation("atan"), strategy=FSDPStrategy(torch.device("cpu")))
    with pytest.raises(MisconfigurationException, match=r"by index below 1 or by identity, got 1"):
        fit(GradientActivation(optimizers=[1]))
    with pytest.raises(MisconfigurationException, match=r"got 'SGD'"):
        fit(GradientActivation(optimizers=[sgd([nn.Parameter(torch.ones(1))])]))


def test_an_optimizer_may_be_named_by_identity(make_trainer):
    model = Regression(sgd)
    optimizer = sgd(model.parameters())
    model.configure_optimizers = lambda: optimizer
    callback = GradientActivation(optimizers=[optimizer])
    make_trainer(callbacks=[callback]).fit(model)
    assert callback.steps == {0: 4}


def test_a_callback_that_never_saw_a_step_says_so(make_trainer):
    class Bypass(ManualRegression):
        def training_step(self, batch, batch_idx):
            for optimizer in self.optimizers(use_pl_optimizer=False):
                optimizer.zero_grad()
                self.manual_backward(self.loss(batch))
                optimizer.step()

    with pytest.warns(UserWarning, match="no optimizer step came by"):
        make_trainer(callbacks=[GradientActivation()]).fit(Bypass(sgd))


def test_a_generator_of_parameters_is_not_used_up(make_trainer):
    chosen, everything, none = Regression(sgd), Regression(sgd), Regression(sgd)
    make_trainer(callbacks=[GradientActivation(select=chosen.net[0].parameters())]).fit(chosen)
    make_trainer(callbacks=[GradientActivation()]).fit(everything)
    make_trainer().fit(none)
    assert not torch.equal(chosen.weights(), none.weights())
    assert not torch.equal(chosen.weights(), everything.weights())


def test_a_callback_used_again_for_another_training_counts_anew(make_trainer):
    callback = GradientActivation(warmup_steps=4)
    for _ in range(2):
        model = Regression(sgd)
        make_trainer(callbacks=[callback]).fit(model)
        assert callback.steps == {0: 4}
    fresh = Regression(sgd)
    make_trainer(callbacks=[GradientActivation(warmup_steps=4)]).fit(fresh)
    assert torch.equal(model.weights(), fresh.weights())


def test_going_on_with_the_same_trainer_counts_on(make_trainer):
    callback, model = GradientActivation(warmup_steps=4), Regression(sgd)
    trainer = make_trainer(callbacks=[callback])
    trainer.fit(model)
    trainer.fit_loop.max_epochs = 2
    trainer.fit(model)
    assert callback.steps == {0: 8}


def wrapped_sgd(parameters) -> GradientActivationOptimizer:
    return GradientActivationOptimizer(sgd(parameters))


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (Regression, {"accumulate_grad_batches": 2}),
        (Regression, {"precision": "bf16-mixed"}),
        (Regression, scaled_precision(init_scale=256.0)),
        (ManualRegression, {}),
        (ManualRegression, scaled_precision(init_scale=256.0)),
    ],
    ids=["accumulated", "bf16", "16-mixed", "manual with two optimizers", "the same in 16-mixed"],
)
def test_the_wrapper_does_what_the_callback_does(make_trainer, model, options):
    with_callback, with_wrapper = model(sgd), model(wrapped_sgd)
    make_trainer(callbacks=[GradientActivation()], **copy.deepcopy(options)).fit(with_callback)
    make_trainer(**copy.deepcopy(options)).fit(with_wrapper)
    assert torch.equal(with_callback.weights(), with_wrapper.weights())
    assert not torch.equal(with_callback.weights(), Regression(sgd).weights())


def test_the_wrapper_trains_a_compiled_module(make_trainer):
    plain, inner = Regression(wrapped_sgd), Regression(wrapped_sgd)
    make_trainer().fit(plain)
    make_trainer().fit(torch.compile(inner, backend="eager"))
    torch.testing.assert_close(inner.weights(), plain.weights())


def test_copy_and_pickle():
    callback = GradientActivation("tanh", 0.2, 9.0, select=["weight"], warmup_steps=3)
    callback.load_state_dict({"steps": {0: 5}})
    for duplicate in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):
        assert duplicate.state_key == callback.state_key
        assert duplicate.state_dict() == {"steps": {0: 5}}


def test_state_key_tells_callbacks_apart():
    variants = [
        GradientActivation(),
        GradientActivation("tanh"),
        GradientActivation(alpha=0.2),
        GradientActivation(select="weight"),
        GradientActivation(exclude="weight"),
        GradientActivation(optimizers=[1]),
        GradientActivation(gaf.log),
    ]
    assert len({callback.state_key for callback in variants}) == len(variants)
    assert GradientActivation().state_key == GradientActivation().state_key


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizers": []}, "GradientActivation: optimizers must name at least one, got none"),
        ({"beta": -1.0}, r"GradientActivation: beta must be greater than 0, got -1.0\."),
        ({"alpha": math.inf}, "GradientActivation: alpha must be greater than 0, got inf"),
        ({"function": "relu"}, "GradientActivation: function must be one of"),
        ({"on_nonfinite": "panic"}, "GradientActivation: on_nonfinite must be one of"),
        ({"log_every_n_steps": -1}, "GradientActivation: log_every_n_steps must be at least 0"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        GradientActivation(**arguments)


def test_arguments_of_another_kind_are_refused_at_once():
    with pytest.raises(
        TypeError, match="GradientActivation: optimizers must be a list of indices or optimizers, got 0"
    ):
        GradientActivation(optimizers=0)
    with pytest.raises(TypeError, match=r"GradientActivation: select takes names, .* got 3"):
        GradientActivation(select=3)


def test_metrics_are_logged_at_every_nth_step_only(make_trainer):
    model, logged = Regression(sgd), []
    model.log_dict = lambda values: logged.append(model.global_step)
    make_trainer(callbacks=[GradientActivation(log_every_n_steps=3)], max_epochs=2).fit(model)
    assert logged == [0, 3, 6]
