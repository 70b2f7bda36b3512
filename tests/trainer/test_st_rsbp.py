"""`STRSBP` with what else a Trainer does: other callbacks, accumulation, clipping, precision, resuming, compilation."""

from typing import Any

import pytest
import torch
from support.count_learning import CLASSES, INPUTS, Trains, learner, loader, network, time_first, weights
from torch.utils.data import DistributedSampler

from lightning_neuro import DeepRewiring, GradientActivation, GradientRewiring
from lightning_neuro._lightning import ROOT, Callback, MisconfigurationException
from lightning_neuro.data import DigitsData
from lightning_neuro.data.resumable_loader import ResumableLoader
from lightning_neuro.gradient_activation.functional import atan
from lightning_neuro.spiking import find_synapses, synapse_table
from lightning_neuro.spiking.encoding import PoissonEncoder
from lightning_neuro.st_rsbp import (
    Boosting,
    CountLoss,
    GradientRule,
    RandomConnectivity,
    RecurrentSpikingLayer,
    SpikingLayer,
    SpikingNetwork,
)
from lightning_neuro.st_rsbp.module import STRSBP

if ROOT == "pytorch_lightning":
    from pytorch_lightning.callbacks import ModelCheckpoint
    from pytorch_lightning.plugins import MixedPrecision
else:
    from lightning.pytorch.callbacks import ModelCheckpoint
    from lightning.pytorch.plugins import MixedPrecision

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")


class Gradients(Callback):
    """Keeps what callbacks see right before each step, and what is there after it."""

    def __init__(self) -> None:
        self.before: list[list[torch.Tensor]] = []
        self.after: list[list[torch.Tensor]] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.before.append([p.grad.clone() for p in pl_module.network.parameters()])

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
        self.after.append([p.grad.clone() for p in pl_module.network.parameters()])


def first_gradients(batch_size: int) -> list[torch.Tensor]:
    net = network()
    spikes, targets = next(iter(loader(batch_size)))
    net(spikes)
    net.backward(targets, loss=CountLoss(8, 1, 1))
    return [parameter.grad for parameter in net.parameters()]


# Accumulation and clipping


@pytest.mark.parametrize(("batch_size", "batches"), [(4, 2), (8, 3), (5, 3)])
def test_accumulation_equals_the_larger_batch(make_trainer, batch_size, batches):
    small, large = (learner(network(dtype=torch.float64)) for _ in range(2))
    small.accumulate_grad_batches = batches
    trainer = make_trainer(max_epochs=2)
    trainer.fit(small, loader(batch_size))
    make_trainer(max_epochs=2).fit(large, loader(batch_size * batches))
    torch.testing.assert_close(weights(small), weights(large), rtol=1e-9, atol=1e-9)
    assert trainer.global_step == 2 * -(-24 // (batch_size * batches))


def test_callbacks_see_the_whole_group_once(make_trainer):
    seen = Gradients()
    make_trainer(callbacks=[seen]).fit(learner(accumulate_grad_batches=3), loader(8))
    assert len(seen.before) == 1
    for found, expected in zip(seen.before[0], first_gradients(24), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_clipping_comes_after_callbacks(make_trainer, algorithm):
    seen = Gradients()
    model = learner(gradient_clip_val=0.1, gradient_clip_algorithm=algorithm)
    make_trainer(callbacks=[seen], max_steps=1).fit(model, loader(24))
    flat = torch.cat([g.flatten() for g in seen.before[0]])
    clipped = torch.cat([g.flatten() for g in seen.after[0]])
    expected = flat.clamp(-0.1, 0.1) if algorithm == "value" else 0.1 * flat / flat.norm()
    assert flat.norm() > 0.2
    torch.testing.assert_close(clipped, expected, rtol=1e-4, atol=1e-6)


def test_max_steps_counts_optimizer_steps(make_trainer):
    trainer = make_trainer(max_steps=4, max_epochs=-1)
    trainer.fit(learner(accumulate_grad_batches=2), loader(4))
    assert trainer.global_step == 4
    assert trainer.current_epoch == 2  # three steps in an epoch of six batches


# Other methods of this package


def test_gradient_activation_acts_on_whole_gradients_before_the_step(make_trainer):
    seen = Gradients()
    activation = GradientActivation("atan", alpha=0.1, beta=20.0)
    make_trainer(callbacks=[activation, seen]).fit(learner(accumulate_grad_batches=3), loader(8))
    assert activation.steps == {0: 1}
    for found, before in zip(seen.before[0], first_gradients(24), strict=True):
        torch.testing.assert_close(found, atan(before, 0.1, 20.0), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:STRSBP. layer 0 fires in")
@pytest.mark.parametrize(
    "make", [lambda: GradientRewiring(0.3, ramp_steps=18), lambda: DeepRewiring(0.3, l1=1e-3, temperature=1e-7)]
)
@pytest.mark.parametrize("with_activation", [False, True])
def test_rewiring_prunes_while_it_learns(make_trainer, make, with_activation):
    rewiring, activation = make(), GradientActivation("atan", alpha=0.1, beta=20.0)
    trainer = make_trainer(max_epochs=12, callbacks=[rewiring, *[activation] * with_activation])
    trainer.fit(learner(), loader())
    shares = rewiring.connectivity()
    expected = {"network.layers.0.weight", "network.layers.0.recurrent_weight", "network.layers.1.weight", "total"}
    assert set(shares) == expected
    assert shares["total"] < 0.75
    assert trainer.callback_metrics["train_accuracy"] > 0.9
    assert activation.steps == ({0: 36} if with_activation else {})


def masked() -> SpikingNetwork:
    hidden = RecurrentSpikingLayer(INPUTS, 12, threshold=2.0, connectivity=RandomConnectivity(0.3))
    return SpikingNetwork(hidden, SpikingLayer(12, CLASSES, threshold=2.0), seed=0)


def test_discovery_finds_the_weights_and_says_which_are_masked():
    model = learner(masked())
    assert {synapse.name: (synapse.feeds, synapse.how) for synapse in synapse_table(model)} == {
        "network.layers.0.weight": (("network.layers.0",), "internal"),
        "network.layers.0.recurrent_weight": (("network.layers.0",), "masked"),
        "network.layers.1.weight": (("network.layers.1",), "internal"),
    }
    assert find_synapses(model)["network.layers.1.weight"] is model.network.layers[1].weight
    traced = synapse_table(model, torch.zeros(5, 2, INPUTS))
    assert [synapse.name for synapse in traced] == list(find_synapses(model))


@pytest.mark.parametrize(
    "make", [lambda: GradientRewiring(0.6, ramp_steps=6), lambda: DeepRewiring(0.6, l1=1e-3, temperature=1e-6)]
)
def test_rewiring_leaves_fixed_connectivity_alone(make_trainer, make):
    rewiring, model = make(), learner(masked())
    layer = model.network.layers[0]
    before = layer.recurrent_weight.detach().clone()
    make_trainer(max_epochs=6, callbacks=[rewiring]).fit(model, loader())
    assert "network.layers.0.recurrent_weight" not in rewiring.connectivity()
    assert torch.equal(layer.recurrent_weight != 0, layer.recurrent_mask)
    assert not torch.equal(layer.recurrent_weight, before)


# Precision and strategies


def test_double_precision(make_trainer):
    rule = GradientRule(
        post_derivative="analytic"
    )  # a simulated one is fitted in the default type, which is double then
    model, expected = learner(gradient=rule), learner(network(dtype=torch.float64), gradient=rule)
    make_trainer(precision="64-true").fit(model, loader())
    make_trainer().fit(expected, loader())
    assert weights(model).dtype == torch.float64
    assert torch.equal(weights(model), weights(expected))


def test_bfloat16_mixed_computes_in_the_type_of_the_weights(make_trainer):
    model, expected = learner(), learner()
    make_trainer(precision="bf16-mixed").fit(model, loader())
    make_trainer().fit(expected, loader())
    assert torch.equal(weights(model), weights(expected))


def test_float16_mixed_is_refused(make_trainer):
    scaler = torch.amp.GradScaler("cpu")
    with pytest.raises(MisconfigurationException, match="STRSBP: 16-mixed precision would divide gradients"):
        make_trainer(plugins=[MixedPrecision("16-mixed", device="cpu", scaler=scaler)]).fit(learner(), loader())


def test_half_weights_are_refused(make_trainer):
    with pytest.raises(TypeError, match="weights must be float32 or float64, got"):
        make_trainer(precision="bf16-true").fit(learner(), loader())


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")
def test_a_compiled_module_learns_the_same(make_trainer):
    model, expected = learner(), learner()
    make_trainer().fit(torch.compile(model), loader())
    make_trainer().fit(expected, loader())
    assert torch.equal(weights(model), weights(expected))


# Resuming


# Lightning thinks that a checkpoint within an epoch should hold the weights before its last step.
IN_MANUAL_MODE = pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization and every_n_train")
NOT_EMPTY = pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")


class Saved(ModelCheckpoint):
    def __init__(self, folder: Any, **options: Any) -> None:
        super().__init__(dirpath=folder, save_top_k=-1, filename="{step}-{epoch}", **options)


def digits_learner(**options: Any) -> STRSBP:
    layers = RecurrentSpikingLayer(64, 10, threshold=2.0), SpikingLayer(10, 10, threshold=2.0)
    return learner(SpikingNetwork(*layers, seed=0), encoder=PoissonEncoder(30, max_rate=0.2), **options)


def ordered() -> ResumableLoader:
    """Batches of samples with their index that a checkpoint can interrupt."""
    data = Trains(index=True)
    sampler = DistributedSampler(data, num_replicas=1, rank=0, shuffle=False)
    return ResumableLoader(data, sampler=sampler, batch_size=8, collate_fn=time_first)


@IN_MANUAL_MODE
@NOT_EMPTY
def test_resumed_boosting_is_bit_identical(make_trainer, tmp_path):
    whole = learner(boosting=Boosting(24, rate=1.0))
    checkpoints = Saved(tmp_path, every_n_train_steps=2)
    options: dict[str, Any] = {"max_epochs": 3, "enable_checkpointing": True}
    make_trainer(callbacks=[checkpoints], **options).fit(whole, ordered())
    paths = sorted(tmp_path.glob("*.ckpt"))
    assert len(paths) == 4
    for path in paths:
        resumed = learner(boosting=Boosting(24, rate=1.0))
        make_trainer(callbacks=[Saved(tmp_path, every_n_train_steps=2)], **options).fit(
            resumed, ordered(), ckpt_path=path
        )
        assert torch.equal(weights(resumed), weights(whole)), path.name


def digits() -> DigitsData:
    return DigitsData(batch_size=10, val_size=20, limit=70, normalize=False, flatten=True)


WHEN = {
    "in the middle of an epoch": {"every_n_train_steps": 3},
    "after the last batch of an epoch": {},  # as many steps as an epoch has
    "at the end of an epoch": {"every_n_epochs": 1, "save_on_train_epoch_end": True},
    "after validation": {"monitor": "val_loss"},
}


@IN_MANUAL_MODE
@NOT_EMPTY
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("when", WHEN)
def test_resumed_training_is_bit_identical(make_trainer, tmp_path, when, accumulate):
    options: dict[str, Any] = {"max_epochs": 3, "enable_checkpointing": True}
    saving = WHEN[when] or {"every_n_train_steps": -(-7 // accumulate)}
    whole = digits_learner(accumulate_grad_batches=accumulate)
    make_trainer(callbacks=[Saved(tmp_path, **saving)], **options).fit(whole, digits())
    paths = sorted(tmp_path.glob("*.ckpt"))
    assert len(paths) >= 3
    for path in paths:
        resumed = digits_learner(accumulate_grad_batches=accumulate)
        make_trainer(callbacks=[Saved(tmp_path, **saving)], **options).fit(resumed, digits(), ckpt_path=path)
        assert torch.equal(weights(resumed), weights(whole)), path.name
        # The encoder draws on for training alone, whatever was validated on the way.
        assert torch.equal(resumed.encoder.get_extra_state()["cpu"], whole.encoder.get_extra_state()["cpu"])


def test_a_checkpoint_in_the_middle_of_a_validation_holds_where_training_stood(make_trainer, tmp_path):
    class Looks(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
            self.before = pl_module.encoder.get_extra_state()["cpu"].clone()

        def on_validation_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
            if not trainer.sanity_checking:
                self.during = pl_module.encoder.get_extra_state()["cpu"].clone()
                trainer.save_checkpoint(tmp_path / "during.ckpt")

    looks, layers = Looks(), (SpikingLayer(64, 20, threshold=2.0), SpikingLayer(20, 10, threshold=2.0))
    encoder = PoissonEncoder(10, max_rate=0.2)
    model = STRSBP(SpikingNetwork(*layers, seed=0), encoder=encoder, desired_count=3, undesired_count=1, margin=0)
    trainer = make_trainer(callbacks=[looks], max_epochs=1, limit_train_batches=2, limit_val_batches=2)
    trainer.fit(model, datamodule=DigitsData(batch_size=32, normalize=False))
    stored = torch.load(tmp_path / "during.ckpt", weights_only=True)["state_dict"]["encoder._extra_state"]["cpu"]
    assert not torch.equal(looks.during, looks.before)
    assert torch.equal(stored, looks.before)
