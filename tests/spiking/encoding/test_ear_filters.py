import numpy as np
import pytest
from scipy.signal import freqz_sos

from lightning_neuro.spiking.encoding import design_ear


@pytest.mark.parametrize(("rate", "channels"), [(12500, 78), (22050, 96)])
def test_known_numbers_of_channels(rate, channels):
    ear = design_ear(rate)
    assert ear.center_frequencies.shape == (channels,)
    assert ear.sections.shape == (channels + 2, 6)


def test_centres_are_a_quarter_of_a_bandwidth_apart():
    centres = design_ear().center_frequencies
    assert (np.diff(centres) < 0).all()
    middle = (centres[:-1] + centres[1:]) / 2
    np.testing.assert_allclose(-np.diff(centres), 0.25 * np.hypot(middle, 1000) / 8, rtol=1e-3)


@pytest.mark.parametrize("quality", [4.0, 8.0, 16.0])
def test_every_section_is_stable_and_every_pole_resonates(quality):
    ear = design_ear(quality=quality)
    poles = np.array([np.roots(section[3:]) for section in ear.sections])
    assert (np.abs(poles) < 1).all()
    assert (np.abs(poles[2:].imag) > 0).all()


def test_gain_of_each_section_is_the_ratio_of_neighbours_at_rest():
    ear = design_ear()
    gains = ear.sections[3:, :3].sum(1) / ear.sections[3:, 3:].sum(1)
    np.testing.assert_allclose(gains, ear.center_frequencies[:-1] / ear.center_frequencies[1:], rtol=1e-12)


def test_front_passes_a_quarter_of_the_rate_unchanged():
    for section in design_ear().sections[:2]:
        _, response = freqz_sos(section[None], worN=[np.pi / 2])
        assert abs(response[0]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate": 0}, "sample_rate must be greater than 0, got 0"),
        ({"quality": 0.5}, "quality must be greater than 0.5, got 0.5"),
        ({"step": -1.0}, "step must be greater than 0, got -1.0"),
        ({"sample_rate": 100}, "must leave room for at least 2 channels, got 100 Hz, 8 and 0.25, which leave 0"),
    ],
)
def test_impossible_ears_are_refused(options, message):
    with pytest.raises(ValueError, match=f"design_ear: .*{message}"):
        design_ear(**options)
