import copy
import pickle
from functools import partial

import pytest
import snntorch
import torch
from support.regression import ManualRegression, Regression
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adam

from lightning_neuro import _lightning
from lightning_neuro._lightning import Callback, MisconfigurationException
from lightning_neuro.gradient_activation import GradientActivation, GradientActivationOptimizer
from lightning_neuro.gradient_rewiring import DeepRewiring, GradientRewiring, Rewiring
from lightning_neuro.gradient_rewiring.functional import join

if _lightning.ROOT == "pytorch_lightning":
    from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint, StochasticWeightAveraging
    from pytorch_lightning.plugins import MixedPrecision
    from pytorch_lightning.strategies import SingleDeviceStrategy
else:
    from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, StochasticWeightAveraging
    from lightning.pytorch.plugins import MixedPrecision
    from lightning.pytorch.strategies import SingleDeviceStrategy

adam = partial(Adam, lr=0.05)
slow_adam = partial(Adam, lr=0.003)
sgd = partial(SGD, lr=0.1, momentum=0.9)
published = partial(GradientRewiring, alpha=0.05)
deep = partial(DeepRewiring, 0.7, l1=1e-3, temperature=1e-4)
CALLBACKS = {
    "auto": partial(GradientRewiring, 0.7, ramp_steps=4),
    "published": published,
    "deep": deep,
    "soft": partial(deep, soft=True),
}


def intact(callback) -> bool:
    """Every managed weight is its sign times its rectified theta, and some are gone."""
    for projection in callback.projections:
        for name, weight in projection.weights.items():
            assert torch.equal(weight, join(projection.theta[name], projection.sign[name])), name
    return callback.connectivity()["total"] < 1


@pytest.mark.parametrize("kind", CALLBACKS)
def test_training_equals_a_loop_written_out_with_the_core(make_trainer, kind):
    callback = CALLBACKS[kind]()
    model = Regression(adam)
    make_trainer(callbacks=[callback], max_epochs=3).fit(model)
    assert intact(callback)
    if kind == "published":
        twin = Regression(adam)
        optimizer = twin.configure_optimizers()
        Rewiring(optimizer, {n: p for n, p in twin.named_parameters() if "weight" in n}, alpha=0.05, sparsity=0.9)
        for _ in range(3):
            for batch in twin.batches():
                optimizer.zero_grad()
                twin.loss(batch).backward()
                optimizer.step()
        assert torch.equal(model.weights(), twin.weights())


class Spiking(Regression):
    """Feed-forward, recurrent and convolutional synapses, norms and trainable neuron parameters."""

    def __init__(self, make_optimizer=adam) -> None:
        super().__init__(make_optimizer)
        self.net = nn.Sequential(
            nn.Unflatten(1, (1, 4)),
            nn.Conv1d(1, 3, 2),
            nn.Flatten(),
            nn.Linear(9, 6),
            nn.BatchNorm1d(6),
            snntorch.RLeaky(beta=0.9, linear_features=6, init_hidden=True, learn_beta=True, learn_threshold=True),
            nn.Linear(6, 5),
            snntorch.RSynaptic(alpha=0.9, beta=0.8, linear_features=5, init_hidden=True),
            nn.Linear(5, 4),
            snntorch.RLeaky(beta=0.9, all_to_all=False, init_hidden=True),
            nn.Linear(4, 1),
        )

    def training_step(self, batch, batch_idx):
        for module in self.net:
            if hasattr(module, "reset_mem"):
                module.reset_mem()
        return self.loss(batch)


def test_p14_synapses_of_a_snntorch_net_and_nothing_else(make_trainer):
    model, callback = Spiking(), published(alpha=0.1)
    plain = Spiking()
    plain.load_state_dict(model.state_dict())
    make_trainer(callbacks=[callback]).fit(model)
    managed = [c.name for c in callback.candidates if not c.reason]
    assert managed == [f"net.{name}.weight" for name in ("1", "3", "5.recurrent", "6", "7.recurrent", "8", "10")]
    reasons = {c.name: c.reason for c in callback.candidates if c.reason}
    assert reasons["net.3.bias"] == "bias"
    assert reasons["net.4.weight"] == "normalisation"
    assert reasons["net.5.beta"] == reasons["net.5.threshold"] == reasons["net.9.V"] == "neuron parameter"
    for name, parameter in model.named_parameters():
        if name not in managed and parameter.numel() > 1:
            assert (parameter != 0).any(), name
    assert "net.5.recurrent.weight" in callback.report()


@pytest.mark.filterwarnings("ignore:GradientRewiring. hardly anything is left")  # of a readout with four weights
def test_p17_the_controller_reaches_the_target_and_holds_it(make_trainer):
    for options, check in (
        ({"sparsity": 0.9}, ["total"]),
        ({"sparsity": {"net.0": 0.8, "*": 0.5}}, ["net.0.weight", "net.2.weight"]),
    ):
        model, callback = Wide(), GradientRewiring(**options, ramp_steps=60)
        make_trainer(callbacks=[callback], max_epochs=40).fit(model)
        targets = {"total": 0.9} if check == ["total"] else {"net.0.weight": 0.8, "net.2.weight": 0.5}
        for epoch in callback.history[-12:]:
            for name in check:
                assert 1 - epoch[f"connectivity/{name}"] == pytest.approx(targets[name], abs=0.005)
        assert callback.history[0]["connectivity/total"] > 0.5


class Wide(Regression):
    def __init__(self, make_optimizer=slow_adam) -> None:
        super().__init__(make_optimizer)
        generator = torch.Generator().manual_seed(2)
        self.net = nn.Sequential(nn.Linear(4, 300), nn.Tanh(), nn.Linear(300, 4), nn.Tanh(), nn.Linear(4, 1))
        for parameter in self.net.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)


@pytest.mark.parametrize("kind", CALLBACKS)
def test_p15_counts_reconcile_with_connectivity(make_trainer, kind):
    callback, model = CALLBACKS[kind](), Regression(adam)
    trainer = make_trainer(callbacks=[callback], max_epochs=6)
    trainer.fit(model)
    sizes = {"net.0.weight": 24, "net.2.weight": 6}
    # The first look of Grad R sees a full net; Deep R begins sparse.
    first = (
        dict.fromkeys(sizes, 1.0)
        if kind in ("auto", "published", "soft")
        else {"net.0.weight": 7 / 24, "net.2.weight": 2 / 6}
    )
    moved = 0
    for name, size in sizes.items():
        linked = first[name] * size
        for epoch in callback.history:
            linked += epoch[f"regrown/{name}"] - epoch[f"pruned/{name}"]
            moved += epoch[f"regrown/{name}"]
            assert linked == pytest.approx(epoch[f"connectivity/{name}"] * size)
    assert moved > 0
    assert trainer.callback_metrics[f"{callback.prefix}/connectivity/total"].item() == pytest.approx(
        callback.connectivity()["total"], abs=1e-6
    )
    for counts, edges in callback.theta_histogram(10).values():
        assert len(edges) == len(counts) + 1


class OrderedByStep(Regression):
    """Takes its batch by the global step, so that a run resumed inside an epoch sees the same data."""

    def training_step(self, batch, batch_idx):
        return self.loss(self.batches()[self.global_step % 4])


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
@pytest.mark.filterwarnings("ignore:You.re resuming from a checkpoint that ended before the epoch")
@pytest.mark.parametrize("kind", CALLBACKS)
def test_p09_resume_after_a_crash_at_any_step_is_bit_identical(make_trainer, tmp_path, kind):
    options = {"freeze_after": 7} if kind == "published" else {}

    def fit(crash_at: int | None = None, ckpt_path=None) -> tuple[Tensor, list]:
        model, callback = OrderedByStep(adam), CALLBACKS[kind](**options)
        folder = tmp_path / f"{crash_at}-from-{ckpt_path.stem if ckpt_path else 'start'}"
        every = ModelCheckpoint(folder, save_top_k=-1, every_n_train_steps=1, filename="{step}")
        trainer = make_trainer(max_steps=9, max_epochs=-1, callbacks=[callback, every], enable_checkpointing=True)
        if crash_at is None:
            trainer.fit(model, ckpt_path=ckpt_path)
            theta = torch.cat([t.flatten() for p in callback.projections for t in p.theta.values()])
            return torch.cat([model.weights(), theta]), callback.history
        loss = model.loss

        def crash(batch):
            if model.global_step == crash_at:
                raise KeyboardInterrupt("pulled the plug")
            return loss(batch)

        model.loss = crash
        with pytest.raises((SystemExit, KeyboardInterrupt)):
            trainer.fit(model)
        return fit(ckpt_path=folder / f"step={crash_at}.ckpt")

    expected, history = fit()
    for crash_at in (1, 3, 4, 6, 8):
        found, its_history = fit(crash_at)
        assert torch.equal(found, expected), f"crash at step {crash_at}"
        assert its_history == history, f"crash at step {crash_at}"


def test_p09_checkpoints_are_sparse_plain_and_resume_without_state_is_refused(make_trainer, tmp_path):
    callback = published()
    trainer = make_trainer(callbacks=[callback], max_epochs=2)
    trainer.fit(Regression(adam))
    trainer.save_checkpoint(tmp_path / "with.ckpt")
    content = torch.load(tmp_path / "with.ckpt", weights_only=True)
    saved = content["state_dict"]["net.0.weight"]
    assert 1 - (saved == 0).float().mean().item() == pytest.approx(callback.connectivity()["net.0.weight"])
    with pytest.warns(UserWarning, match="callbacks used to create the checkpoint need to be provided"):
        make_trainer(max_epochs=3).fit(Regression(adam), ckpt_path=tmp_path / "with.ckpt")
    bare = make_trainer()
    bare.fit(Regression(adam))
    bare.save_checkpoint(tmp_path / "without.ckpt")
    model = Regression(adam)
    with pytest.raises(MisconfigurationException, match=r"GradientRewiring: .*without.ckpt holds no state of this"):
        make_trainer(callbacks=[published()], max_epochs=2).fit(model, ckpt_path=tmp_path / "without.ckpt")
    again = published(allow_reinit=True)
    make_trainer(callbacks=[again], max_epochs=2).fit(Regression(adam), ckpt_path=tmp_path / "without.ckpt")
    assert intact(again)


def test_a_second_fit_goes_on_and_a_new_model_begins_anew(make_trainer):
    callback, model = published(), Regression(adam)
    make_trainer(callbacks=[callback], max_epochs=2).fit(model)
    theta = {name: t.clone() for name, t in callback.projections[0].theta.items()}
    assert any((t < 0).any() for t in theta.values())
    seen = []

    class Peek(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.append({name: t.clone() for name, t in callback.projections[0].theta.items()})

    make_trainer(callbacks=[callback, Peek()], max_epochs=1).fit(model)
    assert all(torch.equal(seen[0][name], theta[name]) for name in theta)
    assert callback.projections[0].steps == 12
    make_trainer(callbacks=[callback], max_epochs=1).fit(Regression(adam))
    assert callback.projections[0].steps == 4


class Begun(Callback):
    """Keeps the weights that every batch begins with; Deep R makes them sparse before the first."""

    def __init__(self):
        self.weights = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.weights.append(pl_module.weights().clone())


@pytest.mark.parametrize("kind", ["published", "deep"])
def test_p11_16_mixed_overflow_leaves_theta_alone(make_trainer, kind):
    for fused in (False, True):
        callback, begun, model = CALLBACKS[kind](), Begun(), Regression(partial(adam, fused=fused))
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40, growth_interval=100)
        precision = MixedPrecision("16-mixed", device="cpu", scaler=scaler)
        make_trainer(callbacks=[callback, begun], plugins=[precision], limit_train_batches=2).fit(model)
        assert torch.equal(model.weights(), begun.weights[0])
        assert callback.projections[0].steps == 0


def test_p12_accumulation_rewires_once_per_real_step(make_trainer):
    callback = published()
    make_trainer(callbacks=[callback], accumulate_grad_batches=2).fit(Regression(adam))
    assert callback.projections[0].steps == 2


class TwoSteps(ManualRegression):
    """Steps twice in one training step and looks at the weights in between."""

    def training_step(self, batch, batch_idx):
        self.between = []
        for optimizer in self.optimizers():
            for _ in range(2):
                optimizer.zero_grad()
                self.manual_backward(self.loss(batch))
                optimizer.step()
                self.between.append([layer.weight.detach().clone() for layer in (self.net[0], self.net[2])])


@pytest.mark.parametrize("kind", CALLBACKS)
def test_p13_manual_steps_stay_projected_between_them(make_trainer, kind):
    callback, model = CALLBACKS[kind](), TwoSteps(partial(Adam, lr=0.3))
    make_trainer(callbacks=[callback]).fit(model)
    assert [projection.steps for projection in callback.projections] == [8, 8]
    assert intact(callback)
    assert (model.between[0][0] == 0).any()
    assert not torch.equal(model.between[0][0], model.between[1][0])


def test_bf16_mixed_stays_projected_and_near_full_precision(make_trainer):
    callback, mixed, full = published(), Regression(sgd), Regression(sgd)
    make_trainer(callbacks=[callback], precision="bf16-mixed").fit(mixed)
    make_trainer(callbacks=[published()]).fit(full)
    assert intact(callback)
    assert not torch.equal(mixed.weights(), full.weights())
    torch.testing.assert_close(mixed.weights(), full.weights(), rtol=0, atol=0.02)


def test_clipped_gradients_move_theta(make_trainer):
    clipped, twin, plain = Regression(sgd), Regression(sgd), Regression(sgd)
    make_trainer(callbacks=[published()], gradient_clip_val=0.1).fit(clipped)
    make_trainer(callbacks=[published()]).fit(plain)
    optimizer = twin.configure_optimizers()
    Rewiring(optimizer, {n: p for n, p in twin.named_parameters() if "weight" in n}, alpha=0.05, sparsity=0.9)
    for batch in twin.batches():
        optimizer.zero_grad()
        twin.loss(batch).backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 0.1)
        optimizer.step()
    torch.testing.assert_close(clipped.weights(), twin.weights(), rtol=1e-6, atol=1e-7)
    assert not torch.allclose(clipped.weights(), plain.weights(), atol=1e-3)


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_averaged_weights_are_brought_back_to_the_connections(make_trainer, average):
    callback, model = published(alpha=0.1), Regression(adam)
    other = EMAWeightAveraging(decay=0.9) if average == "ema" else StochasticWeightAveraging(0.01, swa_epoch_start=2)
    make_trainer(callbacks=[callback, other], max_epochs=5).fit(model)
    assert intact(callback)
    assert callback.connectivity()["total"] > 0


@pytest.mark.parametrize("kind", ["published", "deep"])
def test_p20_compiled_module_trains_as_the_plain_one(make_trainer, kind):
    published = CALLBACKS[kind]
    plain, inner = Regression(adam), Regression(adam)
    make_trainer(callbacks=[published()]).fit(plain)
    make_trainer(callbacks=[published()]).fit(torch.compile(inner, backend="eager"))
    assert torch.equal(inner.weights(), plain.weights())
    part = Regression(adam)
    part.net[0] = torch.compile(part.net[0], backend="eager")
    callback = published()
    make_trainer(callbacks=[callback]).fit(part)
    assert list(callback.connectivity()) == ["net.0.weight", "net.2.weight", "total"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_with_gradient_activation_at_once(make_trainer, wrapped):
    def activated(p):
        return GradientActivationOptimizer(adam(p), beta=20.0) if wrapped else adam(p)

    callback, model = published(), Regression(activated)
    others = [] if wrapped else [GradientActivation(beta=20.0)]
    make_trainer(callbacks=[callback, *others], max_epochs=2).fit(model)
    assert intact(callback)
    alone = Regression(adam)
    make_trainer(callbacks=[published()], max_epochs=2).fit(alone)
    assert not torch.equal(alone.weights(), model.weights())


def test_freezing_and_trimming(make_trainer):
    callback = published(alpha=0.05, sparsity=0.6, freeze_after=0.5, trim=True)
    make_trainer(callbacks=[callback], max_epochs=4).fit(Regression(adam))
    assert callback.projections[0].frozen
    assert callback.connectivity()["total"] == pytest.approx(0.4)
    assert [epoch["regrown/total"] + epoch["pruned/total"] for epoch in callback.history[2:]] == [0, 0]
    at_end = published(alpha=0.01, sparsity=0.6, trim=True)
    make_trainer(callbacks=[at_end]).fit(Regression(adam))
    assert at_end.connectivity()["total"] == pytest.approx(0.4)


class Poisoned(Regression):
    def training_step(self, batch, batch_idx):
        return self.loss(batch) * (float("nan") if batch_idx == 1 else 1.0)


def test_nan_gradients_stop_training_before_anything_changes(make_trainer):
    model, callback = Poisoned(adam), published()
    with pytest.raises(FloatingPointError, match=r"GradientRewiring: the gradient of 'net\.0\.weight' holds NaN"):
        make_trainer(callbacks=[callback]).fit(model)
    assert model.weights().isfinite().all()
    model = Poisoned(adam)
    make_trainer(callbacks=[published(on_nonfinite="skip")]).fit(model)
    assert model.weights().isfinite().all()


class OwnsGradients(SingleDeviceStrategy):
    handles_gradient_accumulation = True


class FSDPStrategy(SingleDeviceStrategy):
    """Stands for the real one, which needs GPUs; recognised by name."""


def test_what_cannot_be_right_is_refused_by_name_and_changes_nothing(make_trainer):
    def refused(message: str, callback=None, make=adam, error=MisconfigurationException, change=None, **options):
        model = Regression(make)
        if change is not None:
            change(model)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        callbacks = callback if isinstance(callback, list) else [callback or published()]
        with pytest.raises(error, match=message):
            make_trainer(callbacks=callbacks, **options).fit(model)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

    def tie(model: Regression) -> None:
        model.other = nn.Linear(4, 6)
        model.other.weight = model.net[0].weight

    def parametrise(model: Regression) -> None:
        nn.utils.parametrizations.weight_norm(model.net[0])

    def no_layers(model: Regression) -> None:
        model.net = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1))
        model.net[1].weight.requires_grad_(False)

    refused("LBFGS is not supported", make=LBFGS)
    refused("OwnsGradients flattens, shards or owns", strategy=OwnsGradients(torch.device("cpu")))
    refused("FSDPStrategy flattens, shards or owns", strategy=FSDPStrategy(torch.device("cpu")))
    refused(r"'net\.0\.weight' is rewired by GradientRewiring already", [published(), deep()])
    refused("select 'net.7' matches no parameter", published(select="net.7"), error=ValueError)
    refused("found none in Regression, which has", published(select="bias"), error=ValueError)
    refused(r"found none .* \(normalisation\)", error=ValueError, change=no_layers)
    refused(r"'other\.weight' are one tied weight", error=ValueError, change=tie)
    refused(r"'net\.0\.weight' is computed from other parameters", error=ValueError, change=parametrise)
    refused("sparsity 'net.7' matches none", GradientRewiring({"net.7": 0.9}), error=ValueError)
    refused(r"says nothing about 'net\.2", GradientRewiring({"net.0": 0.9}), error=ValueError)
    refused("exactly one optimizer, found 0", make=lambda p: adam(list(p)[1:]))


def test_a_parametrised_weight_can_be_excluded(make_trainer):
    model, callback = Regression(adam), published(exclude="net.0")
    nn.utils.parametrizations.weight_norm(model.net[0])
    make_trainer(callbacks=[callback]).fit(model)
    assert list(callback.connectivity()) == ["net.2.weight", "total"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 1.0}, r"GradientRewiring: sparsity must be greater than 0 and less than 1, got 1\.0\."),
        ({"sparsity": 0.3, "alpha": 0.1}, "GradientRewiring: sparsity must be at least 0.5 and less than 1, got 0.3"),
        ({"sparsity": {"fc": 2}}, r"GradientRewiring: sparsity\['fc'\] must be"),
        ({"alpha": -0.1}, "GradientRewiring: alpha must be at least 0, got -0.1"),
        ({"alpha": "fast"}, "GradientRewiring: alpha must be one of 'auto', got 'fast'"),
        ({"warmup_steps": 3}, "alpha='auto' takes ramp_steps"),
        ({"alpha": 0.1, "warmup_steps": 3, "schedule": abs}, "Give one of the two"),
        ({"freeze_after": 1.5}, "freeze_after as a fraction must be greater than 0 and at most 1"),
        ({"scope": "net"}, "scope must be one of"),
        ({"on_nonfinite": "zero"}, "on_nonfinite must be one of"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        GradientRewiring(**arguments)


def test_copy_and_pickle_carry_the_state(make_trainer):
    callback = published(warmup_steps=2)
    make_trainer(callbacks=[callback]).fit(Regression(adam))
    for duplicate in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):
        assert duplicate.state_key == callback.state_key
        [state], [expected] = duplicate.state_dict()["projections"], callback.state_dict()["projections"]
        assert state["steps"] == expected["steps"] == 4
        assert torch.equal(state["tensors"]["net.0.weight"]["theta"], expected["tensors"]["net.0.weight"]["theta"])


def test_state_key_tells_callbacks_apart():
    variants = [published(), published(select="net.0"), published(exclude="net.0"), deep()]
    assert len({callback.state_key for callback in variants}) == len(variants)


def test_tables_are_shown_on_demand(make_trainer, capsys):
    make_trainer(callbacks=[published(verbose=True)]).fit(Regression(adam))
    shown = capsys.readouterr().out
    for text in ("what is rewired", "net.0.bias", "bias", "rewired", "connections", "total"):
        assert text in shown


def test_before_training_there_is_nothing_to_count():
    assert published().connectivity() == {}
    assert published().state_dict() == {}


def test_two_callbacks_share_a_net_and_log_apart(make_trainer):
    callbacks = [published(select="net.0"), published(select="net.2", alpha=0.01)]
    trainer = make_trainer(callbacks=callbacks)
    trainer.fit(Regression(adam))
    for callback, name in zip(callbacks, ("net.0.weight", "net.2.weight"), strict=True):
        logged = trainer.callback_metrics[f"rewiring/connectivity/{name}"].item()
        assert logged == pytest.approx(callback.connectivity()[name], abs=1e-6)
        assert set(callback.connectivity()) == {name, "total"}


def test_dead_units_are_counted_at_the_end_of_an_epoch(make_trainer):
    callback, model = published(alpha=0.1), Regression(adam)
    make_trainer(callbacks=[callback], max_epochs=3).fit(model)
    rows = sum(not row.any() for row in model.net[0].weight)
    assert callback.history[-1]["empty_rows/net.0.weight"] == rows


def test_a_fraction_of_an_endless_training_is_refused(make_trainer):
    trainer = make_trainer(callbacks=[published(freeze_after=0.5)], max_epochs=-1)
    with pytest.raises(ValueError, match="GradientRewiring: freeze_after as a fraction needs a training of known"):
        trainer.fit(Regression(adam))


def test_an_edit_through_data_between_epochs_is_noticed(make_trainer):
    class Edit(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            if trainer.current_epoch == 0:
                pl_module.net[0].weight.data.fill_(0.5)

    callback, model = published(alpha=0.0), Regression(partial(SGD, lr=0.0))
    make_trainer(callbacks=[callback, Edit()], max_epochs=2).fit(model)
    assert callback.projections[0].resynchronised == 1
    assert torch.equal(model.net[0].weight, torch.full((6, 4), 0.5))
