import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from lightning_neuro.spiking.discovery import find_synapses, synapse_table


def feeds(module: nn.Module, batch: Tensor | None = None) -> dict[str, tuple[str, ...] | None]:
    return {synapse.name: synapse.feeds for synapse in synapse_table(module, batch)}


class Branches(nn.Module):
    """Layers declared out of order, a branch, a layer used twice and a skip through plain arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.shared, self.readout = (nn.Linear(4, 4) for _ in range(4))
        self.norm = nn.BatchNorm1d(4)
        self.lif1, self.lif2, self.lif3 = (snn.Leaky(beta=0.9, init_hidden=True) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        one = self.lif1(self.norm(self.left(x)) + torch.relu(self.right(x)).flatten(1))
        two = self.lif2(self.shared(one))
        both = torch.cat([self.shared(two), x], dim=1)[:, :4]
        return self.readout(self.lif3(both))


BRANCHES = {
    "left.weight": ("lif1",),
    "right.weight": ("lif1",),
    "shared.weight": ("lif2", "lif3"),
    "readout.weight": None,
}


def test_order_rule_in_a_sequence():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3),
        nn.BatchNorm2d(2),
        nn.AvgPool2d(2),
        snn.Leaky(beta=0.9, learn_beta=True, learn_threshold=True),
        nn.Flatten(),
        nn.Linear(8, 4),
        snn.RLeaky(beta=0.9, linear_features=4),
        nn.Linear(4, 2),
    )
    table = synapse_table(net)
    assert [(each.name, each.owner, each.feeds, each.how) for each in table] == [
        ("0.weight", "0", ("3",), "order"),
        ("5.weight", "5", ("6",), "order"),
        ("6.recurrent.weight", "6.recurrent", ("6",), "internal"),
        ("7.weight", "7", None, "order"),
    ]
    assert table[0].tensor is net[0].weight


def test_a_layer_before_another_layer_feeds_no_neuron():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4), snn.Leaky(beta=0.9), nn.Dropout(), snn.Leaky(beta=0.9))
    assert feeds(net) == {"0.weight": None, "1.weight": ("2",)}


@pytest.mark.parametrize(
    ("neuron", "inside"),
    [
        (snn.RLeaky(beta=0.9, conv2d_channels=2, kernel_size=3), ["recurrent.weight"]),
        (snn.RLeaky(beta=0.9, all_to_all=False, V=torch.ones(4)), ["V"]),
        (snn.RSynaptic(alpha=0.8, beta=0.9, linear_features=4), ["recurrent.weight"]),
        (snn.SLSTM(4, 4), ["lstm_cell.weight_ih", "lstm_cell.weight_hh"]),
        (snn.SConv2dLSTM(2, 3, 3), ["conv.weight"]),
        (snn.LinearLeaky(beta=0.9, in_features=4, out_features=5), ["linear.weight"]),
        (snn.AssociativeLeaky(4, 2, 3, 6), ["to_v.weight", "to_k.weight", "to_alpha.weight", "to_q.weight"]),
        (snn.LeakyParallel(4, 5, beta=0.9, learn_beta=True), ["rnn.weight_ih_l0"]),
        (snn.Alpha(alpha=0.9, beta=0.8), []),
    ],
)
def test_synapses_inside_neurons(neuron, inside):
    assert list(find_synapses(neuron)) == inside
    table = synapse_table(nn.ModuleDict({"fc": nn.Linear(4, 4), "neuron": neuron}))
    assert [each.name for each in table] == ["fc.weight", *(f"neuron.{name}" for name in inside)]
    assert all(each.feeds == ("neuron",) for each in table)


def test_one_to_one_recurrence_has_one_entry_with_both_names():
    (synapse,) = synapse_table(snn.RLeaky(beta=0.9, all_to_all=False, V=torch.ones(4)))
    assert synapse.names == ("V", "recurrent.V")


def test_tied_weights_have_one_entry():
    net = nn.Sequential(nn.Linear(3, 3), snn.Leaky(beta=0.9), nn.Linear(3, 3), snn.Leaky(beta=0.9))
    net[2].weight = net[0].weight
    (synapse,) = synapse_table(net)
    assert (synapse.name, synapse.names, synapse.feeds) == ("0.weight", ("0.weight", "2.weight"), ("1", "3"))
    assert list(find_synapses(net)) == ["0.weight"]


def test_equal_weights_are_not_tied():
    net = nn.Sequential(nn.Linear(3, 3), snn.Leaky(beta=0.9), nn.Linear(3, 3), snn.Leaky(beta=0.9))
    net[2].weight.data.copy_(net[0].weight.data)
    assert len(find_synapses(net)) == 2


def test_no_neurons_no_synapses():
    assert find_synapses(nn.Linear(2, 2)) == {}
    assert synapse_table(nn.Sequential(nn.Linear(2, 2)), torch.ones(1, 2)) == []


def test_traced_branches_and_shared_layers():
    net = Branches()
    table = synapse_table(net, torch.rand(3, 4))
    assert {each.name: each.feeds for each in table} == BRANCHES
    assert {each.how for each in table} == {"traced"}
    assert feeds(net) != BRANCHES  # what the order rule cannot know


def test_traced_through_a_time_loop_and_explicit_state():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(4, 3), nn.Linear(3, 2)
            self.lif1, self.lif2 = snn.RLeaky(beta=0.9, linear_features=3), snn.Leaky(beta=0.9)

        def forward(self, x: Tensor, num_steps: int) -> Tensor:
            spk, mem1 = self.lif1.reset_mem()
            mem2 = self.lif2.reset_mem()
            total = 0
            for _ in range(num_steps):
                spk, mem1 = self.lif1(self.fc1(x), spk, mem1)
                out, mem2 = self.lif2(self.fc2(spk), mem2)
                total = total + out
            return total

    table = synapse_table(Net(), (torch.rand(2, 4), 3))
    assert {each.name: (each.feeds, each.how) for each in table} == {
        "fc1.weight": (("lif1",), "traced"),
        "fc2.weight": (("lif2",), "traced"),
        "lif1.recurrent.weight": (("lif1",), "internal"),
    }


@pytest.mark.parametrize("batch", [None, torch.rand(3, 4)])
def test_names_survive_wrappers(batch):
    net = Branches()
    expected = feeds(net, batch)
    assert feeds(nn.DataParallel(net), batch) == expected
    assert feeds(torch.compile(net, backend="eager"), batch) == expected
    net.shared = torch.compile(net.shared, backend="eager")
    assert feeds(net, batch) == expected
    assert find_synapses(net)["shared.weight"] is net.shared.weight


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize(
    ("change", "leaf"),
    [
        (lambda layer: prune.l1_unstructured(layer, "weight", amount=0.5), "weight_orig"),
        (nn.utils.weight_norm, "weight_v"),
        (nn.utils.spectral_norm, "weight_orig"),
        (nn.utils.parametrizations.weight_norm, "parametrizations.weight.original1"),
        (nn.utils.parametrizations.spectral_norm, "parametrizations.weight.original"),
    ],
)
def test_weights_that_are_computed_from_a_parameter(change, leaf):
    net = nn.Sequential(nn.Linear(3, 2), snn.Leaky(beta=0.9, init_hidden=True))
    change(net[0])
    for batch in (None, torch.ones(1, 3)):
        (synapse,) = synapse_table(net, batch)
        assert (synapse.name, synapse.owner, synapse.feeds) == (f"0.{leaf}", "0", ("1",))
        assert synapse.tensor is dict(net.named_parameters())[synapse.name]
        assert synapse.tensor.shape == (2, 3)
