import pytest
import torch
from support.count_learning import CLASSES, INPUTS, loader
from torch import nn

from lightning_neuro.demo.through_time import ThroughTime
from lightning_neuro.st_rsbp import CountLoss, RecurrentSpikingLayer, SpikingLayer, SpikingNetwork

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")


def network() -> SpikingNetwork:
    hidden = RecurrentSpikingLayer(INPUTS, 12, threshold=2.0, refractory=1)
    return SpikingNetwork(hidden, SpikingLayer(12, CLASSES, threshold=2.0, refractory=1), seed=0)


def through_time(net: SpikingNetwork) -> ThroughTime:
    counts = {"desired_count": 8, "undesired_count": 1, "margin": 1}
    return ThroughTime(net, encoder=nn.Identity(), learning_rate=0.05, **counts)


def test_it_counts_the_same_spikes():
    net, (spikes, _) = network().eval(), next(iter(loader()))
    late = torch.cat([spikes, torch.zeros(2, *spikes.shape[1:], dtype=torch.bool)])  # a step for each layer
    assert torch.equal(through_time(net)(spikes), net(late))


def test_its_loss_and_derivative_are_those_of_the_counts(monkeypatch):
    counts = torch.tensor([[3.0, 9.0, 0.0], [1.0, 1.0, 7.5]], requires_grad=True)
    targets = torch.tensor([0, 2])
    model = through_time(network())
    monkeypatch.setattr(model, "forward", lambda inputs: counts)
    loss = model.training_step((counts, targets), 0)
    (found,) = torch.autograd.grad(loss, counts)
    expected, delta = CountLoss(8, 1, 1)(counts.detach(), targets)
    assert loss.item() == expected.mean().item()
    assert torch.equal(found, delta / 2)


def test_it_learns(make_trainer):
    model = through_time(network())
    trainer = make_trainer(max_epochs=8)
    trainer.fit(model, loader())
    [found] = trainer.test(model, loader(), verbose=False)
    assert found["test_accuracy"] > 0.9
