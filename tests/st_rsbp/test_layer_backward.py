import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from lightning_neuro.st_rsbp import (
    CountLoss,
    GradientRule,
    RandomConnectivity,
    RecurrentSpikingLayer,
    SpikingConvLayer,
    SpikingLayer,
    SpikingNetwork,
    SpikingPoolLayer,
    spike_train_potential,
)
from lightning_neuro.st_rsbp.activity import Activity
from lightning_neuro.st_rsbp.backward import denominators, pulled
from lightning_neuro.st_rsbp.response import Response

CONSTANTS = {"threshold": 0.6, "tau_m": 16.0, "tau_s": 4.0, "refractory": 1}
STEPS, BATCH = 120, 4


def trains(*features, seed=0, rate=0.15):
    return torch.rand(STEPS, BATCH, *features, generator=torch.Generator().manual_seed(seed)) < rate


def potentials(pre, post):
    constants = {k: v for k, v in CONSTANTS.items() if k != "threshold"}
    return spike_train_potential(pre.double(), post, **constants)


def ratios(pre, post, silent_ratio):
    e, n, o = potentials(pre, post), pre.sum(0), post.sum(0)
    silent = (n == 0)[:, None, :] | (o == 0)[:, :, None]
    return torch.where(silent, silent_ratio, e / n.clamp_min(1)[:, None])


class Slow:
    """Gradients of a two-layer net by the formulas of the method, with every potential in memory."""

    def __init__(self, net, x, targets, loss, rule):
        first, last = net.layers
        hidden, out = first(x), last(first(x))
        delta = loss(out.sum(0).double(), targets)[1] / BATCH
        nu = CONSTANTS["threshold"]
        o, n = hidden.sum(0).double(), x.flatten(2).sum(0).double()
        f = Response(STEPS, 16.0, 1)
        last_d = self.bounded(1 - f.slope(out.sum(0).double()) * (o @ last.weight.T) / nu, rule)
        last_gain = delta / nu / last_d
        self.last = torch.einsum("bi,bij->ij", last_gain, potentials(hidden, out))
        below = torch.einsum("bi,ij,bij->bj", last_gain, last.weight, ratios(hidden, out, rule.silent_ratio))
        drive = n @ first.weight.T
        recurrent = first.recurrent
        if recurrent is not None:
            drive = drive + o @ recurrent.T
        d = self.bounded(1 - f.slope(o) * drive / nu, rule)
        y = below / nu / d
        if recurrent is not None and rule.kind == "adjoint":
            theta = recurrent * ratios(hidden, hidden, rule.silent_ratio_between) / nu
            y = torch.linalg.solve((torch.diag_embed(d) - theta).mT, below / nu)
        self.first = torch.einsum("bi,bij->ij", y, potentials(x.flatten(2), hidden))
        self.recurrent = torch.einsum("bi,bip->ip", y, potentials(hidden, hidden))

    @staticmethod
    def bounded(d, rule):
        return d if rule.gain_floor is None else d.clamp_min(rule.gain_floor)


@pytest.mark.parametrize(
    "rule",
    [
        GradientRule(amplification_limit=None),
        GradientRule(silent_ratio=0.0, recurrent_silent_ratio=0.5, amplification_limit=None),
        GradientRule.published("2019-10"),
    ],
)
@pytest.mark.parametrize("recurrent", [False, True])
def test_i03_gradients_equal_the_formulas_with_all_potentials_in_memory(rule, recurrent):
    kind = RecurrentSpikingLayer if recurrent else SpikingLayer
    net = SpikingNetwork(kind(9, 11, seed=1, **CONSTANTS), SpikingLayer(11, 3, seed=2, **CONSTANTS)).double()
    x, targets, loss = trains(9), torch.tensor([0, 1, 2, 1]), CountLoss(12, 1, 0, teacher_forcing=False)
    with torch.no_grad():
        slow = Slow(net, x, targets, loss, rule)
    net(x)
    net.backward(targets, loss=loss, rule=rule)
    assert (slow.first.abs() > 1e-3).float().mean() > 0.3
    torch.testing.assert_close(net.layers[1].weight.grad, slow.last)
    torch.testing.assert_close(net.layers[0].weight.grad, slow.first)
    if recurrent:
        torch.testing.assert_close(net.layers[0].recurrent_weight.grad, slow.recurrent)


def test_i06_without_recurrence_adjoint_diagonal_and_dense_agree():
    x, targets, loss = trains(9), torch.tensor([0, 1, 2, 1]), CountLoss(12, 1, 0)
    gradients = []
    for kind, rule in [
        (RecurrentSpikingLayer, GradientRule()),
        (RecurrentSpikingLayer, GradientRule(kind="published")),
        (SpikingLayer, GradientRule()),
    ]:
        net = SpikingNetwork(kind(9, 11, seed=1, **CONSTANTS), SpikingLayer(11, 3, seed=2, **CONSTANTS)).double()
        if kind is RecurrentSpikingLayer:
            torch.nn.init.zeros_(net.layers[0].recurrent_weight)
        net(x)
        net.backward(targets, loss=loss, rule=rule)
        gradients.append(net.layers[0].weight.grad)
    torch.testing.assert_close(gradients[0], gradients[2])
    torch.testing.assert_close(gradients[1], gradients[2])


def test_i06_with_a_gain_of_one_an_output_weight_gets_error_times_potential():
    layer = SpikingLayer(9, 3, seed=1, **CONSTANTS).double()
    net, x, targets = SpikingNetwork(layer), trains(9), torch.tensor([0, 1, 2, 1])
    counts = net(x)
    net.backward(targets, loss=CountLoss(12, 1, 0, teacher_forcing=False), rule=GradientRule(post_derivative="none"))
    delta = CountLoss(12, 1, 0)(counts, targets)[1] / BATCH / CONSTANTS["threshold"]
    torch.testing.assert_close(layer.weight.grad, torch.einsum("bi,bij->ij", delta, potentials(x, layer(x))))


@given(st.integers(0, 500), st.sampled_from([0.0, 0.5, 1.0]))
def test_i03_error_below_follows_the_rule_for_silent_pairs(seed, silent_ratio):
    generator = torch.Generator().manual_seed(seed)
    layer = SpikingLayer(6, 5, seed=1, **CONSTANTS).double()
    pre, post = trains(6, seed=seed, rate=0.02), trains(5, seed=seed + 1, rate=0.02)
    pre[:, :, 0] = False
    post[:, :, 0] = False
    gains = torch.randn(BATCH, 5, generator=generator, dtype=torch.float64)
    found = pulled(
        layer.synapses((6,)), Activity(post, torch.float64), gains, Activity(pre, torch.float64), silent_ratio
    )
    expected = torch.einsum("bi,ij,bij->bj", gains, layer.weight.detach(), ratios(pre, post, silent_ratio))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def as_dense(layer, features):
    """The matrix of a convolution or pooling layer, one basis vector at a time."""
    size = torch.Size(features).numel()
    basis = torch.eye(size, dtype=torch.float64).reshape(size, *features)
    return layer.synapses(features).drive(basis).flatten(1).T


@pytest.mark.parametrize(
    "make",
    [
        lambda: SpikingConvLayer(2, 3, 3, padding=1, stride=2, seed=1, **CONSTANTS),
        lambda: SpikingConvLayer(2, 3, 3, seed=1, **CONSTANTS),
        lambda: SpikingPoolLayer(2, **CONSTANTS),
    ],
)
def test_i03_convolution_and_pooling_equal_the_dense_layer_with_the_same_connections(make):
    layer, features = make().double(), (2, 6, 6)
    matrix = as_dense(layer, features)
    dense = SpikingLayer(matrix.shape[1], matrix.shape[0], **CONSTANTS).double()
    dense.weight.data.copy_(matrix)
    x = trains(*features, rate=0.15)
    post = layer(x)
    assert torch.equal(post.flatten(2), dense(x))
    gains = torch.randn(BATCH, *post.shape[2:], dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    pre, fired = Activity(x, torch.float64), Activity(post, torch.float64)
    flat = Activity(post.flatten(2), torch.float64)
    found = pulled(layer.synapses(features), fired, gains, pre, 0.5)
    expected = pulled(dense.synapses(features), flat, gains.flatten(1), pre, 0.5)
    torch.testing.assert_close(found, expected)
    if isinstance(layer, SpikingConvLayer):
        by_pair = dense.synapses(features).weight_gradient(flat, gains.flatten(1), pre)
        expected = shared(by_pair, layer, features)
        torch.testing.assert_close(layer.synapses(features).weight_gradient(fired, gains, pre), expected)


def shared(by_pair, layer, features):
    """Sum a dense gradient over the synapses that share a weight, through autograd of the convolution."""
    weight = layer.weight.detach().clone().requires_grad_()
    size = torch.Size(features).numel()
    basis = torch.eye(size, dtype=torch.float64).reshape(size, *features)
    out = functional.conv2d(basis, weight, None, layer.stride, layer.padding).flatten(1).T
    return torch.autograd.grad((out * by_pair).sum(), weight)[0]


@pytest.mark.parametrize(("kind", "gain"), [("published", 1 / 4), ("adjoint", None)])
def test_pooling_gain_is_published_or_exact(kind, gain):
    pool = SpikingPoolLayer(2, **CONSTANTS)
    net = SpikingNetwork(SpikingConvLayer(1, 2, 3, seed=1, **CONSTANTS), pool, SpikingLayer(8, 3, **CONSTANTS))
    assert pool.fixed_gain(kind) == gain
    net(trains(1, 6, 6, rate=0.2))
    net.backward(torch.tensor([0, 1, 2, 0]), loss=CountLoss(30, 0, 0), rule=GradientRule(kind=kind))
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in net.parameters())


def test_i10_masked_and_fixed_recurrent_weights_get_no_gradient():
    layer = RecurrentSpikingLayer(9, 20, connectivity=RandomConnectivity(0.3), seed=1, **CONSTANTS)
    net = SpikingNetwork(layer, SpikingLayer(20, 3, **CONSTANTS))
    net(trains(9))
    net.backward(torch.tensor([0, 1, 2, 1]), loss=CountLoss(30, 0, 0))
    grad = layer.recurrent_weight.grad
    assert not grad[~layer.recurrent_mask].any()
    assert grad[layer.recurrent_mask].count_nonzero() > 50
    layer.recurrent_weight.requires_grad_(False)
    layer.recurrent_weight.grad = None
    net(trains(9))
    net.backward(torch.tensor([0, 1, 2, 1]), loss=CountLoss(30, 0, 0))
    assert layer.recurrent_weight.grad is None


@pytest.mark.parametrize("floor", [0.1, None])
def test_denominators_keep_their_distance_from_zero(floor):
    derivative = torch.linspace(-20, 20, 401, dtype=torch.float64)
    diagonal, kept = denominators(derivative, 10.0, floor)
    raw = 1 - derivative / 10
    assert torch.equal(diagonal[~kept], raw[~kept])
    assert diagonal.abs().min() >= (floor or 1e-4)
    assert kept.any()
    if floor is None:
        assert (diagonal < 0).any()
