import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro._lightning import Trainer
from lightning_neuro.data import DigitsData
from lightning_neuro.demo.spiking_classifier import SpikingClassifier


def small(**options) -> SpikingClassifier:
    torch.manual_seed(0)
    return SpikingClassifier(**{"in_features": 6, "num_classes": 3, "hidden_features": 5, "num_steps": 4, **options})


@pytest.fixture(autouse=True)
def own_chance():
    with torch.random.fork_rng():
        yield


@settings(deadline=None, max_examples=20)
@given(beta=st.sampled_from([0.0, 0.5, 0.9, 1.0]), seed=st.integers(0, 100))
def test_scores_equal_the_neuron_equations_written_out(beta, seed):
    model = small(beta=beta)
    images = torch.rand(7, 6, generator=torch.Generator().manual_seed(seed)) * 4
    current, readout = model.synapses(images), model.net[1]
    hidden, spikes, potential, total = torch.zeros(7, 5), torch.zeros(7, 5), torch.zeros(7, 3), torch.zeros(7, 3)
    for _ in range(4):
        hidden = beta * hidden + current - (hidden > 1).float()  # reset by subtraction, threshold 1
        spikes = (hidden > 1).float()
        potential = beta * potential + readout(spikes)
        total = total + potential
    torch.testing.assert_close(model(images), total / 4)
    torch.testing.assert_close(model.hidden_spikes(images)[-1], spikes)


def test_an_image_does_not_depend_on_the_batch_before():
    model, images = small(), torch.rand(2, 6) * 4
    first = model(images)
    model(torch.rand(5, 6))
    torch.testing.assert_close(model(images), first, rtol=0, atol=0)


def test_hidden_spikes_are_time_first_and_leave_no_hook():
    model = small()
    spikes = model.hidden_spikes(torch.rand(2, 6) * 4)
    assert spikes.shape == (4, 2, 5)
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}
    assert not model.net[0]._forward_hooks
    assert not spikes.requires_grad


def test_it_learns_the_digits_and_predicts_them():
    torch.manual_seed(0)
    model, data = SpikingClassifier(in_features=64, learning_rate=0.04), DigitsData(batch_size=50)
    options = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(max_epochs=4, enable_model_summary=False, **options)
    trainer.fit(model, data)
    assert trainer.callback_metrics["val_accuracy"] > 0.9
    classes = torch.cat(trainer.predict(model, data))
    assert (classes == data.test_set.labels).float().mean() > 0.9
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"learning_rate": 0}, "SpikingClassifier: learning_rate must be greater than 0, got 0"),
        ({"beta": 1.5}, "SpikingClassifier: beta must be at least 0 and at most 1, got 1.5"),
        ({"num_classes": 1}, "SpikingClassifier: num_classes must be at least 2, got 1"),
        ({"num_steps": 0}, "SpikingClassifier: num_steps must be at least 1, got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        SpikingClassifier(**options)


def test_images_of_another_size_are_refused_with_advice():
    with pytest.raises(ValueError, match=r"28 values each \(1, 4, 7\), got in_features=6. Set in_features=28."):
        small()(torch.zeros(2, 1, 4, 7))
