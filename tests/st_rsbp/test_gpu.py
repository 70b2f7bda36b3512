"""With `TRITON_INTERPRET=1` the triton loops run on the CPU, where triton is installed; else they need a GPU."""

import os

import pytest
import torch

from lightning_neuro.st_rsbp import gpu, kernels, potential, simulate
from lightning_neuro.st_rsbp.simulate import Neuron

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
runs = pytest.mark.skipif(
    not gpu.loops() or not (INTERPRETED or torch.cuda.is_available()),
    reason="needs triton, and a GPU or TRITON_INTERPRET=1",
)


def layer(size=20, steps=15, batch=2, inputs=6):
    generator = torch.Generator().manual_seed(0)
    spikes = torch.rand(steps, batch, inputs, generator=generator) < 0.3
    weight, recurrent = (torch.randn(size, n, generator=generator, dtype=torch.float64) * 3 for n in (inputs, size))
    return spikes.to(DEVICE), weight.to(DEVICE), recurrent.to(DEVICE)


def reference(spikes, weight, neuron, recurrent=None):
    return simulate.spikes_from_current(simulate.weighted_input(spikes, weight), neuron, recurrent)


@runs
@pytest.mark.parametrize("neuron", [Neuron(threshold=2.0), Neuron(threshold=1.0, tau_m=5.0, tau_s=1.0, refractory=0)])
@pytest.mark.parametrize("has_recurrence", [False, True])
@pytest.mark.parametrize(("size", "tile_elements"), [(20, 8192), (33, 128)])
def test_i12_spikes_and_traces_are_those_of_the_reference(neuron, has_recurrence, size, tile_elements, monkeypatch):
    monkeypatch.setattr(gpu, "BLOCK", 16)
    monkeypatch.setattr(gpu, "TILE_ELEMENTS", tile_elements)
    inputs, weight, recurrent = layer(size)
    recurrent = recurrent if has_recurrence else None
    spikes, traces = gpu.dense_forward(inputs, weight, neuron, recurrent, True)
    assert 0.05 < spikes.double().mean() < 0.7
    assert torch.equal(spikes, reference(inputs, weight, neuron, recurrent))
    expected = simulate.trace(spikes, neuron.tau_m, neuron.tau_s, torch.float64)
    torch.testing.assert_close(traces, expected, rtol=0, atol=1e-13)
    again, none = gpu.dense_forward(inputs, weight, neuron, recurrent, False)
    assert none is None
    assert torch.equal(again, spikes)


@runs
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_i05_traces_of_inputs(dtype):
    spikes, *_ = layer(inputs=300)
    found = gpu.input_trace(spikes, 64.0, 3.0, dtype)
    torch.testing.assert_close(found, simulate.trace(spikes, 64.0, 3.0, dtype), rtol=0, atol=1e-6)


@runs
@pytest.mark.parametrize("refractory", [0, 1, 4])
@pytest.mark.parametrize(
    "rate", [0.05, 0.6]
)  # at a high rate neurons fire within the refractory time, as forced ones do
def test_weighed_coefficients_are_those_of_the_reference(refractory, rate, monkeypatch):
    monkeypatch.setattr(gpu, "WEIGHED_BLOCK", 16)
    generator = torch.Generator().manual_seed(1)
    spikes = (torch.rand(30, 3, 21, generator=generator) < rate).to(DEVICE)
    gains = torch.randn(3, 21, generator=generator, dtype=torch.float64).to(DEVICE)
    neuron = Neuron(tau_m=9.0, refractory=refractory)
    expected = potential.weighed(spikes, gains, neuron)
    torch.testing.assert_close(gpu.weighed(spikes, gains, neuron), expected, rtol=0, atol=1e-14)


@runs
def test_nothing_in_nothing_out():
    current = torch.ones(5, 0, 3, device=DEVICE)
    spikes, traces = gpu.current_forward(current, Neuron(), None, True)
    assert spikes.shape == traces.shape == current.shape
    assert gpu.input_trace(spikes, 64.0, 8.0, torch.float32).shape == current.shape
    assert gpu.weighed(spikes, current[0], Neuron()).shape == current.shape


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_i12_cuda_equals_cpu_in_double_precision(backend):
    inputs, weight, recurrent = layer(size=100, steps=100, batch=8, inputs=30)
    neuron = Neuron(threshold=5.0)
    found = kernels.dense_forward(inputs, weight, neuron, recurrent, backend=backend)
    expected = kernels.dense_forward(inputs.cpu(), weight.cpu(), neuron, recurrent.cpu())
    assert expected[0].any()
    assert torch.equal(found[0].cpu(), expected[0])
    torch.testing.assert_close(found[1].cpu(), expected[1], rtol=0, atol=1e-12)


def test_tensors_on_the_cpu_are_left_to_others():
    assert not gpu.usable((torch.ones(1),))


def test_recurrent_layers_that_outgrow_a_program_are_left_to_others():
    assert not gpu.usable((), torch.empty(5000, 1, device="meta"))


@pytest.mark.skipif(gpu.loops() is not None, reason="triton is installed")
def test_without_triton_the_error_says_so():
    with pytest.raises(ImportError, match="triton must be installed"):
        gpu.input_trace(torch.ones(2, 1, 1, dtype=torch.bool), 64.0, 8.0, torch.float32)
