import numpy as np
import pytest
from numpy.testing import assert_allclose

from lightning_neuro.spiking.encoding import gain_control
from lightning_neuro.spiking.encoding.gain_control import gain_control_

RATE = 12500.0


@pytest.fixture(params=["chosen", "without numba"])
def _implementation(request, monkeypatch):
    if request.param == "without numba":
        monkeypatch.setattr(gain_control, "_compiled_loop", lambda: None)


def literal(loudness):
    """Stage after stage over the whole sound, as the ear is described."""
    heard = loudness.copy()
    stages = [(0.0032, 0.64), (0.0016, 0.16), (0.0008, 0.04), (0.0004, 0.01)]
    for target, seconds in stages:
        rate = 1 - np.exp(-1 / (seconds * RATE))
        for clip in heard:
            gain = [0.0] * clip.shape[1]
            for t in range(len(clip)):
                clip[t] *= 1 - np.array(gain)
                padded = [gain[0], *gain, gain[-1]]
                gain = [
                    min(0.9, rate / target * clip[t, c] + (1 - rate) * sum(padded[c : c + 3]) / 3)
                    for c in range(len(gain))
                ]
    return heard


@pytest.mark.usefixtures("_implementation")
@pytest.mark.parametrize("shape", [(2, 40, 5), (1, 1, 1), (3, 2, 2), (1, 30, 1)])
def test_equals_the_literal_loop(shape):
    loudness = np.random.default_rng(0).uniform(0, 0.5, shape) ** 3
    expected = literal(loudness)
    gain_control_(loudness, RATE)
    assert_allclose(loudness, expected, rtol=1e-12, atol=0)


@pytest.mark.usefixtures("_implementation")
def test_a_lasting_tone_fades_and_recovers_in_silence():
    loudness = np.zeros((1, 4000, 3))
    loudness[:, :1500] = loudness[:, 3900:] = 0.1
    gain_control_(loudness, RATE)
    first, faded, again = loudness[0, [0, 1499, 3900], 1]
    assert faded < 0.2 * first
    assert faded < again < first


@pytest.mark.usefixtures("_implementation")
def test_never_below_a_ten_thousandth_nor_above_the_input():
    loudness = np.random.default_rng(1).uniform(0, 100, (2, 200, 4))
    before = loudness.copy()
    gain_control_(loudness, RATE)
    assert (loudness <= before).all()
    assert (loudness >= 0.99999e-4 * before).all()
