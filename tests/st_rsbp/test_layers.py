import pytest
import torch

from lightning_neuro.st_rsbp import RandomConnectivity, RecurrentSpikingLayer, ReservoirConnectivity, SpikingLayer
from lightning_neuro.st_rsbp.initial_weights import draw_
from lightning_neuro.st_rsbp.simulate import spikes_from_current, weighted_input


def test_layers_fire_as_the_reference_does_and_flatten_their_inputs():
    x = torch.rand(50, 3, 2, 4, generator=torch.Generator().manual_seed(0)) < 0.2
    layer = RecurrentSpikingLayer(8, 5, threshold=1.0, connectivity=RandomConnectivity(0.5)).double()
    current = weighted_input(x.flatten(2), layer.weight.detach())
    expected = spikes_from_current(current, layer.neuron, layer.recurrent_weight.detach())
    assert expected.any()
    assert torch.equal(layer(x), expected)
    assert not layer(x).requires_grad


def test_i10_topology_and_weights_come_again_with_the_seed():
    make = lambda seed: RecurrentSpikingLayer(  # noqa: E731
        4, 100, threshold=1.0, connectivity=ReservoirConnectivity((5, 5, 4)), seed=seed
    )
    a, b, c = make(3).state_dict(), make(3).state_dict(), make(4).state_dict()
    assert list(a) == ["weight", "recurrent_weight", "recurrent_mask"]
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not any(torch.equal(a[name], c[name]) for name in a)


def test_layers_leave_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    SpikingLayer(4, 4, threshold=1.0)
    RecurrentSpikingLayer(4, 4, threshold=1.0)
    assert torch.equal(torch.rand(1), expected)


def test_a_generator_may_be_shared():
    generator = torch.Generator().manual_seed(0)
    first, second = (SpikingLayer(4, 4, threshold=1.0, generator=generator) for _ in range(2))
    assert not torch.equal(first.weight, second.weight)


def test_dale_signs_follow_the_sending_neuron():
    connectivity = ReservoirConnectivity((5, 5, 8), dale=True)
    layer = RecurrentSpikingLayer(2, 200, threshold=1.0, connectivity=connectivity, init_scale=0.5)
    columns = layer.recurrent_weight.detach().T
    inhibitory = torch.stack([column[column != 0].unique() for column in columns if column.any()])
    assert inhibitory.shape[1] == 1
    assert sorted(set(inhibitory.flatten().tolist())) == [-0.5, 0.5]
    assert (inhibitory < 0).float().mean().item() == pytest.approx(0.2, abs=0.1)


@pytest.mark.parametrize(("init", "std"), [("uniform", 3**-0.5), ("normal", 1.0), ("fan_in", 5 / 20 / 3**0.5)])
def test_initial_weights_have_their_distribution(init, std):
    weight = draw_(torch.empty(100, 400), init, 1.0, 5.0, torch.Generator().manual_seed(0))
    assert weight.mean().abs() < 4 * std / 200
    assert weight.std().item() == pytest.approx(std, rel=0.02)
    positive = (weight > 0).float().mean().item()
    assert positive == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SpikingLayer(0, 2, threshold=1.0), ValueError, "SpikingLayer: in_features must be at least 1"),
        (lambda: SpikingLayer(2, 2.5, threshold=1.0), TypeError, "out_features must be an integer"),
        (lambda: SpikingLayer(2, 2, threshold=0.0), ValueError, "threshold must be greater than"),
        (lambda: SpikingLayer(2, 2, threshold=1.0, lateral_inhibition=-1), ValueError, "lateral_inhibition"),
        (lambda: SpikingLayer(2, 2, threshold=1.0, init="xavier"), ValueError, "init must be one of"),
        (lambda: SpikingLayer(2, 2, threshold=1.0, backend="gpu"), ValueError, "backend must be one of"),
        (lambda: RecurrentSpikingLayer(2, 2, threshold=1.0, connectivity="ring"), ValueError, "one of 'dense'"),
        (lambda: RecurrentSpikingLayer(2, 2, threshold=1.0, connectivity=0.5), TypeError, "connectivity must be"),
        (
            lambda: SpikingLayer(3, 2, threshold=1.0)(torch.zeros(5, 1, 2)),
            ValueError,
            "expected 3 input neurons, got 2",
        ),
        (
            lambda: SpikingLayer(3, 2, threshold=1.0)(torch.zeros(5, 3)),
            ValueError,
            r"SpikingLayer: .*\(T, B, neurons\)",
        ),
    ],
)
def test_impossible_layers_and_inputs_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_configuration_file_names_the_connectivity_in_short():
    jsonargparse = pytest.importorskip("jsonargparse")
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(RecurrentSpikingLayer, "layer")
    wanted = {"class_path": "RandomConnectivity", "init_args": {"probability": 0.1}}
    sizes = {"in_features": 4, "out_features": 3, "threshold": 1.0}
    found = parser.parse_object({"layer": sizes | {"connectivity": wanted}}).layer.connectivity
    assert vars(found) == {"probability": 0.1, "self_connections": True}
