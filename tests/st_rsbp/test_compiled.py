import multiprocessing
from unittest.mock import Mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.st_rsbp import compiled, potential, simulate
from lightning_neuro.st_rsbp.simulate import Neuron

pytest.importorskip("numba")

neurons = st.builds(
    Neuron,
    threshold=st.sampled_from([0.5, 2.0, 5.0]),
    tau_m=st.sampled_from([1.0, 2.5, 64.0]),
    tau_s=st.sampled_from([1.0, 3.0, 8.0]),
    refractory=st.sampled_from([0, 1, 2, 4]),
)
rates = st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0])


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def layer(seed, rate, dtype=torch.float64, steps=30, batch=3, inputs=11, size=9):
    generator = torch.Generator().manual_seed(seed)
    spikes = torch.rand(steps, batch, inputs, generator=generator) < rate
    shapes = (size, inputs), (size, size), (batch, size)
    return spikes, *(torch.randn(shape, generator=generator, dtype=dtype) * 2 for shape in shapes)


def reference(spikes, weight, neuron, recurrent=None):
    return simulate.spikes_from_current(simulate.weighted_input(spikes, weight), neuron, recurrent)


@given(st.integers(0, 10**6), rates, neurons, st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_i04_spikes_are_those_of_the_reference_one_for_one(seed, rate, neuron, has_recurrence, with_trace):
    inputs, weight, recurrent, _ = layer(seed, rate)
    recurrent = recurrent if has_recurrence else None
    spikes, traces = compiled.dense_forward(inputs, weight, neuron, recurrent, with_trace)
    assert torch.equal(spikes, reference(inputs, weight, neuron, recurrent))
    expected = simulate.trace(spikes, neuron.tau_m, neuron.tau_s, torch.float64) if with_trace else None
    torch.testing.assert_close(traces, expected, rtol=0, atol=0)
    by_current, _ = compiled.current_forward(simulate.weighted_input(inputs, weight), neuron, recurrent, False)
    assert torch.equal(by_current, spikes)


def test_what_arrives_at_step_0_is_not_read():
    current = torch.zeros(4, 1, 1)
    current[0] = 100
    spikes, _ = compiled.current_forward(current, Neuron(), None, False)
    assert not spikes.any()


def test_in_single_precision_all_but_a_tiny_fraction_of_spikes_agree():
    inputs, weight, recurrent, _ = layer(1, 0.1, torch.float32, steps=100, batch=16, inputs=40, size=60)
    neuron = Neuron(threshold=5.0)
    spikes, _ = compiled.dense_forward(inputs, weight, neuron, recurrent, True)
    expected = reference(inputs, weight, neuron, recurrent)
    assert 0.01 < expected.float().mean() < 0.3
    assert (spikes != expected).float().mean() < 1e-3


@given(st.integers(0, 10**6), rates, st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=20, deadline=None)
def test_i05_traces_are_equal_to_the_last_bit(seed, rate, dtype):
    spikes, *_ = layer(seed, rate)
    assert torch.equal(compiled.input_trace(spikes, 64.0, 3.0, dtype), simulate.trace(spikes, 64.0, 3.0, dtype))


@pytest.mark.parametrize("route", ["inputs", "outputs", "products"])
@given(st.integers(0, 10**6), rates, neurons)
@settings(max_examples=25, deadline=None)
def test_i03_sums_over_potentials_are_those_of_the_reference(route, seed, rate, neuron):
    pre, weight, _, gains = layer(seed, 0.3)
    post = torch.rand(30, 3, 9, generator=torch.Generator().manual_seed(seed + 1)) < rate
    traces = simulate.trace(pre, neuron.tau_m, neuron.tau_s, torch.float64)
    asked = Mock(return_value=traces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "DENSE_GRADIENT_RATE", -1.0 if route == "products" else 2.0)
        patch.setattr(compiled, "IMPACT_COST", -1e6 if route == "inputs" else 1e6)
        found = (
            compiled.weight_gradient(post, gains, pre, asked, neuron),
            compiled.propagated(post, gains, weight, traces, neuron),
            compiled.pairwise(post, traces, neuron, None),
        )
    expected = (
        potential.weight_gradient(post, gains, pre, lambda: traces, neuron),
        potential.propagated(post, gains, weight, traces, neuron),
        potential.pairwise(post, traces, neuron),
    )
    assert asked.called == (route != "inputs")
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_potentials_are_written_where_asked_whatever_its_layout(rate):
    post, *_ = layer(2, rate, inputs=9)
    pre, *_ = layer(3, 0.3)
    neuron, traces = Neuron(), simulate.trace(pre, 64.0, 8.0, torch.float64)
    expected = potential.pairwise(post, traces, neuron)
    for out in (torch.full((3, 9, 11), torch.nan), torch.full((11, 9, 3), torch.nan).permute(2, 1, 0)):
        out = out.double()
        assert compiled.pairwise(post, traces, neuron, out) is out
        torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)


def everything():
    inputs, weight, recurrent, gains = layer(4, 0.2)
    neuron = Neuron(threshold=4.0)
    spikes, traces = compiled.dense_forward(inputs, weight, neuron, recurrent, True)
    return [
        spikes,
        traces,
        compiled.input_trace(inputs, 64.0, 8.0, torch.float64),
        compiled.weight_gradient(spikes, gains, spikes, lambda: traces, neuron),
        compiled.adjoint(spikes, recurrent, gains.abs() + 1, gains, neuron, 0.0, True),
        compiled.propagated(spikes, gains, recurrent, traces, neuron),
        compiled.pairwise(spikes, traces, neuron, None),
    ]


@pytest.mark.parametrize("count", [2, 5])
def test_results_do_not_depend_on_the_number_of_threads(count, threads, monkeypatch):
    threads(1)
    alone = everything()
    assert alone[0].any()
    threads(count)
    monkeypatch.setattr(compiled, "WORTH_SHARING", 0)
    for one, other in zip(everything(), alone, strict=True):
        assert torch.equal(one, other)


def test_as_many_threads_as_torch_has_and_no_more_than_samples(threads, monkeypatch):
    started = []
    pool = compiled.ThreadPoolExecutor
    monkeypatch.setattr(compiled, "ThreadPoolExecutor", lambda count: started.append(count) or pool(count))
    spikes, *_ = layer(5, 0.1, steps=200, batch=3, inputs=900)
    for count in (1, 2, 8):
        threads(count)
        compiled.pairwise(spikes, torch.zeros(200, 3, 2), Neuron(), None)
    assert started == [2, 3]


def sums(_):
    return [each.double().sum().item() for each in everything()]


def test_a_forked_process_can_go_on_after_threads_were_used(threads, monkeypatch):
    threads(2)
    monkeypatch.setattr(compiled, "WORTH_SHARING", 0)
    expected = sums(None)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map_async(sums, [None]).get(timeout=60) == [expected]


@pytest.mark.parametrize("shape", [(5, 0, 4), (1, 2, 4), (0, 2, 4), (5, 2, 0)])
def test_nothing_in_nothing_out(shape):
    inputs, neuron = torch.ones(shape, dtype=torch.bool), Neuron()
    spikes, traces = compiled.dense_forward(inputs, torch.ones(3, shape[2]), neuron, torch.ones(3, 3), True)
    assert spikes.shape == traces.shape == (*shape[:2], 3)
    assert not spikes[:1].any()
    incoming = compiled.input_trace(inputs, 64.0, 8.0, torch.float32)
    gains = torch.ones(shape[1], 3)
    assert not compiled.weight_gradient(spikes, gains, inputs, lambda: incoming, neuron).any()
    assert compiled.propagated(spikes, gains, torch.ones(3, shape[2]), incoming, neuron).shape == shape[1:]
    assert compiled.pairwise(spikes, incoming, neuron, None).shape == (shape[1], 3, shape[2])


def test_without_numba_nothing_is_usable(monkeypatch):
    assert compiled.usable((torch.ones(1),))
    monkeypatch.setattr(compiled, "loops", lambda: None)
    assert not compiled.usable((torch.ones(1),))


def test_other_devices_are_not_usable():
    assert not compiled.usable((torch.ones(1), torch.ones(1, device="meta")))
