"""NIR graphs against a plain integration of NIR's equations, and through files and readers."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from lightning_neuro.st_rsbp import (
    RandomConnectivity,
    RecurrentSpikingLayer,
    SpikingConvLayer,
    SpikingLayer,
    SpikingNetwork,
    SpikingPoolLayer,
)
from lightning_neuro.st_rsbp.nir_graph import to_nir

nir = pytest.importorskip("nir")

STEPS, STEP = 60, 1e-4


def integrate(graph, spikes, dt=STEP):
    """Run a graph by NIR's equations alone: Euler steps, membrane after current, cycles delayed by one step.

    Args:
        graph: nodes in the order in which they run.
        spikes: (T, B, ...).
        dt: seconds per step.
    """
    values, currents, membranes, outputs = {}, {}, {}, []
    for frame in spikes.double():
        before, values = values, {"input": frame}
        for name, node in graph.nodes.items():
            sources = [source for source, target in graph.edges if target == name]
            arriving = sum(values.get(source, before.get(source, 0)) for source in sources)
            if isinstance(node, nir.CubaLIF):
                tensors = {
                    key: torch.tensor(getattr(node, key)).double()
                    for key in node.__dataclass_fields__
                    if isinstance(getattr(node, key), np.ndarray)
                }
                current, membrane = currents.get(name, 0), membranes.get(name, 0)
                current = current + dt / tensors["tau_syn"] * (-current + tensors["w_in"] * arriving)
                drive = tensors["v_leak"] - membrane + tensors["r"] * current
                membrane = membrane + dt / tensors["tau_mem"] * drive
                fired = membrane > tensors["v_threshold"]
                currents[name], membranes[name] = current, torch.where(fired, tensors["v_reset"], membrane)
                values[name] = fired.double()
            elif name not in ("input", "output"):
                values[name] = linear_map(node, arriving)
        outputs.append(values[next(source for source, target in graph.edges if target == "output")])
    return torch.stack(outputs).bool()


def linear_map(node, x):
    if isinstance(node, nir.Flatten):
        return x.flatten(1)
    if isinstance(node, nir.SumPool2d):
        return functional.avg_pool2d(x, tuple(node.kernel_size), tuple(node.stride), divisor_override=1)
    weight = torch.tensor(node.weight).double()
    if isinstance(node, nir.Conv2d):
        return functional.conv2d(x, weight, None, tuple(node.stride), tuple(node.padding))
    return x @ weight.T if torch.is_tensor(x) else 0


def dense(refractory=0):
    return SpikingNetwork(
        RecurrentSpikingLayer(6, 9, threshold=1.5, tau_m=20.0, refractory=refractory),
        SpikingLayer(9, 4, threshold=1.2, tau_m=20.0, tau_s=3.3, refractory=refractory),
        seed=1,
    ).double()


def convolutional():
    constants = {"refractory": 0, "tau_m": 20.0}
    return SpikingNetwork(
        SpikingConvLayer(2, 3, 3, threshold=1.0, padding=1, **constants),
        SpikingPoolLayer(2, threshold=0.7, **constants),
        SpikingConvLayer(3, 2, 2, threshold=0.8, stride=2, **constants),
        SpikingLayer(8, 4, threshold=0.8, **constants),
        seed=4,
    ).double()


CASES = {"dense": (dense, (6,)), "convolutional": (convolutional, (2, 8, 8))}


@pytest.fixture(params=CASES)
def case(request):
    make, shape = CASES[request.param]
    spikes = torch.rand(STEPS, 3, *shape, generator=torch.Generator().manual_seed(0)) < 0.3
    net = make()
    return net, to_nir(net, input_shape=shape), spikes


def own_spikes(net, spikes):
    for layer in net.layers:
        spikes = layer(spikes)
    return spikes


def test_equations_of_nir_give_the_same_spikes(case):
    net, graph, spikes = case
    own, theirs, delay = own_spikes(net, spikes), integrate(graph, spikes), len(net.layers)
    assert own.any()
    assert torch.equal(own[delay:], theirs[: STEPS - delay])


def test_file_reads_back(case, tmp_path):
    _, graph, spikes = case
    nir.write(tmp_path / "net.nir", graph)
    back = nir.read(tmp_path / "net.nir")
    assert sorted(back.edges) == sorted(graph.edges)
    assert back.metadata["time_step"] == STEP
    back.nodes = {name: back.nodes[name] for name in graph.nodes}  # the file sorts by name, `integrate` goes in order
    assert torch.equal(integrate(back, spikes), integrate(graph, spikes))


def test_snntorch_reads_the_graph():
    """snnTorch's own reader, for feed-forward networks: it prints a note on the scale of the threshold."""
    reader = pytest.importorskip("snntorch.import_nir")
    constants = {"refractory": 0, "tau_m": 20.0}
    net = SpikingNetwork(
        SpikingLayer(6, 9, threshold=1.5, **constants), SpikingLayer(9, 4, threshold=1.2, **constants), seed=0
    )
    module = reader.import_from_nir(to_nir(net))
    spikes = torch.rand(STEPS, 3, 6, generator=torch.Generator().manual_seed(0)) < 0.3
    state, outputs = None, []
    with torch.no_grad():
        for frame in spikes.float():
            output, state = module(frame, state)
            outputs.append(output)
    own = own_spikes(net, spikes)
    assert own.any()
    assert torch.equal(own[2:], torch.stack(outputs)[:-2].bool())


def test_constants():
    neuron = to_nir(SpikingNetwork(SpikingLayer(2, 1, threshold=5.0, refractory=0)), time_step=1e-3).nodes[
        "layer0_neuron"
    ]
    expected = {"tau_syn": 8e-3, "tau_mem": 64e-3, "r": 64, "w_in": 1, "v_threshold": 5, "v_leak": 0, "v_reset": 0}
    for name, value in expected.items():
        assert getattr(neuron, name) == pytest.approx(value, rel=1e-6), name


def test_missing_connections_are_zeros():
    layer = RecurrentSpikingLayer(2, 9, threshold=1.0, refractory=0, connectivity=RandomConnectivity(0.3))
    weight = to_nir(SpikingNetwork(layer)).nodes["layer0_recurrent"].weight
    assert np.array_equal(weight != 0, layer.recurrent_mask.numpy())


def test_graph_does_not_follow_training():
    net = dense()
    graph = to_nir(net)
    before = graph.nodes["layer0_weight"].weight.copy()
    with torch.no_grad():
        net.layers[0].weight.zero_()
    assert np.array_equal(graph.nodes["layer0_weight"].weight, before)


def test_refractory_time_may_be_dropped():
    with pytest.raises(ValueError, match=r"to_nir: '0' has a refractory time of 2.*refractory=\"drop\""):
        to_nir(dense(refractory=2))
    net, graph = dense(), to_nir(dense(refractory=2), refractory="drop")
    spikes = torch.rand(STEPS, 3, 6, generator=torch.Generator().manual_seed(0)) < 0.3
    assert torch.equal(own_spikes(net, spikes)[2:], integrate(graph, spikes)[:-2])


def test_refusals():
    inhibited = SpikingNetwork(SpikingLayer(2, 2, threshold=1.0, refractory=0, lateral_inhibition=1.0))
    with pytest.raises(ValueError, match=r"to_nir: '0' has lateral inhibition.*RecurrentSpikingLayer"):
        to_nir(inhibited)
    with pytest.raises(TypeError, match="network must be a SpikingNetwork, got SpikingLayer"):
        to_nir(inhibited.layers[0])
    with pytest.raises(ValueError, match=r"input_shape is needed where the first layer is a SpikingConvLayer"):
        to_nir(convolutional())
    with pytest.raises(ValueError, match=r"layer 0 does not fit input_shape \(1, 8, 8\).*expected 2 channels"):
        to_nir(convolutional(), input_shape=(1, 8, 8))
    with pytest.raises(ValueError, match="time_step must be greater than 0"):
        to_nir(dense(), time_step=0)


def test_absent_nir_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'lightning-neuro\[neuro\]'"):
        to_nir(dense())
