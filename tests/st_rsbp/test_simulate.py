import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.st_rsbp import simulate
from lightning_neuro.st_rsbp.simulate import Neuron, spikes_from_current, trace, weighted_input

neurons = st.builds(
    Neuron,
    threshold=st.sampled_from([0.5, 1.0, 3.0]),
    tau_m=st.sampled_from([1.0, 2.5, 16.0, 64.0]),
    tau_s=st.sampled_from([1.0, 3.0, 8.0]),
    refractory=st.sampled_from([0, 1, 2, 4]),
)


def random_layer(seed, steps=40, batch=3, inputs=6, size=5, rate=0.3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    spikes = torch.rand(steps, batch, inputs, generator=generator) < rate
    weight = torch.randn(size, inputs, generator=generator, dtype=dtype) * 2
    recurrent = torch.randn(size, size, generator=generator, dtype=dtype)
    return spikes, weight, recurrent


def forward(spikes, weight, neuron, recurrent=None):
    return spikes_from_current(weighted_input(spikes, weight), neuron, recurrent)


def literal(spikes, weight, neuron, recurrent=None):
    """One sample, one neuron and one synapse at a time, with a counter of refractory steps."""
    steps, batch, inputs = spikes.shape
    size = len(weight)
    fired = [[[False] * size for _ in range(batch)] for _ in range(steps)]
    before_reset = [[[0.0] * size for _ in range(batch)] for _ in range(steps)]
    for b in range(batch):
        v, ep, ref = [0.0] * size, [0.0] * size, [0] * size
        for t in range(1, steps):
            for i in range(size):
                v[i] *= 1 - 1 / neuron.tau_m
                ep[i] *= 1 - 1 / neuron.tau_s
                for j in range(inputs):
                    ep[i] += float(weight[i, j]) * bool(spikes[t - 1, b, j])
                for p in range(size if recurrent is not None else 0):
                    ep[i] += float(recurrent[i, p]) * fired[t - 1][b][p]
                v[i] += ep[i] / neuron.tau_s
                if ref[i] > 0:
                    v[i] = 0.0
                    ref[i] -= 1
                before_reset[t][b][i] = v[i]
                if v[i] > neuron.threshold - 1e-6:
                    fired[t][b][i] = True
                    ref[i] = neuron.refractory
                    v[i] = 0.0
    return torch.tensor(fired), torch.tensor(before_reset, dtype=torch.float64)


@pytest.mark.parametrize("bad", [{"threshold": 0.0}, {"tau_m": 0.9}, {"tau_s": math.inf}, {"refractory": -1}])
def test_constants_out_of_range_are_refused_by_name(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=f"Neuron: {name} must be"):
        Neuron(**bad)


def test_a_refractory_time_is_whole_steps():
    with pytest.raises(TypeError, match="refractory must be an integer"):
        Neuron(refractory=2.0)


@given(st.integers(0, 10**6), neurons, st.booleans())
@settings(max_examples=25, deadline=None)
def test_i04_forward_equals_the_scalar_loop(seed, neuron, has_recurrence):
    spikes, weight, recurrent = random_layer(seed, steps=25, batch=2)
    recurrent = recurrent if has_recurrence else None
    expected, _ = literal(spikes, weight, neuron, recurrent)
    assert torch.equal(forward(spikes, weight, neuron, recurrent), expected)


def test_i04_the_layers_compared_do_fire():
    spikes, weight, recurrent = random_layer(0)
    rate = forward(spikes, weight, Neuron(threshold=1.0), recurrent).double().mean()
    assert 0.05 < rate < 0.4


@given(st.integers(0, 10**6), neurons)
@settings(max_examples=25, deadline=None)
def test_i04_step_0_is_silent_and_intervals_exceed_the_refractory_time(seed, neuron):
    spikes, weight, recurrent = random_layer(seed)
    fired = forward(spikes, weight * 10, neuron, recurrent)
    assert not fired[0].any()
    for train in fired.flatten(1).T:
        assert (train.nonzero().diff(dim=0) > neuron.refractory).all()


def test_i04_input_is_delayed_by_one_step():
    weight, neuron = torch.full((1, 1), 100.0), Neuron(refractory=0, tau_s=1.0)
    for time in range(5):
        spikes = torch.zeros(5, 1, 1, dtype=torch.bool)
        spikes[time] = True
        fired = forward(spikes, weight, neuron).flatten().nonzero().flatten().tolist()
        assert fired == ([time + 1] if time < 4 else [])


def test_i04_recurrence_is_delayed_by_one_step_and_runs_from_column_to_row():
    spikes = torch.tensor([1, 0, 0, 0]).bool().reshape(4, 1, 1)
    weight, recurrent = torch.tensor([[100.0], [0.0]]), torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    fired = forward(spikes, weight, Neuron(tau_s=1.0), recurrent)
    assert fired[:, 0].tolist() == [[False, False], [True, False], [False, True], [False, False]]


@pytest.mark.parametrize(("tolerance", "fires"), [(1e-6, True), (0.0, False)])
def test_a_membrane_that_meets_the_threshold_fires_if_there_is_a_tolerance(tolerance, fires):
    neuron = Neuron(threshold=3.0, tau_s=1.0, tolerance=tolerance)
    fired = forward(torch.tensor([1, 0]).bool().reshape(2, 1, 1), torch.full((1, 1), 3.0), neuron)
    assert fired.any() == fires


def test_i04_zero_weights_are_silent():
    spikes, weight, recurrent = random_layer(1)
    assert not forward(spikes, 0 * weight, Neuron(), 0 * recurrent).any()


def test_i04_a_batch_equals_single_runs_and_neurons_may_be_permuted():
    spikes, weight, recurrent = random_layer(2)
    neuron = Neuron(threshold=1.0)
    together = forward(spikes, weight, neuron, recurrent)
    alone = [forward(spikes[:, b : b + 1], weight, neuron, recurrent) for b in range(3)]
    assert torch.equal(together, torch.cat(alone, 1))
    order = torch.tensor([3, 0, 4, 1, 2])
    permuted = forward(spikes, weight[order], neuron, recurrent[order][:, order])
    assert torch.equal(permuted, together[..., order])


def test_input_delivered_in_pieces_is_the_same(monkeypatch):
    spikes, weight, _ = random_layer(3)
    whole = weighted_input(spikes, weight)
    monkeypatch.setattr(simulate, "CHUNK_ELEMENTS", 7 * spikes[0].numel())
    torch.testing.assert_close(weighted_input(spikes, weight), whole, rtol=0, atol=1e-14)
    torch.testing.assert_close(whole[1:], (spikes.double() @ weight.T)[:-1], rtol=0, atol=1e-14)
    assert not whole[0].any()


@given(st.integers(0, 10**6), neurons)
@settings(max_examples=25, deadline=None)
def test_i05_trace_equals_toeplitz_and_fft(seed, neuron):
    spikes, _, _ = random_layer(seed)
    steps = len(spikes)
    lag = torch.arange(steps, dtype=torch.float64)
    synapse = (1 - 1 / neuron.tau_s) ** (lag[:-1])
    kernel = torch.zeros(steps, dtype=torch.float64)
    for k in range(1, steps):
        kernel[k] = sum(synapse[m] * (1 - 1 / neuron.tau_m) ** (k - 1 - m) for m in range(k)) / neuron.tau_s
    gap = (lag[:, None] - lag).long()
    toeplitz = torch.where(gap >= 0, kernel[gap.clamp(min=0)], 0.0)
    loop = trace(spikes, neuron.tau_m, neuron.tau_s, torch.float64)
    torch.testing.assert_close(loop, torch.einsum("ts,sbm->tbm", toeplitz, spikes.double()), rtol=0, atol=1e-12)
    spectrum = torch.fft.rfft(spikes.double(), 2 * steps, dim=0)
    spectrum *= torch.fft.rfft(kernel, 2 * steps)[:, None, None]
    by_fft = torch.fft.irfft(spectrum, 2 * steps, dim=0)[:steps]
    torch.testing.assert_close(loop, by_fft, rtol=0, atol=1e-12)


def test_i05_one_spike_has_the_area_of_the_membrane_time_constant():
    spikes = torch.zeros(1500, 1, 1, dtype=torch.bool)
    spikes[3] = True
    assert trace(spikes, 64.0, 8.0, torch.float64).sum().item() == pytest.approx(64.0, rel=1e-8)


def test_i05_the_trace_is_the_membrane_of_a_neuron_that_never_fires():
    spikes, weight, _ = random_layer(4)
    _, membrane = literal(spikes, weight, Neuron(threshold=1e9))
    free = torch.einsum("nm,tbm->tbn", weight, trace(spikes, 64.0, 8.0, torch.float64))
    torch.testing.assert_close(free, membrane, rtol=0, atol=1e-12)


def test_i13_no_autograd_graph():
    spikes, weight, recurrent = random_layer(5)
    weight.requires_grad_()
    recurrent.requires_grad_()
    current = weighted_input(spikes, weight)
    fired = spikes_from_current(current, Neuron(), recurrent)
    assert not current.requires_grad
    assert not fired.requires_grad
    assert fired.dtype == torch.bool
    assert not trace(fired, 64.0, 8.0).requires_grad


def test_an_empty_batch_and_a_single_step_are_no_special_case():
    weight = torch.ones(2, 3)
    for shape in ((5, 0, 3), (1, 2, 3)):
        spikes = torch.ones(shape, dtype=torch.bool)
        fired = forward(spikes, weight, Neuron(), torch.ones(2, 2))
        assert fired.shape == (*shape[:2], 2)
        assert not fired[:1].any()
        assert trace(spikes, 64.0, 8.0).shape == shape
