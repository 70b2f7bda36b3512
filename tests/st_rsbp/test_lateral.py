import torch

from lightning_neuro.st_rsbp import GradientRule, SpikingLayer, SpikingNetwork, spike_train_potential
from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.lateral import lateral_factor, lateral_weight
from lightning_neuro.st_rsbp.loss import CountLoss
from lightning_neuro.st_rsbp.simulate import Neuron

NEURON = Neuron(threshold=3.0, tau_m=20.0)


def trains(*shape):
    spikes = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.15
    spikes[:, 0, 1:3] = False
    return spikes


def test_factor_equals_the_formula_pair_by_pair():
    spikes, strength, silent_ratio = trains(60, 2, 4), 1.5, 0.5
    targets = torch.tensor([[False, True, False, False], [False, False, False, True]])
    found = lateral_factor(Activity(spikes, torch.float64), NEURON, strength, targets, silent_ratio)
    e = spike_train_potential(spikes.double(), spikes, tau_m=20.0, tau_s=8.0, refractory=2)
    counts = spikes.sum(0)

    def rho(b, post, pre):
        both = counts[b, post] and counts[b, pre]
        return (e[b, post, pre] / counts[b, pre]).item() if both else silent_ratio

    for b in range(2):
        d = [1 / 3.0 if counts[b, j] or targets[b, j] else 0.0 for j in range(4)]
        for j in range(4):
            mutual = sum(rho(b, j, k) * d[k] * rho(b, k, j) * d[j] for k in range(4) if k != j)
            torch.testing.assert_close(found[b, j].item(), 1 / (1 - strength**2 * mutual))


def test_factor_scales_the_own_gradient_alone():
    layers = [
        SpikingLayer(9, 6, threshold=0.8, tau_m=20.0, seed=1),
        SpikingLayer(6, 3, threshold=0.8, tau_m=20.0, lateral_inhibition=0.5, seed=2),
    ]
    net, x, targets = SpikingNetwork(*layers).double(), trains(60, 1, 9), torch.tensor([0])
    with torch.no_grad():
        layers[0].weight.abs_()
        layers[1].weight.abs_()
    answers = {}
    for lateral in ("ignore", "factor"):
        net.zero_grad()
        net(x)
        net.backward(targets, loss=CountLoss(12, 1, 0), rule=GradientRule(lateral=lateral))
        answers[lateral] = [p.grad.clone() for p in net.parameters()]
    assert torch.equal(answers["ignore"][0], answers["factor"][0])
    ratio = (answers["factor"][1] / answers["ignore"][1]).nanmean(1)
    fired = Activity(layers[1](layers[0](x)), torch.float64)
    wanted = torch.tensor([[True, False, False]])
    expected = lateral_factor(fired, layers[1].neuron, 0.5, wanted, 0.5)[0]
    seen = ~ratio.isnan()
    assert seen.any()
    assert (expected[seen] != 1).any()
    torch.testing.assert_close(ratio[seen], expected[seen])


def test_neurons_inhibit_all_others_one_step_later():
    assert lateral_weight(3, 2.0, torch.zeros(1)).sum() == -12
    layer = SpikingLayer(1, 2, threshold=1.0, lateral_inhibition=5.0)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[2.0], [1.0]]))
    spikes = layer(torch.ones(60, 1, 1)).sum(0)[0]
    layer.lateral_inhibition = 0.0
    alone = layer(torch.ones(60, 1, 1)).sum(0)[0]
    assert spikes[1] < alone[1]
