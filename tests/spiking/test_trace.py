import pytest
import snntorch as snn
import torch
from torch import nn

from lightning_neuro.spiking.state import hidden_state
from lightning_neuro.spiking.trace import trace_feeds


def test_leaves_no_traces():
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(), snn.Leaky(beta=0.9, init_hidden=True))
    net[2].eval()
    x = torch.rand(5, 4)
    net(x)
    state, mean = hidden_state(net)["3.mem"], net[1].running_mean.clone()
    random = torch.get_rng_state()
    assert trace_feeds(net, {"0": net[0]}, {"3": net[3]}, (x,)) == {"0": {"3"}}
    assert hidden_state(net)["3.mem"] is state
    assert torch.equal(net[1].running_mean, mean)
    assert torch.equal(torch.get_rng_state(), random)
    assert [each.training for each in net] == [True, True, False, True]
    assert not vars(x)
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in net.modules())


def test_cleans_up_after_an_error():
    net = nn.Sequential(nn.Linear(4, 3), snn.Leaky(beta=0.9, init_hidden=True))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        trace_feeds(net, {"0": net[0]}, {"1": net[1]}, (torch.rand(5, 7),))
    assert net.training
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in net.modules())


def test_marks_end_at_the_next_layer_and_neuron():
    fc1, fc2, fc3 = (nn.Linear(2, 2) for _ in range(3))
    lif1, lif2 = (snn.Leaky(beta=0.9, init_hidden=True) for _ in range(2))
    net = nn.Sequential(fc1, fc2, lif1, nn.ReLU(), lif2, fc3)
    layers = {"fc1": fc1, "fc2": fc2, "fc3": fc3}
    assert trace_feeds(net, layers, {"lif1": lif1, "lif2": lif2}, (torch.rand(1, 2),)) == {"fc2": {"lif1"}}


def test_state_is_no_synapse():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.start, self.lif = nn.Linear(2, 2), nn.Linear(2, 2), snn.Leaky(beta=0.9)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.lif(self.fc(x), self.start(x))[0]

    net = Net()
    layers = {"fc": net.fc, "start": net.start}
    assert trace_feeds(net, layers, {"lif": net.lif}, (torch.rand(1, 2),)) == {"fc": {"lif"}}
