import copy

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn

from lightning_neuro.spiking.state import detach_, hidden_state, holds_graph, load_hidden_state_, reset_


def first_spikes(output: object) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def test_reset_gives_the_first_output_again(stepped):
    neuron, x = stepped
    first = first_spikes(neuron(x)).clone()
    for _ in range(3):
        neuron(x)
    reset_(neuron)
    assert hidden_state(neuron) == {}
    assert torch.equal(first_spikes(neuron(x)), first)


def test_without_reset_the_output_moves_on():
    lif = snn.Leaky(beta=0.9, init_hidden=True)
    x = torch.full((1, 1), 0.6)
    assert lif(x).item() == 0
    assert lif(x).item() == 1


def test_reset_allows_another_batch_size_and_deepcopy(stepped):
    neuron, x = stepped
    neuron(x)
    reset_(neuron)
    assert holds_graph(neuron) == []
    assert len(first_spikes(copy.deepcopy(neuron)(x[:2]))) == 2


def test_detach_keeps_values_and_cuts_the_graph(stepped):
    neuron, x = stepped
    neuron(x)
    before = {name: value.clone() for name, value in hidden_state(neuron).items()}
    assert before
    assert holds_graph(nn.Sequential(neuron)) == ["0"]
    detach_(neuron)
    assert holds_graph(neuron) == []
    after = hidden_state(neuron)
    assert all(torch.equal(after[name], before[name]) and not after[name].requires_grad for name in before)
    copy.deepcopy(neuron)


def test_detach_leaves_tensors_handed_out_in_their_graph():
    lif = snn.Leaky(beta=0.9)
    x = torch.ones(1, 1, requires_grad=True)
    _, mem = lif(x)
    detach_(lif)
    mem.sum().backward()
    assert x.grad.item() == 1


def test_state_moves_to_a_copy(stepped):
    neuron, x = stepped
    fresh = copy.deepcopy(neuron)
    for _ in range(2):
        neuron(x)
    load_hidden_state_(fresh, {name: value.detach() for name, value in hidden_state(neuron).items()})
    assert torch.equal(first_spikes(fresh(x)), first_spikes(neuron(x)))


def test_neurons_without_state_are_left_in_working_order(whole_sequence):
    neuron, x = whole_sequence
    first = first_spikes(neuron(x)).clone()
    assert hidden_state(neuron) == {}
    reset_(neuron)
    assert holds_graph(neuron) == []
    copy.deepcopy(neuron)
    assert torch.equal(first_spikes(neuron(x)), first)


def test_learned_leak_and_threshold_are_not_state():
    lif = snn.Leaky(beta=torch.full((4,), 0.9), learn_beta=True, learn_threshold=True, init_hidden=True)
    lif(torch.ones(2, 4))
    reset_(lif)
    assert lif.beta.tolist() == pytest.approx([0.9] * 4)
    assert isinstance(lif.threshold, nn.Parameter)
    assert holds_graph(lif) == []


def test_a_neuron_of_the_user_is_reset_its_own_way():
    class Adaptive(snn.LIF):
        def __init__(self) -> None:
            super().__init__(beta=0.9)
            self.register_buffer("adaptation", torch.zeros(1), persistent=False)

        def reset_mem(self) -> Tensor:
            self.adaptation = torch.full((1,), 0.5)
            return self.adaptation

        def forward(self, x: Tensor) -> Tensor:
            self.adaptation = self.adaptation + x.sum()
            return x

    neuron = Adaptive()
    neuron(torch.ones(1, requires_grad=True))
    assert list(hidden_state(neuron)) == ["adaptation"]
    assert holds_graph(neuron) == [""]
    reset_(neuron)
    assert neuron.adaptation.item() == 0.5
    assert holds_graph(neuron) == []


def test_nothing_happens_without_neurons():
    net = nn.BatchNorm1d(2)
    net(torch.rand(4, 2))
    mean = net.running_mean.clone()
    reset_(net)
    detach_(net)
    assert torch.equal(net.running_mean, mean)
    assert holds_graph(net) == []
    assert hidden_state(net) == {}


def test_load_refuses_what_is_no_state(nested):
    message = "'net.9.mem' is not the state of a neuron here; the neurons are 'net.1.0', 'net.2'"
    with pytest.raises(ValueError, match=message):
        load_hidden_state_(nested, {"net.9.mem": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"net\.2\.threshold"):
        load_hidden_state_(nested, {"net.2.threshold": torch.zeros(1)})


def test_load_resets_neurons_that_are_not_named(nested):
    nested(torch.ones(2, 4))
    load_hidden_state_(nested, {"net.1.0.mem": torch.zeros(2, 5)})
    assert list(hidden_state(nested)) == ["net.1.0.mem"]


def test_reset_keeps_dtype():
    lif = snn.Leaky(beta=0.9, init_hidden=True).double()
    lif(torch.ones(2, 2, dtype=torch.float64))
    reset_(lif)
    assert lif.mem.dtype == torch.float64


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # by torch.compile itself
def test_compiles_into_one_graph(make_nested):
    class Net(make_nested):
        def forward(self, x: Tensor) -> Tensor:
            reset_(self)
            total = super().forward(x) + super().forward(x)
            detach_(self)
            return total

    net = Net()
    x = torch.rand(3, 4)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    assert torch.equal(compiled(x), net(x))
    compiled(x).sum().backward()
    assert holds_graph(net) == []
