import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.st_rsbp import compiled, kernels
from lightning_neuro.st_rsbp.recurrent_backward import coupling_
from lightning_neuro.st_rsbp.simulate import Neuron, trace

pytest.importorskip("numba")

NEURON = Neuron(threshold=4.0, tau_m=16.0, tau_s=4.0, refractory=1)


def layer(seed, size, rate, dtype=torch.float64, batch=4, steps=50):
    generator = torch.Generator().manual_seed(seed)
    spikes = torch.rand(steps, batch, size, generator=generator) < rate
    spikes[:, 0, ::3] = False
    weight = torch.randn(size, size, generator=generator, dtype=dtype) / size**0.5
    return spikes, weight, *(torch.rand(batch, size, generator=generator, dtype=dtype) + low for low in (1, -0.5))


def materialised(spikes, weight, diagonal, error, silent_ratio, self_term):
    traces = trace(spikes, NEURON.tau_m, NEURON.tau_s, weight.dtype)
    potentials = kernels.pairwise(spikes, traces, NEURON, backend="reference")
    options = {"threshold": NEURON.threshold, "silent_ratio": silent_ratio, "self_term": self_term}
    theta = coupling_(potentials, weight, spikes.sum(0).to(weight.dtype), **options)
    return torch.linalg.solve((torch.diag_embed(diagonal) - theta).mT, error)


@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 5, 16, 33, 90]),
    st.sampled_from([0.0, 0.02, 0.2]),
    st.sampled_from([0.0, 0.5]),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_i07_adjoint_equals_the_materialised_system(seed, size, rate, silent_ratio, self_term):
    given = layer(seed, size, rate)
    found = compiled.adjoint(*given, NEURON, silent_ratio, self_term)
    torch.testing.assert_close(found, materialised(*given, silent_ratio, self_term), rtol=1e-9, atol=1e-10)


def test_single_precision_is_as_good_as_it_can_be():
    given = layer(1, 100, 0.1, torch.float32)
    expected = materialised(*(each.double() if each.is_floating_point() else each for each in given), 0.0, True)
    found = compiled.adjoint(*given, NEURON, 0.0, True)
    assert (found - expected).norm() < 1e-4 * expected.norm()
    assert (found - given[3] / given[2]).norm() > 1e-2 * expected.norm()


def test_a_batch_is_solved_as_its_samples_are():
    spikes, weight, diagonal, error = layer(2, 40, 0.1)
    together = compiled.adjoint(spikes, weight, diagonal, error, NEURON, 0.0, True)
    for b in range(4):
        some = slice(b, b + 1)
        alone = compiled.adjoint(spikes[:, some], weight, diagonal[some], error[some], NEURON, 0.0, True)
        assert torch.equal(alone, together[some])


def test_other_backends_have_no_loop_for_it():
    given, options = layer(3, 5, 0.1), {"silent_ratio": 0.0, "self_term": True}
    assert kernels.adjoint(*given, NEURON, **options, backend="reference") is None
    assert kernels.adjoint(*given, NEURON, **options) is not None


def test_nothing_in_nothing_out():
    given = torch.zeros(5, 0, 3).bool(), torch.zeros(3, 3), torch.zeros(0, 3), torch.zeros(0, 3)
    assert compiled.adjoint(*given, NEURON, 0.0, True).shape == (0, 3)
