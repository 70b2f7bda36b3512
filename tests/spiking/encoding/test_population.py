import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.spiking.encoding.population import PopulationEncoder

SERIES = torch.randn(7, 3, 2, generator=torch.Generator().manual_seed(0))


def test_shape_and_type():
    spikes = PopulationEncoder(-2.0, 2.0, 5, hold=4)(SERIES)
    assert spikes.shape == (28, 3, 10)
    assert spikes.dtype == torch.bool


@given(st.integers(2, 6), st.integers(1, 5), st.floats(0.1, 1.0), st.floats(0.3, 3.0), st.booleans())
def test_counts_follow_the_rates_of_a_plain_loop(neurons, hold, max_rate, width, training):
    encoder = PopulationEncoder(-1.5, 1.5, neurons, width=width, hold=hold, max_rate=max_rate).train(training)
    spikes, distance = encoder(SERIES), 3.0 / (neurons - 1)
    for channel in range(2):
        for k in range(neurons):
            expected = torch.zeros(3)
            for t, value in enumerate(SERIES[:, :, channel]):
                preferred = -1.5 + k * distance
                rate = max_rate * torch.exp(-((value - preferred) ** 2) / (2 * (width * distance) ** 2))
                expected = expected + hold * rate
                counts = spikes[: (t + 1) * hold, :, channel * neurons + k].sum(0)
                assert ((counts - expected).abs() < 1 + 1e-4).all()


def test_the_neuron_that_prefers_the_value_fires_most():
    encoder = PopulationEncoder(0.0, 4.0, 5, hold=50).eval()
    counts = encoder(torch.full((1, 1, 1), 3.0)).sum(0).flatten()
    assert counts.argmax() == 3
    assert counts.tolist() == [*sorted(counts.tolist()[:4]), counts[2].item()]


def test_spikes_stand_in_the_middle_of_what_they_count():
    spikes = PopulationEncoder(-1.0, 1.0, 3, hold=8, max_rate=0.25).eval()(torch.zeros(1, 1, 1))
    assert spikes[:, 0, 1].nonzero().flatten().tolist() == [1, 5]


def test_phases_are_uniform_in_training_and_fixed_in_evaluation():
    # At rate 1/2 over one step, a neuron fires if its phase is at least 1/2.
    encoder, x = PopulationEncoder(-1.0, 1.0, 3, max_rate=0.5), torch.zeros(1, 20000, 1)
    share = encoder(x)[0, :, 1].double().mean().item()
    assert share == pytest.approx(0.5, abs=4 * (0.25 / 20000) ** 0.5)
    assert not torch.equal(encoder(SERIES), encoder(SERIES))
    encoder.eval()
    assert torch.equal(encoder(SERIES), encoder(SERIES))


def test_draws_resume_and_copies_draw_alike():
    encoder = PopulationEncoder(-1.0, 1.0, 4, hold=3, seed=5)
    first = encoder(SERIES)
    twin, other = copy.deepcopy(encoder), PopulationEncoder(-1.0, 1.0, 4, hold=3, seed=6)
    other.load_state_dict(encoder.state_dict())
    following = encoder(SERIES)
    assert not torch.equal(first, following)
    assert torch.equal(following, twin(SERIES))
    assert torch.equal(following, other(SERIES))
    assert torch.equal(first, PopulationEncoder(-1.0, 1.0, 4, hold=3, seed=5)(SERIES))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"PopulationEncoder: high must be greater than 1, got 1\.0"):
        PopulationEncoder(1.0, 1.0, 3)
    with pytest.raises(ValueError, match="PopulationEncoder: neurons must be at least 2, got 1"):
        PopulationEncoder(0.0, 1.0, 1)
    with pytest.raises(ValueError, match=r"PopulationEncoder: x must have shape \(T, B, M\), got \(2, 3, 4, 5\)"):
        PopulationEncoder(0.0, 1.0, 3)(torch.zeros(2, 3, 4, 5))
    with pytest.raises(ValueError, match="PopulationEncoder: x must be finite"):
        PopulationEncoder(0.0, 1.0, 3)(torch.full((1, 1, 1), float("nan")))
