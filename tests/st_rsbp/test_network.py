import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.st_rsbp import (
    CountLoss,
    ExponentialRegulariser,
    GradientRule,
    RandomConnectivity,
    RecurrentSpikingLayer,
    SpikingConvLayer,
    SpikingLayer,
    SpikingNetwork,
    SpikingPoolLayer,
)

LOSS = CountLoss(12, 1, 0)
RULES = [GradientRule(), GradientRule.published("2019-10"), GradientRule.published("2019-05")]


def trains(*shape, seed=0, rate=0.1):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < rate


def recurrent_net(**output):
    return SpikingNetwork(
        RecurrentSpikingLayer(9, 12, threshold=0.8, tau_m=20.0, seed=1),
        SpikingLayer(12, 3, threshold=0.8, tau_m=20.0, seed=2, **output),
    ).double()


def conv_net():
    return SpikingNetwork(
        SpikingConvLayer(1, 3, 3, threshold=0.7, seed=1),
        SpikingPoolLayer(2, threshold=1.0),
        RecurrentSpikingLayer(27, 8, threshold=1.5, connectivity=RandomConnectivity(0.5), seed=2),
        SpikingLayer(8, 3, threshold=1.5, seed=3),
    ).double()


def gradients(net, x, targets, **options):
    net.zero_grad()
    net.train()
    net(x)
    result = net.backward(targets, **({"loss": LOSS} | options))
    return [p.grad.clone() for p in net.parameters()], result


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("make", "features"), [(recurrent_net, (9,)), (conv_net, (1, 8, 8))])
def test_i04_a_batch_is_the_mean_of_its_samples(make, features, rule):
    net, x, targets = make(), trains(60, 4, *features), torch.tensor([0, 2, 1, 0])
    whole, result = gradients(net, x, targets, rule=rule)
    assert all(g.any() for g in whole)
    singles = [gradients(net, x[:, b : b + 1], targets[b : b + 1], rule=rule) for b in range(4)]
    for place, gradient in enumerate(whole):
        torch.testing.assert_close(gradient, torch.stack([g[place] for g, _ in singles]).mean(0))
    assert torch.equal(result.counts, torch.cat([r.counts for _, r in singles]))
    torch.testing.assert_close(result.loss, torch.stack([r.loss for _, r in singles]).mean())


@pytest.mark.parametrize("rule", RULES)
def test_i04_permuting_neurons_permutes_weights_gradients_and_counts(rule):
    net, x, targets = recurrent_net(), trains(60, 4, 9), torch.tensor([0, 2, 1, 0])
    hidden, out = torch.randperm(12), torch.tensor([2, 0, 1])
    other = copy.deepcopy(net)
    with torch.no_grad():
        first, last = other.layers
        first.weight.copy_(first.weight[hidden])
        first.recurrent_weight.copy_(first.recurrent_weight[hidden][:, hidden])
        last.weight.copy_(last.weight[out][:, hidden])
    (w, v, u), result = gradients(net, x, targets, rule=rule)
    moved, moved_result = gradients(other, x, torch.argsort(out)[targets], rule=rule)
    for found, expected in zip(moved, (w[hidden], v[hidden][:, hidden], u[out][:, hidden]), strict=True):
        torch.testing.assert_close(found, expected)
    assert torch.equal(moved_result.counts, result.counts[:, out])


def test_i08_no_error_no_gradient_and_sample_weights_scale():
    net, x, targets = recurrent_net(), trains(60, 4, 9), torch.tensor([0, 2, 1, 0])
    counts = net(x)
    exact, result = gradients(net, x, counts, loss=CountLoss(20, 0, 0))
    assert not any(g.any() for g in exact)
    assert result.loss == 0
    weight = torch.tensor([0.0, 1.0, 2.5, 0.0])
    weighed, _ = gradients(net, x, targets, sample_weight=weight)
    one, _ = gradients(net, x[:, 1:2], targets[1:2])
    two, _ = gradients(net, x[:, 2:3], targets[2:3])
    for found, a, b in zip(weighed, one, two, strict=True):
        torch.testing.assert_close(found, (a + 2.5 * b) / 4)


def test_i08_a_silent_net_predicts_class_0():
    net = recurrent_net()
    net(torch.zeros(60, 2, 9))
    result = net.backward(torch.tensor([1, 2]), loss=LOSS)
    assert result.predictions.tolist() == [0, 0]
    assert result.counts.sum() == 0
    assert result.teacher_forced == 2


def test_i09_a_silent_target_alone_learns_as_if_it_had_fired():
    net, x, targets = recurrent_net(), trains(60, 4, 9), torch.tensor([0, 2, 1, 0])
    with torch.no_grad():
        net.layers[1].weight.abs_()[0] = -1.0
    (_, _, with_forcing), result = gradients(net, x, targets)
    (_, _, without), other = gradients(net, x, targets, loss=CountLoss(12, 1, 0, teacher_forcing=False))
    assert (result.teacher_forced, other.teacher_forced) == (2, 0)
    assert torch.equal(result.counts, other.counts)
    assert result.counts[0, 0] == 0
    assert not without[0].any()
    assert (with_forcing[0] <= 0).all()
    assert with_forcing[0].any()
    torch.testing.assert_close(with_forcing[1:], without[1:])


@pytest.mark.parametrize(("steps", "maps"), [(40, 3), (40, 1), (7, 7)])
def test_silent_maps_learn_as_the_same_neurons_in_a_dense_layer(steps, maps):
    conv = SpikingNetwork(SpikingConvLayer(1, maps, 3, threshold=1e6, tau_m=20.0, seed=1)).double()
    dense = SpikingNetwork(SpikingLayer(9, maps, threshold=1e6, tau_m=20.0)).double()
    with torch.no_grad():
        dense.layers[0].weight.copy_(conv.layers[0].weight.flatten(1))
    x, targets, loss = trains(steps, 4, 1, 3, 3, rate=0.5), torch.arange(4) % maps, CountLoss(2, 1, 0)
    [maps_of], result = gradients(conv, x, targets, loss=loss)
    [neurons_of], _ = gradients(dense, x, targets, loss=loss)
    assert result.teacher_forced == 4
    assert neurons_of.any()
    torch.testing.assert_close(maps_of.flatten(1), neurons_of)


def test_gradients_accumulate():
    net, x, targets = recurrent_net(), trains(60, 4, 9), torch.tensor([0, 2, 1, 0])
    once, _ = gradients(net, x, targets)
    net(x)
    net.backward(targets, loss=LOSS)
    for p, gradient in zip(net.parameters(), once, strict=True):
        torch.testing.assert_close(p.grad, 2 * gradient)


@pytest.mark.parametrize("make", [recurrent_net, conv_net])
def test_i13_no_autograd_graph_anywhere_and_autocast_changes_nothing(make):
    net = make().float()
    x = trains(60, 4, *((9,) if make is recurrent_net else (1, 8, 8)))
    targets = torch.tensor([0, 2, 1, 0])
    plain, _ = gradients(net, x, targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast, result = gradients(net, x, targets)
    assert all(torch.equal(a, b) for a, b in zip(plain, under_autocast, strict=True))
    counts = net(x)
    spikes = net.layers[0](x)
    everything = [counts, spikes, result.loss, result.counts, *under_autocast]
    assert not any(t.requires_grad or t.grad_fn is not None for t in everything)


def test_evaluation_keeps_nothing_and_fires_the_same():
    net, x = recurrent_net(), trains(60, 4, 9)
    counts = net(x)
    net.eval()
    assert torch.equal(net(x), counts)
    with pytest.raises(RuntimeError, match="needs a forward in training mode"):
        net.backward(torch.tensor([0, 2, 1, 0]))


def test_rates_are_those_of_the_layers():
    net, x = recurrent_net(), trains(60, 4, 9)
    net(x)
    hidden = net.layers[0](x)
    rates = net.rates()
    assert rates["0"].item() == pytest.approx(hidden.double().mean().item())
    assert rates["1"].item() == pytest.approx(net.layers[1](hidden).double().mean().item())


def test_a_second_backward_needs_a_second_forward_but_a_refused_one_does_not():
    net, x = recurrent_net(), trains(60, 4, 9)
    with pytest.raises(RuntimeError, match="SpikingNetwork: backward needs a forward"):
        net.backward(torch.zeros(4).long())
    net(x)
    with pytest.raises(ValueError, match="from 0 to 2"):
        net.backward(torch.tensor([0, 1, 2, 3]))
    assert all(p.grad is None for p in net.parameters())
    net.backward(torch.tensor([0, 1, 2, 0]), loss=LOSS)
    with pytest.raises(RuntimeError, match="uses it up"):
        net.backward(torch.tensor([0, 1, 2, 0]), loss=LOSS)


@pytest.mark.parametrize(
    ("rule", "same"),
    [
        (GradientRule(lateral="ignore"), False),
        (GradientRule(lateral="factor"), False),
        (GradientRule(lateral="recurrent"), True),
    ],
)
def test_lateral_inhibition_is_a_recurrent_layer_with_fixed_weights(rule, same):
    net = recurrent_net(lateral_inhibition=0.7)
    twin = SpikingNetwork(
        copy.deepcopy(net.layers[0]), RecurrentSpikingLayer(12, 3, threshold=0.8, tau_m=20.0, train_recurrent=False)
    ).double()
    with torch.no_grad():
        twin.layers[1].weight.copy_(net.layers[1].weight)
        twin.layers[1].recurrent_weight.copy_(-0.7 * (1 - torch.eye(3)))
    x, targets = trains(60, 4, 9, rate=0.2), torch.tensor([0, 2, 1, 0])
    assert torch.equal(net(x), twin(x))
    found, _ = gradients(net, x, targets, rule=rule)
    twin(x)
    twin.backward(targets, loss=LOSS, rule=rule)
    expected = [p.grad for p in twin.parameters() if p.requires_grad]
    assert all(torch.allclose(a, b) for a, b in zip(found, expected, strict=True)) == same


def test_own_loss_on_counts():
    def absolute(counts, targets):
        difference = counts - 5
        return difference.abs().sum(1), difference.sign()

    net, x = recurrent_net(), trains(60, 4, 9)
    counts = net(x)
    result = net.backward(torch.zeros(4), loss=absolute)
    assert result.loss.item() == pytest.approx((counts - 5).abs().sum(1).mean().item())
    assert result.teacher_forced == 0
    net(x)
    with pytest.raises(ValueError, match=r"loss must return the loss of each sample \(4,\)"):
        net.backward(torch.zeros(4), loss=lambda counts, targets: (counts.sum(), counts))


def test_regulariser_is_added_once_per_backward():
    net, x, targets = conv_net(), trains(60, 2, 1, 8, 8), torch.tensor([0, 1])
    regulariser = ExponentialRegulariser(10, 0.04)
    plain, _ = gradients(net, x, targets)
    with_it, _ = gradients(net, x, targets, regulariser=regulariser)
    conv, _, recurrent, last = net.layers
    expected = [
        *regulariser.gradients([conv.weight.detach()]),
        *regulariser.gradients([recurrent.weight.detach(), recurrent.recurrent], recurrent.recurrent_mask),
        *regulariser.gradients([last.weight.detach()]),
    ]
    for a, b, wanted in zip(with_it, plain, expected, strict=True):
        torch.testing.assert_close(a - b, wanted)


def test_layers_with_other_time_constants_and_frozen_weights():
    net = SpikingNetwork(
        SpikingLayer(9, 12, threshold=1.5, tau_m=20.0), SpikingLayer(12, 3, threshold=1.5, tau_m=40.0, tau_s=4.0)
    )
    net.layers[0].weight.requires_grad_(False)
    net(trains(60, 4, 9))
    net.backward(torch.tensor([0, 2, 1, 0]), loss=LOSS)
    assert net.layers[0].weight.grad is None
    assert net.layers[1].weight.grad.any()


def test_a_seed_draws_all_layers_anew_and_apart():
    make = lambda seed: SpikingNetwork(SpikingLayer(4, 4, threshold=1.0), SpikingLayer(4, 4, threshold=1.0), seed=seed)  # noqa: E731
    a, b, c = make(1), make(1), make(2)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.layers[0].weight, c.layers[0].weight)
    assert not torch.equal(a.layers[0].weight, a.layers[1].weight)


def test_copies_and_states_fire_the_same():
    net, x = conv_net(), trains(30, 2, 1, 8, 8, rate=0.3)
    counts = net(x)
    other = SpikingNetwork(*copy.deepcopy(net.layers), seed=9)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(x), counts)
    assert torch.equal(copy.deepcopy(net)(x), counts)


def test_an_unreachable_count_is_told_once():
    net, x, targets = recurrent_net(), trains(60, 4, 9), torch.tensor([0, 2, 1, 0])
    net(x)
    with pytest.warns(UserWarning, match=r"desired count of 35 cannot be reached in 60 steps .* at most 20 spikes fit"):
        net.backward(targets)
    net(x)
    net.backward(targets)


def test_as_many_spikes_as_fit_are_no_news_and_one_more_is():
    net = SpikingNetwork(SpikingLayer(1, 2, threshold=0.01, init_scale=1.0)).double()
    net.layers[0].weight.data.fill_(9.0)
    x, loss = torch.ones(38, 1, 1), CountLoss(13, 1, 0)
    assert net(x).tolist() == [[13, 13]]
    net.backward(torch.tensor([0]), loss=loss)
    for steps, wanted in ((38, 14.0), (20, 8.0)):
        targets = torch.tensor([[1.0, wanted]])
        net(x[:steps])
        with pytest.warns(UserWarning, match=f"desired count of {wanted:g} cannot be reached in {steps} steps"):
            net.backward(targets, loss=loss)
        net(x[:steps])
        net.backward(targets, loss=loss)


@pytest.mark.parametrize(
    ("spikes", "error", "message"),
    [
        (torch.zeros(60, 9), ValueError, r"time-first \(T, B, neurons\)"),
        ([[0]], TypeError, "must be a tensor, got list"),
        (torch.zeros(60, 4, 9).add(0.5), ValueError, "only 0 and 1, got 0.5"),
        (-torch.ones(60, 4, 9), ValueError, "only 0 and 1, got -1"),
        (torch.full((60, 4, 9), float("nan")), ValueError, "got nan. Something before the network"),
        (torch.zeros(60, 4, 9, dtype=torch.complex64), TypeError, "real type"),
        (torch.zeros(60, 0, 9), ValueError, "empty batch"),
        (torch.zeros(1, 4, 9), ValueError, "at least 2 steps"),
        (
            torch.zeros(60, 4, 8),
            ValueError,
            r"layer 0 does not fit. .* expected 9 input neurons, got 8, features \(8,\).$",
        ),
        (torch.zeros(4, 9, 60), ValueError, r"Dimension 1 has 9 entries.*bring it last and time first"),
    ],
)
def test_spikes_that_do_not_fit_are_refused_and_nothing_changes(spikes, error, message):
    net, x = recurrent_net(), trains(60, 4, 9)
    net(x)
    with pytest.raises(error, match=message):
        net(spikes)
    net.backward(torch.tensor([0, 2, 1, 0]), loss=LOSS)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("weight", ["weight", "recurrent_weight"])
def test_weights_that_are_not_finite_are_named_and_nothing_changes(weight, value):
    net, x = recurrent_net(), trains(60, 4, 9)
    net(x)
    kept = getattr(net.layers[0], weight)[2, 3].item()
    getattr(net.layers[0], weight).data[2, 3] = value
    for act in (lambda: net(x), lambda: net.backward(torch.tensor([0, 2, 1, 0]), loss=LOSS)):
        with pytest.raises(ValueError, match=f"layer 0 cannot be used. Recurrent.*: {weight} holds NaN or infinite"):
            act()
    assert all(p.grad is None for p in net.parameters())
    getattr(net.layers[0], weight).data[2, 3] = kept
    net.backward(torch.tensor([0, 2, 1, 0]), loss=LOSS)


def test_large_weights_whose_sum_overflows_are_taken():
    net = SpikingNetwork(SpikingLayer(9, 3, threshold=1.0))
    net.layers[0].weight.data.fill_(2e38)
    assert net(torch.zeros(5, 1, 9)).sum() == 0


def test_batch_first_is_told_by_the_targets():
    net = recurrent_net()
    net(trains(4, 60, 9))
    with pytest.raises(ValueError, match=r"for each of 60 samples, got shape \(4,\).* batch-first.*transpose\(0, 1\)"):
        net.backward(torch.tensor([0, 2, 1, 0]))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"targets": 3}, TypeError, "targets must be a tensor, got int"),
        ({"sample_weight": [1.0]}, TypeError, "sample_weight must be a tensor"),
        ({"sample_weight": torch.ones(3)}, ValueError, r"sample_weight must be \(4,\)"),
        ({"sample_weight": -torch.ones(4)}, ValueError, "with values outside"),
        ({"targets": torch.eye(3).long()[[0, 2, 1, 0]]}, ValueError, r"look like one-hot classes.*targets.argmax\(1\)"),
        ({"rule": "exact"}, ValueError, "rule must be one of 'adjoint', 'published'"),
        ({"regulariser": 0.1}, TypeError, "regulariser must be an ExponentialRegulariser or None, got 0.1"),
        (
            {"regulariser": ExponentialRegulariser(1e3, 1e9, 1e-9)},
            ValueError,
            "regulariser adds to layer 0 is not finite",
        ),
        ({"loss": 3}, TypeError, "loss must be a CountLoss or a function of counts and targets, got int"),
        ({"loss": lambda counts, targets: counts}, TypeError, r"its derivative .*two tensors, got Tensor"),
        ({"loss": lambda counts, targets: (counts.sum(1),)}, TypeError, "two tensors, got 1 values"),
        ({"loss": lambda counts, targets: (counts.sum(1), counts / 0)}, ValueError, "loss returned derivatives that"),
        ({"loss": lambda counts, targets: (counts[:, 0] * float("nan"), counts)}, ValueError, "loss returned losses"),
    ],
)
def test_what_does_not_fit_a_backward_is_refused_and_nothing_changes(options, error, message):
    net, x, targets = recurrent_net(), trains(60, 4, 9), torch.tensor([0, 2, 1, 0])
    once, _ = gradients(net, x, targets)
    net(x)
    with pytest.raises(error, match=message):
        net.backward(**({"targets": targets, "loss": LOSS, "regulariser": ExponentialRegulariser()} | options))
    assert all(torch.equal(p.grad, gradient) for p, gradient in zip(net.parameters(), once, strict=True))
    net.backward(targets, loss=LOSS)
    assert all(torch.allclose(p.grad, 2 * g) for p, g in zip(net.parameters(), once, strict=True))


@pytest.mark.parametrize(("name", "rule"), [("adjoint", GradientRule()), ("published", GradientRule.published())])
def test_rules_by_name(name, rule):
    net, x, targets = recurrent_net(), trains(60, 4, 9), torch.tensor([0, 2, 1, 0])
    found = gradients(net, x, targets, rule=name)[0]
    assert all(torch.equal(a, b) for a, b in zip(found, gradients(net, x, targets, rule=rule)[0], strict=True))


def test_layers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="at least one layer"):
        SpikingNetwork()
    with pytest.raises(TypeError, match="layer 1 must be a spiking layer of this package, got Linear"):
        SpikingNetwork(SpikingLayer(2, 2, threshold=1.0), torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"layer 1 does not fit. SpikingLayer: expected 3 input neurons, got 2"):
        SpikingNetwork(SpikingLayer(4, 2, threshold=1.0), SpikingLayer(3, 2, threshold=1.0))(torch.zeros(5, 1, 4))
    with pytest.raises(TypeError, match=r"float32 or float64, got torch.bfloat16"):
        recurrent_net().bfloat16()(torch.zeros(5, 1, 9))
    mixed = recurrent_net()
    mixed.layers[0].float()
    with pytest.raises(TypeError, match="agree in type"):
        mixed(torch.zeros(5, 1, 9))


def test_revived_weights_are_refused():
    net = conv_net()
    weight, mask = net.layers[2].recurrent_weight.detach(), net.layers[2].recurrent_mask
    weight[~mask] = 0.5
    with pytest.raises(ValueError, match="recurrent weights lead where recurrent_mask has no connection"):
        net(trains(30, 2, 1, 8, 8))


@settings(max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([torch.bool, torch.uint8, torch.float32, torch.int64]))
def test_any_type_of_zeros_and_ones_is_taken(seed, dtype):
    net, x = recurrent_net(), trains(40, 2, 9, seed=seed)
    assert torch.equal(net(x.to(dtype)), net(x))


def templates(samples, seed):
    """Classes in pairs that differ in the order of the same spikes alone."""
    half = trains(3, 60, 20, seed=100, rate=0.06)
    patterns = torch.cat([half, half.flip(1)])
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(6, (samples,), generator=generator)
    kept = torch.rand(60, samples, 20, generator=generator) > 0.1
    noise = torch.rand(60, samples, 20, generator=generator) < 0.01
    return (patterns[targets].transpose(0, 1) & kept) | noise, targets


@pytest.mark.parametrize("rule", [GradientRule(), GradientRule.published()])
def test_i12_learns_the_order_of_spikes(rule):
    net = SpikingNetwork(
        RecurrentSpikingLayer(20, 60, threshold=3.0, tau_m=30.0, seed=1),
        SpikingLayer(60, 6, threshold=3.0, tau_m=30.0, lateral_inhibition=0.5, seed=2),
    )
    optimizer, loss = torch.optim.Adam(net.parameters(), lr=0.01), CountLoss(9, 1, 1)
    x, targets = templates(240, 0)
    losses = []
    for epoch in range(12):
        total = 0.0
        for some in torch.randperm(240, generator=torch.Generator().manual_seed(epoch)).split(24):
            net(x[:, some])
            optimizer.zero_grad()
            total += net.backward(targets[some], loss=loss, rule=rule).loss.item()
            optimizer.step()
        losses.append(total)
    test, expected = templates(200, 1)
    accuracy = (net.eval()(test).argmax(1) == expected).float().mean().item()
    assert losses[-1] < 0.5 * losses[0]
    assert accuracy > 0.8
    assert all(p.isfinite().all() for p in net.parameters())
