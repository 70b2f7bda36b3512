import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.st_rsbp import compiled, spike_train_potential
from lightning_neuro.st_rsbp.simulate import Neuron

pytest.importorskip("numba")

from lightning_neuro.st_rsbp import impact_loops


def train(seed, rate, shape=(25, 2, 7)):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < rate


@given(st.integers(0, 10**6), st.sampled_from([0, 1, 2, 5]), st.sampled_from([1.0, 2.5, 64.0]))
@settings(max_examples=25, deadline=None)
def test_an_impact_is_the_potential_of_a_single_spike(seed, refractory, tau_m):
    """Trains at rates of their own fire within the refractory time too, as forced spikes do."""
    post, neuron = train(seed, 0.2), Neuron(tau_m=tau_m, tau_s=3.0, refractory=refractory)
    steps, batch, size = post.shape
    single = torch.eye(steps, dtype=torch.float64)[:, None].expand(steps, batch, steps)
    expected = spike_train_potential(single, post, tau_m=tau_m, tau_s=3.0, refractory=refractory)
    constants = compiled._constants(neuron, torch.float64)
    held, state = np.empty((steps, size), bool), np.empty((2, size))
    for b in range(batch):
        found = np.full((steps, size), np.nan)
        gains = np.arange(1.0, size + 1)
        impact_loops.impact(post.numpy(), b, 0, gains, refractory, constants, held, state, found)
        np.testing.assert_allclose(found / gains, expected[b].T.numpy(), rtol=1e-11, atol=1e-12)


def test_spikes_are_sorted_by_sample_and_neuron():
    spikes = train(3, 0.2)
    counts, starts, times = compiled._sorted(spikes)
    assert np.array_equal(counts, spikes.sum(0).numpy())
    by_neuron = spikes.permute(1, 2, 0).flatten(0, 1)
    assert by_neuron.any(1).float().mean() > 0.5
    for place, row in enumerate(by_neuron):
        assert times[starts[place] : starts[place + 1]].tolist() == row.nonzero().flatten().tolist()


@pytest.mark.parametrize("size", [1, 64, 65, 128, 150, 200])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_i03_blocks_of_any_width_give_the_sums_over_potentials(size, dtype):
    post, pre, neuron = train(1, 0.1, (40, 3, size)), train(2, 0.3, (40, 3, 11)), Neuron()
    gains = torch.randn(3, size, generator=torch.Generator().manual_seed(0), dtype=dtype)
    potentials = spike_train_potential(pre.double(), post, tau_m=64.0, tau_s=8.0, refractory=2)
    expected = torch.einsum("bi,bij->ij", gains.double(), potentials).to(dtype)
    found = compiled._weight_gradient_of_inputs(post, gains, pre, neuron)
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-11, "atol": 1e-12}
    torch.testing.assert_close(found, expected, **close)
