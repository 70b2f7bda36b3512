import snntorch as snn
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lightning_neuro.common.selection import canonical_name
from lightning_neuro.spiking.neurons import find_neurons, named_modules, unwrap


def test_finds_nested_neurons_by_name(nested):
    assert list(find_neurons(nested)) == ["net.1.0", "net.2"]


def test_finds_every_class(stepped, whole_sequence):
    for neuron in (stepped[0], whole_sequence[0]):
        assert find_neurons(nn.Sequential(neuron)) == {"0": neuron}


def test_no_neurons_no_result():
    assert find_neurons(nn.Sequential(nn.Linear(2, 2), nn.ReLU())) == {}


def test_order_and_names_are_those_of_torch(nested):
    nested.alias = nested.net[0]
    assert named_modules(nested) == list(nested.named_modules())


def test_names_survive_wrappers(nested):
    plain = list(find_neurons(nested))
    assert list(find_neurons(nn.DataParallel(nested))) == plain
    assert list(find_neurons(AveragedModel(nested))) == plain
    assert list(find_neurons(nn.DataParallel(torch.compile(nested, backend="eager")))) == plain


def test_names_survive_a_compiled_part(nested):
    nested.net = torch.compile(nested.net, backend="eager")
    assert list(find_neurons(nested)) == ["net.1.0", "net.2"]


def test_an_attribute_called_module_is_no_wrapper():
    net = nn.Module()
    net.module = snn.Leaky(beta=0.9)
    assert unwrap(net) is net
    assert list(find_neurons(net)) == ["module"]


def test_canonical_name_keeps_what_only_looks_like_a_prefix():
    assert canonical_name("my_orig_mod.weight") == "my_orig_mod.weight"
