"""The defects of snnTorch 1.0's state handling that users meet, one test each, and ours free of them.

Where a test also shows snnTorch's own behaviour, it does so without demanding it: a fix upstream must not fail here.
"""

import copy
import gc
import weakref

import pytest
import snntorch as snn
import torch
from snntorch import utils
from torch import Tensor, nn

from lightning_neuro.spiking.state import detach_, hidden_state, holds_graph, load_hidden_state_, reset_
from lightning_neuro.spiking.unroll import unroll


@pytest.fixture(autouse=True)
def own_instances(monkeypatch):
    """Keep snnTorch's global list, which its own reset walks, from neurons of other tests."""
    if hasattr(snn.SpikingNeuron, "instances"):
        monkeypatch.setattr(snn.SpikingNeuron, "instances", [])


def leaky() -> nn.Module:
    return nn.Sequential(snn.Leaky(beta=0.9, init_hidden=True))


def charged(net: nn.Module) -> nn.Module:
    net(torch.full((2, 3), 0.4, requires_grad=True))
    assert hidden_state(net)
    return net


def test_1_reset_reaches_neurons_that_are_not_direct_children():
    outer = nn.Sequential(charged(leaky()))
    utils.reset(outer)  # does nothing in 1.0: the neuron is two levels down
    reset_(outer)
    assert hidden_state(outer) == {}


def test_2_reset_leaves_other_networks_alone():
    ours, other = charged(leaky()), charged(leaky())
    reset_(ours)
    assert hidden_state(ours) == {}
    assert hidden_state(other)["0.mem"].flatten().tolist() == pytest.approx([0.4] * 6)


def test_3_copies_are_reset_and_no_list_of_networks_is_kept():
    net = leaky()
    twin = charged(copy.deepcopy(net))
    reset_(twin)
    assert hidden_state(twin) == {}
    # With snnTorch's own list out of the way nothing of ours keeps a network alive.
    if hasattr(snn.SpikingNeuron, "instances"):
        snn.SpikingNeuron.instances.clear()
    unroll(twin, torch.ones(2, 2, 3))
    detach_(twin)
    kept = weakref.ref(twin)
    del twin
    gc.collect()
    assert kept() is None


def test_3_reset_works_when_the_global_list_is_gone(monkeypatch):
    net = charged(leaky())
    monkeypatch.delattr(snn.SpikingNeuron, "instances", raising=False)
    reset_(net)
    detach_(net)
    assert hidden_state(net) == {}


def test_4_a_delta_leaky_anywhere_disturbs_no_reset():
    delta = nn.Sequential(snn.DeltaLeaky(beta=0.9, init_hidden=True))
    net = charged(leaky())
    reset_(net)
    reset_(delta)
    assert hidden_state(net) == hidden_state(delta) == {}
    charged(delta)
    reset_(nn.ModuleList([net, delta]))
    assert hidden_state(delta) == {}


def test_5_the_spikes_of_rsynaptic_are_reset_and_detached():
    neuron = snn.RSynaptic(alpha=0.9, beta=0.9, linear_features=3, init_hidden=True)
    x = torch.full((2, 3), 5.0, requires_grad=True)
    neuron(x)
    assert neuron.spk.sum() > 0
    detach_(neuron)
    assert not neuron.spk.requires_grad
    assert neuron.spk.sum() > 0
    neuron(x)
    reset_(neuron)
    assert neuron.spk.numel() == 0
    assert holds_graph(neuron) == []


def test_6_zeros_that_do_nothing_are_not_needed():
    mem = torch.ones(3)
    snn.SpikingNeuron.zeros(mem)  # leaves `mem` as it is in 1.0
    net = charged(leaky())
    reset_(net)
    assert not any(value.any() for value in hidden_state(net).values())
    assert net[0].mem.sum() == 0


@pytest.mark.parametrize("clear", [reset_, detach_])
def test_7_a_second_backward_works(clear):
    fc, net = nn.Linear(3, 3), leaky()
    x = torch.rand(2, 3)

    def loss() -> Tensor:
        net(fc(x))
        return net[0].mem.sum()

    loss().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss().backward()
    clear(net)
    assert holds_graph(net) == []
    loss().backward()


@pytest.mark.parametrize("init_hidden", [True, False])
def test_8_a_changed_batch_size_is_not_answered_by_silent_zeros(init_hidden):
    net = nn.Sequential(snn.Leaky(beta=0.9, init_hidden=init_hidden))
    _, state = unroll(net, torch.ones(4, 5, 3))
    with pytest.raises(ValueError, match=r"for batch size 5, the input has 2\. Start afresh with state=None"):
        unroll(net, torch.ones(4, 2, 3), state=state)
    unroll(net, torch.ones(4, 2, 3))


def test_9_deepcopy_after_a_forward_with_gradients(stepped):
    neuron, x = stepped
    neuron(x)
    for clear in (detach_, reset_):
        clear(neuron)
        twin = copy.deepcopy(neuron)
        assert hidden_state(twin).keys() == hidden_state(neuron).keys()
        neuron(x)


def test_a_newer_reset_that_is_already_right_changes_nothing(monkeypatch):
    """Upstream has since made `utils.reset` walk the network it is given; ours must not depend on either."""
    monkeypatch.setattr(
        utils, "reset", lambda net: [each.reset_mem() for each in net.modules() if hasattr(each, "mem")]
    )
    net = nn.Sequential(charged(leaky()))
    utils.reset(net)
    assert list(hidden_state(net)) == ["0.0.mem"]
    reset_(net)
    assert hidden_state(net) == {}


def test_state_that_upstream_makes_persistent_is_still_state():
    net = leaky()
    net[0].register_buffer("mem", torch.zeros(0), persistent=True)
    charged(net)
    state = {name: value.detach() for name, value in hidden_state(net).items()}
    reset_(net)
    assert hidden_state(net) == {}
    load_hidden_state_(net, state)
    assert torch.equal(net[0].mem, state["0.mem"])
