import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.st_rsbp import GradientRule, spike_train_potential
from lightning_neuro.st_rsbp.derivatives import Derivatives
from lightning_neuro.st_rsbp.response import Response, mean_potential, random_trains, simulated
from lightning_neuro.st_rsbp.simulate import Neuron


@pytest.mark.parametrize(("steps", "tau_m", "most"), [(400, 64.0, 100), (700, 128.0, 30)])
def test_i11_closed_form_and_fit_are_near_simulation(steps, tau_m, most):
    generator = torch.Generator().manual_seed(1)
    counts = torch.tensor([float(c) for c in (1, 2, 3, 5, 8, 10, 15, 20, 30, 40, 60, 100) if c <= most])
    truth = torch.tensor([mean_potential(int(c), steps, Neuron(tau_m=tau_m), 3000, generator).item() for c in counts])
    assert ((Response(steps, tau_m, 2).value(counts) - truth).abs() / truth).max() < 0.06
    assert ((simulated(steps, tau_m, 8.0, 2).value(counts) - truth).abs() / truth).max() < 0.03


def test_i11_published_simulation_values():
    generator = torch.Generator().manual_seed(1)
    for count, value in [(1, 0.133), (10, 0.572), (40, 0.698), (100, 0.483)]:
        assert mean_potential(count, 400, Neuron(), 2000, generator).item() == pytest.approx(value, rel=0.04)


def test_the_exact_average_over_pre_trains_equals_drawing_both_trains():
    generator = torch.Generator().manual_seed(0)
    post = random_trains(4, 60, 2, 1000, generator).T[:, None]
    pre = random_trains(3, 60, 0, 1000, generator).T[:, None]
    e = spike_train_potential(pre.double(), post, tau_m=16.0, tau_s=4.0, refractory=2)
    # The drawn pre trains leave step 0 out, the average does not.
    expected = mean_potential(4, 60, Neuron(tau_m=16.0, tau_s=4.0), 2000, generator).item()
    assert (e.mean() / 3).item() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    "response", [Response(400, 64.0, 2), simulated(100, 64.0, 8.0, 2), simulated(50, 20.0, 4.0, 0)]
)
def test_i11_slope_and_elasticity_equal_differences_of_the_value(response):
    counts, h = torch.linspace(0.5, 30, 60, dtype=torch.float64), 1e-6
    counts = counts[counts != 1]  # a fitted curve has its bend there
    slope = (response.value(counts + h) - response.value(counts - h)) / (2 * h)
    torch.testing.assert_close(response.slope(counts), slope, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(response.elasticity(counts), slope * counts / response.value(counts), rtol=1e-6, atol=0)
    assert response.elasticity(torch.zeros(1)).item() == pytest.approx(1)


def test_i11_auto_simulates_where_the_closed_form_is_wrong_and_keeps_the_fit():
    derivatives, neuron = Derivatives(), Neuron(tau_m=64.0)
    assert derivatives.of(GradientRule(), neuron, 320).response.correction == (1.0,)
    short = derivatives.of(GradientRule(), neuron, 100).response
    assert len(short.correction) > 1
    assert derivatives.of(GradientRule(), neuron, 100).response is short
    assert derivatives.of(GradientRule(post_derivative="analytic"), neuron, 100).response.correction == (1.0,)
    assert len(derivatives.of(GradientRule(post_derivative="montecarlo"), neuron, 400).response.correction) > 1


def test_fit_is_reproducible_and_depends_on_its_seed():
    assert simulated(60, 32.0, 8.0, 2) == simulated(60, 32.0, 8.0, 2)
    assert simulated(60, 32.0, 8.0, 2, seed=1) != simulated(60, 32.0, 8.0, 2)


@given(st.integers(1, 12), st.integers(0, 4), st.integers(0, 20))
def test_random_trains_keep_count_and_distance(count, refractory, spare):
    steps = 1 + count + (count - 1) * refractory + spare
    trains = random_trains(count, steps, refractory, 20, torch.Generator().manual_seed(0))
    assert not trains[:, 0].any()
    assert (trains.sum(1) == count).all()
    times = trains.nonzero()[:, 1].reshape(20, count)
    assert (times.diff(dim=1) > refractory).all()


def test_random_trains_are_uniform():
    trains = random_trains(2, 7, 1, 20000, torch.Generator().manual_seed(0))
    patterns, seen = trains.unique(dim=0, return_counts=True)
    assert len(patterns) == 10  # pairs out of 6 steps, less the 5 that are neighbours
    assert (seen / 2000 - 1).abs().max() < 0.1


def test_too_many_spikes_are_refused():
    with pytest.raises(ValueError, match="do not fit into 10 steps"):
        random_trains(6, 10, 1, 1, torch.Generator())


@pytest.mark.parametrize("steps", [2, 3, 5, 12])
def test_very_short_runs_have_a_finite_response(steps):
    response = simulated(steps, 64.0, 8.0, 2)
    assert response.slope(torch.arange(steps, dtype=torch.float64)).isfinite().all()


@pytest.mark.parametrize("steps", [20, 25, 30, 100])
def test_i11_a_silent_neuron_answers_as_its_first_spike_would_whatever_the_seed(steps):
    fits = [simulated(steps, 64.0, 8.0, 2, seed=seed) for seed in range(4)]
    slopes = torch.tensor([fit.slope(torch.zeros(1)).item() for fit in fits])
    truth = mean_potential(1, steps, Neuron(tau_m=64.0), 3000, torch.Generator().manual_seed(9)).item()
    assert ((slopes - truth).abs() < 0.1 * truth).all()
    assert fits[0].value(torch.tensor([0.0, 0.5])).tolist() == pytest.approx(
        [0, fits[0].value(torch.ones(1)).item() / 2]
    )
