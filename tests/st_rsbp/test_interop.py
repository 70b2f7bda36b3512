"""Both ways between snnTorch and ST-RSBP: the same spikes, the same weights, and refusals that name the part."""

from functools import partial

import pytest
import snntorch
import torch
from torch import nn
from torch.nn.utils import prune

from lightning_neuro.spiking import reset_, unroll
from lightning_neuro.spiking.surrogate import ATan
from lightning_neuro.st_rsbp import (
    CountLoss,
    RandomConnectivity,
    RecurrentSpikingLayer,
    SpikingConvLayer,
    SpikingLayer,
    SpikingNetwork,
    SpikingPoolLayer,
)
from lightning_neuro.st_rsbp.interop import from_snntorch, to_snntorch

STEPS, BATCH = 60, 3
Neuron = partial(snntorch.Synaptic, reset_mechanism="zero")
RNeuron = partial(snntorch.RSynaptic, reset_mechanism="zero")


def random_spikes(*features, rate=0.3, seed=0, steps=STEPS):
    return torch.rand(steps, BATCH, *features, generator=torch.Generator().manual_seed(seed)) < rate


def own_spikes(net, spikes):
    for layer in net.layers:
        spikes = layer(spikes)
    return spikes


def their_spikes(module, spikes, dtype=torch.float64):
    with torch.no_grad():
        return unroll(module, spikes.to(dtype))[0]


def assert_same(net, module, spikes):
    own, theirs = own_spikes(net, spikes), their_spikes(module, spikes)
    theirs = (theirs[0] if isinstance(theirs, tuple) else theirs).bool()
    delay = len(net.layers)
    assert own.any(), "a silent network proves nothing"
    assert not own[:delay].any()
    assert torch.equal(own[delay:], theirs[: STEPS - delay])


def dense(refractory, seed, tau_s=8.0):
    constants = {"refractory": refractory, "tau_s": tau_s, "tau_m": 20.0}
    return SpikingNetwork(
        SpikingLayer(6, 9, threshold=1.5, **constants), SpikingLayer(9, 4, threshold=1.2, **constants), seed=seed
    ).double()


def recurrent(refractory, seed, tau_s=8.0):
    constants = {"refractory": refractory, "tau_s": tau_s, "tau_m": 20.0}
    return SpikingNetwork(
        RecurrentSpikingLayer(6, 9, threshold=1.5, **constants),
        RecurrentSpikingLayer(9, 8, threshold=1.2, **constants),
        SpikingLayer(8, 4, threshold=1.2, **constants),
        seed=seed,
    ).double()


def convolutional(refractory, seed=4):
    constants = {"refractory": refractory, "tau_m": 20.0}
    return SpikingNetwork(
        SpikingConvLayer(2, 3, 3, threshold=1.0, padding=1, **constants),
        SpikingPoolLayer(2, threshold=0.7, **constants),
        SpikingConvLayer(3, 2, 2, threshold=0.8, stride=2, **constants),
        SpikingLayer(8, 4, threshold=0.8, **constants),
        seed=seed,
    ).double()


class TestSameSpikes:
    @pytest.mark.parametrize("init_hidden", [True, False])
    @pytest.mark.parametrize("tau_s", [8.0, 3.3])
    @pytest.mark.parametrize("refractory", [0, 1])
    @pytest.mark.parametrize("seed", range(3))
    def test_feed_forward(self, seed, refractory, tau_s, init_hidden):
        net = dense(refractory, seed, tau_s)
        assert_same(net, to_snntorch(net, init_hidden=init_hidden), random_spikes(6, seed=seed))

    @pytest.mark.parametrize("tau_s", [8.0, 3.3])
    @pytest.mark.parametrize("seed", range(3))
    def test_recurrent(self, seed, tau_s):
        net = recurrent(1, seed, tau_s)
        module = to_snntorch(net)
        assert type(module[1]) is snntorch.RSynaptic
        assert_same(net, module, random_spikes(6, seed=seed))

    @pytest.mark.parametrize("refractory", [0, 1])
    def test_convolution_and_pooling(self, refractory):
        net = convolutional(refractory)
        assert_same(net, to_snntorch(net), random_spikes(2, 8, 8))

    @pytest.mark.parametrize("init_hidden", [True, False])
    @pytest.mark.parametrize("refractory", [2, 5])
    @pytest.mark.parametrize("make", [dense, recurrent])
    def test_kept_refractory_time(self, make, refractory, init_hidden):
        net = make(refractory, 0)
        assert_same(net, to_snntorch(net, refractory="keep", init_hidden=init_hidden), random_spikes(6, rate=0.6))

    def test_recurrence_without_refractory_time(self):
        net = recurrent(0, 1)
        assert_same(net, to_snntorch(net, refractory="keep"), random_spikes(6, rate=0.6))

    def test_missing_connections_as_zeros(self):
        layer = RecurrentSpikingLayer(6, 9, threshold=1.5, refractory=1, connectivity=RandomConnectivity(0.4))
        net = SpikingNetwork(layer).double()
        assert_same(net, to_snntorch(net, masks="zeros"), random_spikes(6))

    @pytest.mark.parametrize("make", [dense, recurrent])
    def test_kept_state_may_be_handed_over(self, make):
        """Half a sequence, another one, and then the other half."""
        module, frames = (
            to_snntorch(make(5, 0), refractory="keep", init_hidden=False),
            random_spikes(6, rate=0.9).double(),
        )
        with torch.no_grad():
            whole = unroll(module, frames)[0][0]
            first, state = unroll(module, frames[:31])
            unroll(module, frames[:7, :1])
            second, _ = unroll(module, frames[31:], state=state)
        assert whole.any()
        assert torch.equal(torch.cat([first[0], second[0]]), whole)

    def test_kept_state_is_reset_between_batches(self):
        net = dense(5, 0)
        module = to_snntorch(net, refractory="keep")
        first = their_spikes(module, random_spikes(6, rate=0.9))
        for forget in (reset_, lambda net: [net[place].reset_mem() for place in (1, 3)]):
            forget(module)
            with torch.no_grad():
                again = torch.stack([module(frame.double()) for frame in random_spikes(6, rate=0.9)])
            assert torch.equal(first, again)


class TestRoundTrip:
    @pytest.mark.parametrize("net", [dense(1, 0), dense(0, 1), recurrent(2, 2), recurrent(0, 2), convolutional(3)])
    def test_weights_constants_and_spikes_return(self, net):
        back = from_snntorch(to_snntorch(net, refractory="keep"))
        assert [type(layer) for layer in back.layers] == [type(layer) for layer in net.layers]
        for own, other in zip(net.layers, back.layers, strict=True):
            assert torch.equal(own.weight, other.weight)
            if own.recurrent is not None:
                assert torch.equal(own.recurrent, other.recurrent)
            for name in ("threshold", "tau_m", "tau_s", "refractory", "tolerance"):
                assert getattr(other, name) == pytest.approx(getattr(own, name), rel=1e-12), name
        features = (2, 8, 8) if isinstance(net.layers[0], SpikingConvLayer) else (6,)
        spikes = random_spikes(*features)
        assert torch.equal(own_spikes(net, spikes), own_spikes(back, spikes))

    def test_copies_share_nothing(self):
        net = recurrent(1, 0)
        module = to_snntorch(net)
        back = from_snntorch(module)
        pointers = [{p.data_ptr() for p in each.parameters()} for each in (net, module, back)]
        assert not pointers[0] & pointers[1]
        assert not pointers[1] & pointers[2]

    def test_what_is_not_trained_stays_so(self):
        net = SpikingNetwork(RecurrentSpikingLayer(3, 4, threshold=1.0, refractory=1, train_recurrent=False))
        net.layers[0].weight.requires_grad_(False)
        module = to_snntorch(net)
        assert not any(p.requires_grad for p in module.parameters())
        assert not any(p.requires_grad for p in from_snntorch(module).parameters())

    def test_global_generator_is_left_alone(self):
        before = torch.get_rng_state()
        from_snntorch(to_snntorch(recurrent(1, 0)))
        assert torch.equal(before, torch.get_rng_state())


class TestFromSnntorch:
    def test_fires_as_the_original(self):
        module = nn.Sequential(
            nn.Conv2d(1, 3, 3, bias=False),
            Neuron(0.8, 0.9, threshold=0.6, spike_grad=ATan(), init_hidden=True),
            nn.Sequential(
                nn.AvgPool2d(2, divisor_override=1),
                Neuron(0.7, 0.9, threshold=0.9, spike_grad=ATan(), init_hidden=True, reset_delay=False),
            ),
            nn.Flatten(),
            nn.Linear(27, 5, bias=False),
            RNeuron(0.85, 0.95, threshold=0.4, linear_features=5, spike_grad=ATan(), init_hidden=True),
        ).double()
        nn.init.zeros_(module[5].recurrent.bias)
        net = from_snntorch(module)
        assert [layer.refractory for layer in net.layers] == [1, 0, 1]
        assert_same(net, module, random_spikes(1, 8, 8, rate=0.5))

    def test_pooling_with_the_usual_divisor(self):
        module = nn.Sequential(nn.AvgPool2d(2), Neuron(0.5, 0.75, threshold=1.0))
        assert from_snntorch(module).layers[0].threshold == pytest.approx(2.0)

    def test_replacement_of_leaky(self):
        """What the refusal of `Leaky` recommends."""
        leaky = snntorch.Leaky(0.9, threshold=1.0, reset_mechanism="zero", spike_grad=ATan(), init_hidden=True)
        same = Neuron(0.0, 0.9, spike_grad=ATan(), init_hidden=True, reset_delay=False)
        linear = nn.Linear(6, 4, bias=False)
        spikes = random_spikes(6, rate=0.6)
        outputs = [their_spikes(nn.Sequential(linear, each).double(), spikes, torch.float64) for each in (leaky, same)]
        assert outputs[0].any()
        assert torch.equal(*outputs)

    def test_replacement_of_rleaky(self):
        """What the refusal of `RLeaky` recommends."""
        options = {"linear_features": 4, "reset_mechanism": "zero", "spike_grad": ATan(), "init_hidden": True}
        neurons = snntorch.RLeaky(0.9, **options), snntorch.RSynaptic(0.0, 0.9, **options)
        neurons[1].recurrent = neurons[0].recurrent
        linear, spikes = nn.Linear(6, 4, bias=False), random_spikes(6, rate=0.6)
        outputs = [their_spikes(nn.Sequential(linear, each).double(), spikes) for each in neurons]
        assert outputs[0].any()
        assert torch.equal(*outputs)

    def test_clamped_constants(self):
        layer = from_snntorch(nn.Sequential(nn.Linear(2, 2, bias=False), Neuron(-0.5, 0.5))).layers[0]
        assert (layer.tau_s, layer.tau_m) == (1.0, 2.0)


def test_trained_here_used_there():
    """Classes of different rates, learned by ST-RSBP, told apart by snnTorch."""
    generator, labels = torch.Generator().manual_seed(1), torch.arange(4).repeat(4)
    rates = 0.4 * torch.rand(4, 12, generator=generator)
    spikes = torch.rand(60, 16, 12, generator=generator) < rates[labels]
    net = SpikingNetwork(
        RecurrentSpikingLayer(12, 20, threshold=1.0, tau_m=20.0, refractory=1, init="fan_in", init_scale=1.5),
        SpikingLayer(20, 4, threshold=1.0, tau_m=20.0, refractory=1, init="fan_in", init_scale=1.5),
        seed=0,
    ).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        net(spikes)
        net.backward(labels, loss=CountLoss(12, 2, 1))
        optimizer.step()
    counts = net(spikes)
    assert (counts.argmax(1) == labels).float().mean() > 0.8
    theirs = their_spikes(to_snntorch(net), spikes)
    assert torch.equal(theirs[: len(spikes) - len(net.layers)].sum(0), counts)


@pytest.mark.parametrize("kept", [1, 3])
def test_trained_there_used_here(kept):
    net = recurrent(kept, 0)
    module, spikes = to_snntorch(net, refractory="keep"), random_spikes(6)
    unroll(module, spikes.double())[0].sum(0).logsumexp(1).sum().backward()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            assert parameter.grad.count_nonzero(), name
            parameter -= 0.05 * parameter.grad / parameter.grad.norm()
    back = from_snntorch(module)
    assert not torch.equal(back.layers[0].weight, net.layers[0].weight)
    assert_same(back, module, spikes)


class TestRefusedExport:
    def test_what_is_no_network(self):
        with pytest.raises(TypeError, match=r"to_snntorch: network must be a SpikingNetwork, got Linear"):
            to_snntorch(nn.Linear(2, 2))

    @pytest.mark.parametrize(
        ("layer", "message"),
        [
            (SpikingLayer(2, 2, threshold=1.0), r"'1' has a refractory time of 2.*refractory=\"keep\""),
            (RecurrentSpikingLayer(2, 2, threshold=1.0, refractory=0), r"'1' has a refractory time of 0"),
            (
                SpikingLayer(2, 2, threshold=1.0, refractory=1, lateral_inhibition=1.0),
                r"'1' has lateral inhibition.*RecurrentSpikingLayer",
            ),
            (
                RecurrentSpikingLayer(2, 9, threshold=1.0, refractory=1, connectivity=RandomConnectivity(0.2)),
                r"'1' lacks recurrent connections.*masks=\"zeros\"",
            ),
            (type("Own", (SpikingLayer,), {})(2, 2, threshold=1.0, refractory=1), r"'1' is a Own"),
        ],
    )
    def test_layers(self, layer, message):
        with pytest.raises(ValueError, match=message):
            to_snntorch(SpikingNetwork(SpikingLayer(2, 2, threshold=1.0, refractory=1), layer))

    @pytest.mark.parametrize("argument", ["refractory", "masks"])
    def test_arguments(self, argument):
        with pytest.raises(ValueError, match=rf"to_snntorch: {argument} must be one of"):
            to_snntorch(dense(1, 0), **{argument: "drop"})


def linear(bias=False):
    return nn.Linear(2, 2, bias=bias)


def unbiased(**options):
    neuron = RNeuron(0.5, 0.5, **options)
    nn.init.zeros_(neuron.recurrent.bias)
    return neuron


def pruned():
    return prune.l1_unstructured(linear(), "weight", amount=1)


def shared():
    layer = linear()
    return nn.Sequential(layer, Neuron(0.5, 0.5), layer, Neuron(0.5, 0.5))


def with_conv(**options):
    return nn.Sequential(nn.Conv2d(2, 2, **({"kernel_size": 3, "bias": False} | options)), Neuron(0.5, 0.5))


REFUSED = {
    "subtract": ([linear(), snntorch.Synaptic(0.5, 0.5)], r"'1' has reset_mechanism='subtract'"),
    "leaky": ([linear(), snntorch.Leaky(0.5)], r"'1' is a Leaky.*Synaptic\(alpha=0, reset_delay=False"),
    "rleaky": ([linear(), snntorch.RLeaky(0.5, linear_features=2)], r"'1' is a RLeaky.*RSynaptic\(alpha=0"),
    "alpha": ([linear(), snntorch.Alpha(0.6, 0.5)], r"'1' is a Alpha"),
    "learned beta": ([linear(), Neuron(0.5, 0.5, learn_beta=True)], r"'1' learns its beta.*requires_grad_\(False\)"),
    "learned threshold": ([linear(), Neuron(0.5, 0.5, learn_threshold=True)], r"'1' learns its threshold"),
    "beta per neuron": ([linear(), Neuron(0.5, torch.tensor([0.5, 0.6]))], r"'1' has a beta for each neuron"),
    "no leak": ([linear(), Neuron(0.5, 1.0)], r"'1' has beta=1, and so no leak"),
    "quantised": ([linear(), Neuron(0.5, 0.5, state_quant=torch.round)], r"'1' has state_quant"),
    "reset delay": ([linear(), RNeuron(0.5, 0.5, linear_features=2, reset_delay=False)], r"'1' has reset_delay=False"),
    "recurrent bias": ([linear(), RNeuron(0.5, 0.5, linear_features=2)], r"'1.recurrent' has a bias"),
    "one to one": ([linear(), RNeuron(0.5, 0.5, all_to_all=False)], r"'1' feeds back through RecurrentOneToOne"),
    "recurrent size": ([linear(), unbiased(linear_features=3)], r"'1.recurrent' has a weight of \(3, 3\)"),
    "bias": ([linear(bias=True), Neuron(0.5, 0.5)], r"'0' has a bias.*bias=False"),
    "pruned": ([pruned(), Neuron(0.5, 0.5)], r"'0' computes its weight.*prune.remove"),
    "dropout": ([linear(), Neuron(0.5, 0.5), nn.Dropout(0.5)], r"'2' is a Dropout"),
    "batch norm": ([linear(), nn.BatchNorm1d(2), Neuron(0.5, 0.5)], r"'1' is a BatchNorm1d"),
    "nested": ([nn.Sequential(linear(), nn.ReLU()), Neuron(0.5, 0.5)], r"'0.1' is a ReLU"),
    "readout": ([linear(), Neuron(0.5, 0.5), linear()], r"'2' is the last part and feeds no neurons"),
    "two linear": ([linear(), linear(), Neuron(0.5, 0.5)], r"'0' feeds '1' without neurons between"),
    "neuron first": ([Neuron(0.5, 0.5)], r"'0' is not fed by synapses"),
    "shared": ([shared()], r"'0.2' stands in two places"),
    "no flatten": ([*with_conv(), linear(), Neuron(0.5, 0.5)], r"'2' follows maps of \(C, H, W\).*nn.Flatten"),
    "odd flatten": ([nn.Flatten(0), linear(), Neuron(0.5, 0.5)], r"'0' flattens dimensions 0 to -1"),
    "flatten between": ([linear(), nn.Flatten(), Neuron(0.5, 0.5)], r"'1' stands between synapses and their neurons"),
    "dilation": ([*with_conv(dilation=2)], r"'0' has dilation=\(2, 2\)"),
    "groups": ([*with_conv(groups=2)], r"'0' has groups=2"),
    "oblong": ([*with_conv(kernel_size=(2, 3))], r"'0' has kernel_size=\(2, 3\).*square"),
    "same padding": ([*with_conv(padding="same")], r"'0' has padding='same'"),
    "padded pooling": ([nn.AvgPool2d(2, padding=1), Neuron(0.5, 0.5)], r"'0' pools beyond the border"),
    "recurrent maps": (
        [nn.Conv2d(2, 2, 3, bias=False), RNeuron(0.5, 0.5, conv2d_channels=2, kernel_size=3)],
        r"'1' is recurrent",
    ),
}


class TestRefusedImport:
    @pytest.mark.parametrize("case", REFUSED)
    def test_first_part_that_does_not_map_is_named(self, case):
        parts, message = REFUSED[case]
        with pytest.raises(ValueError, match=rf"from_snntorch: {message}"):
            from_snntorch(nn.Sequential(*parts))

    def test_module_without_order(self):
        with pytest.raises(TypeError, match=r"from_snntorch: module must be an nn.Sequential, got ModuleList"):
            from_snntorch(nn.ModuleList([linear(), Neuron(0.5, 0.5)]))

    def test_empty(self):
        with pytest.raises(ValueError, match="from_snntorch: module is empty"):
            from_snntorch(nn.Sequential())

    @pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature")
    def test_inhibition(self):
        with pytest.raises(ValueError, match="'1' has inhibition"):
            from_snntorch(nn.Sequential(linear(), Neuron(0.5, 0.5, inhibition=True)))


@pytest.mark.parametrize(
    ("second", "half", "told"),
    [
        (5, False, "'2' takes 5 features, while 4 neurons stand before it"),
        (4, True, "'0' has weights of torch.float16"),
    ],
)
def test_sizes_and_types_that_do_not_fit_are_named(second, half, told):
    make = lambda: snntorch.Synaptic(alpha=0.875, beta=0.9, threshold=4.0, reset_mechanism="zero")  # noqa: E731
    net = nn.Sequential(nn.Linear(3, 4, bias=False), make(), nn.Linear(second, 2, bias=False), make())
    with pytest.raises(ValueError, match=told):
        from_snntorch(net.half() if half else net)
