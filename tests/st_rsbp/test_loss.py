import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.st_rsbp import CountLoss, SpikingLayer, SpikingNetwork
from lightning_neuro.st_rsbp.loss import forced


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 8))
def test_i08_errors_within_the_margin_cost_nothing_and_beyond_it_in_full(own, other, margin):
    loss, delta = CountLoss(35, 5, margin)(torch.tensor([[float(own), float(other)]]), torch.tensor([0]))
    expected = [d if abs(d) > margin else 0 for d in (own - 35, other - 5)]
    assert delta.tolist() == [expected]
    assert loss.item() == sum(d * d for d in expected)


def test_i08_the_margin_is_strict():
    _, delta = CountLoss(35, 5, 5)(torch.tensor([[30.0, 10.0], [29.0, 11.0]]), torch.tensor([0, 0]))
    assert delta.tolist() == [[0, 0], [-6, 6]]


def test_wanted_counts_may_be_given_themselves():
    counts = torch.tensor([[8.0, 0.0, 3.0]])
    loss, delta = CountLoss(35, 5, 1)(counts, torch.tensor([[10, 7, 3]]))
    assert delta.tolist() == [[-2, -7, 0]]
    assert loss.tolist() == [53]
    assert CountLoss(35, 5, 1).intervals(counts, torch.tensor([[10, 7, 3]]), 100).tolist() == [[10, 14, 0]]


def test_i09_teacher_forcing_inserts_36_spikes_at_400_steps_and_35_wanted():
    loss = CountLoss()
    intervals = loss.intervals(torch.zeros(2, 3), torch.tensor([1, 0]), 400)
    assert intervals.tolist() == [[0, 11, 0], [11, 0, 0]]
    spikes = torch.rand(400, 2, 3, generator=torch.Generator().manual_seed(0)) < 0.1
    changed = forced(spikes, intervals * torch.tensor([[1], [0]]))
    assert changed[:, 0, 1].sum() == 36
    assert changed[:, 0, 1].nonzero().flatten().diff().unique().tolist() == [11]
    assert torch.equal(changed[:, 1], spikes[:, 1])
    assert torch.equal(changed[:, 0, ::2], spikes[:, 0, ::2])
    assert CountLoss(teacher_forcing=False).intervals(torch.zeros(1, 3), torch.tensor([1]), 400) is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"desired_count": 0}, ValueError, "desired_count must be greater than 0"),
        ({"undesired_count": 40}, ValueError, "undesired_count must be at least 0 and at most 35"),
        ({"margin": -1}, ValueError, "margin must be at least 0"),
        ({"margin": "5"}, TypeError, "margin must be a number"),
    ],
)
def test_constants_out_of_range_are_refused(arguments, error, message):
    with pytest.raises(error, match=f"CountLoss: {message}"):
        CountLoss(**arguments)


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        (torch.tensor([0, 3]), ValueError, "from 0 to 2 for 3 output neurons, got 0 to 3"),
        (torch.tensor([-1, 0]), ValueError, "got -1 to 0"),
        (torch.tensor([0]), ValueError, r"\(2,\), one class per sample"),
        (torch.tensor([0.0, 1.0]), TypeError, "integer type"),
        (torch.zeros(2, 2), ValueError, r"wanted counts must be \(2, 3\)"),
        (torch.full((2, 3), -1.0), ValueError, "finite and at least 0"),
        (torch.full((2, 3), float("nan")), ValueError, "finite and at least 0"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets, error, message):
    with pytest.raises(error, match=message):
        CountLoss()(torch.zeros(2, 3), targets)


def test_one_wanted_spike_is_forced_at_the_last_step():
    intervals = CountLoss(1, 0, 0).intervals(torch.zeros(1, 2), torch.tensor([1]), steps=25)
    spikes = forced(torch.zeros(25, 1, 2, dtype=torch.bool), intervals)
    assert spikes.nonzero().tolist() == [[24, 0, 1]]


def test_a_loss_of_ones_own_may_differentiate_itself():
    def cross_entropy(counts, targets):
        counts = counts.requires_grad_()
        samples = torch.nn.functional.cross_entropy(counts, targets, reduction="none")
        return samples, torch.autograd.grad(samples.sum(), counts)[0]

    net = SpikingNetwork(SpikingLayer(6, 3, threshold=1.0), seed=0)
    net(torch.rand(20, 4, 6, generator=torch.Generator().manual_seed(0)) < 0.4)
    found = net.backward(torch.arange(4) % 3, loss=cross_entropy)
    assert found.loss > 0
    assert not found.loss.requires_grad
    assert net.layers[0].weight.grad.abs().sum() > 0
