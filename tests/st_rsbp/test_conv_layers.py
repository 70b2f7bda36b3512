import pytest
import torch
from torch.nn import functional

from lightning_neuro.st_rsbp import SpikingConvLayer, SpikingPoolLayer, simulate
from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.simulate import spikes_from_current


def trains(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.2


@pytest.mark.parametrize("padding", [0, 2])
def test_convolution_fires_as_the_reference_fed_by_conv2d(padding):
    layer, x = SpikingConvLayer(2, 3, 3, threshold=0.7, stride=2, padding=padding).double(), trains(40, 2, 2, 7, 6)
    current = torch.stack(
        [functional.conv2d(step.double(), layer.weight.detach(), None, 2, padding) for step in x.roll(1, 0)]
    )
    current[0] = 0
    spikes = layer(x)
    assert spikes.any()
    assert tuple(spikes.shape[2:]) == layer.output_shape((2, 7, 6))
    assert torch.equal(spikes.flatten(2), spikes_from_current(current.flatten(2), layer.neuron))


def test_convolutions_work_in_pieces_of_time(monkeypatch):
    layer, x = SpikingConvLayer(2, 3, 3, threshold=0.7).double(), trains(40, 2, 2, 7, 6)
    synapses, pre = layer.synapses((2, 7, 6)), Activity(x, torch.float64)
    post = Activity(layer(x), torch.float64)
    gains = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    whole = [layer(x), synapses.weight_gradient(post, gains, pre), synapses.pull_potential(post, gains, pre)]
    monkeypatch.setattr(simulate, "CHUNK_ELEMENTS", 7 * 2 * 2 * 7 * 6)
    parts = [layer(x), synapses.weight_gradient(post, gains, pre), synapses.pull_potential(post, gains, pre)]
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b)


def test_pooling_sums_each_channel_with_weights_that_are_not_trained():
    pool, counts = SpikingPoolLayer(2, threshold=1.0), torch.rand(3, 4, 6, 6)
    found = pool.synapses((4, 6, 6)).drive(counts)
    torch.testing.assert_close(found, 4 * functional.avg_pool2d(counts, 2))
    assert not list(pool.parameters())


def test_threshold_of_convolutions_must_be_exceeded():
    layer = SpikingConvLayer(1, 1, 1, threshold=1.0, tau_m=1.0, tau_s=1.0)
    x = torch.ones(4, 1, 1, 1, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        assert not layer(x).any()
        layer.weight.fill_(1.0001)
        assert layer(x).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpikingConvLayer(1, 1, 0, threshold=1.0), "kernel_size must be at least 1"),
        (lambda: SpikingConvLayer(1, 1, 3, threshold=1.0, stride=0), "stride must be at least 1"),
        (lambda: SpikingConvLayer(2, 1, 3, threshold=1.0)(torch.zeros(3, 1, 1, 5, 5)), "expected 2 channels, got 1"),
        (lambda: SpikingConvLayer(1, 1, 6, threshold=1.0)(torch.zeros(3, 1, 1, 5, 5)), "6 x 6 does not fit into"),
        (lambda: SpikingPoolLayer(2, threshold=1.0)(torch.zeros(3, 1, 25)), r"expected inputs of \(C, H, W\)"),
    ],
)
def test_impossible_windows_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
