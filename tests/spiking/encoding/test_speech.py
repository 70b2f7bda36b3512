import pytest
import torch

from lightning_neuro.spiking.encoding import BSAEncoder, LyonEar, SpeechEncoder, bsa_encode, cochleagram, design_ear


def noise(length, seed=0):
    return 0.1 * torch.randn(length, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_is_the_chain_of_the_paper():
    sound = noise(3000)
    frames = cochleagram(sound, design_ear(12500), decimation=200)  # 15 frames of 78 channels
    signal = torch.zeros(700, 78, dtype=torch.float64)
    for step in range(150):
        signal[step] = 2000 * frames[step // 10]
    spikes = SpeechEncoder()([sound])
    assert spikes.shape == (700, 1, 78)
    assert torch.equal(spikes[:, 0], bsa_encode(signal, threshold=0.6, delay=1))
    assert spikes.any()


def test_a_clip_is_encoded_alike_whatever_its_company():
    encoder = SpeechEncoder(num_steps=120)
    clips = [noise(1000), noise(5000, seed=1), noise(100)]
    together = encoder(clips)
    assert together.shape == (120, 3, 78)
    for b, clip in enumerate(clips):
        assert torch.equal(together[:, b : b + 1], encoder([clip]))
    assert not together[:, 2].any()  # less than a frame
    assert encoder([]).shape == (120, 0, 78)


def test_equal_lengths_may_come_as_a_tensor():
    encoder = SpeechEncoder(num_steps=50)
    sound = torch.stack([noise(2000), noise(2000, seed=1)])
    assert torch.equal(encoder(sound), encoder(list(sound)))


def test_parts_are_exchangeable():
    encoder = SpeechEncoder(num_steps=60, hold=3, gain=500, ear=LyonEar(22050), spiker=BSAEncoder(threshold=0.9))
    assert encoder([noise(4000)]).shape == (60, 1, 96)


@pytest.mark.parametrize(("option", "value"), [("num_steps", 0), ("hold", 0), ("gain", 0.0)])
def test_bad_options_are_named(option, value):
    with pytest.raises(ValueError, match=f"SpeechEncoder: {option} must be"):
        SpeechEncoder(**{option: value})
