import numpy as np
import pytest
import torch
from support import golden

from lightning_neuro.spiking.encoding import LyonEar, cochleagram, design_ear

RECORDED = golden.load("cochlea_lyon")["cases"]
RATE = 12500


def signal(name):
    """The sounds of the recording."""
    n = np.arange(5000)
    t = n / RATE
    if name == "chirp":
        return 0.3 * np.sin(2 * np.pi * (100 * t + 0.5 * (5000 - 100) / t[-1] * t * t))
    if name == "noise":
        return 0.1 * np.random.default_rng(0).standard_normal(5000)
    if name == "click":
        return (np.arange(3000) == 100).astype(float)
    formants = ((700, 90), (1220, 100), (2600, 150))
    vowel = np.zeros(5000)
    for frequency in 120.0 * np.arange(1, 40):
        loudness = sum(1 / (1 + ((frequency - centre) / width) ** 2) for centre, width in formants)
        vowel += 0.2 * loudness * np.sin(2 * np.pi * frequency * t)
    return 8 * vowel if name == "loud" else vowel


def heard(case, **more):
    sound = torch.from_numpy(signal(case["signal"])[: case.get("length")])
    frames = cochleagram(sound, design_ear(case["sample_rate"], **case["ear"]), **case["options"], **more)
    assert list(frames.shape) == case["shape"]
    return frames[case["start"] :: case["every"]].numpy(), np.array(case["frames"])


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["name"])
def test_is_the_ear_of_the_lyon_package(case):
    ours, theirs = heard(case, frame_gaps=True)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11 * theirs.max())


@pytest.mark.parametrize("case", RECORDED[:5], ids=lambda case: case["name"])
def test_without_gaps_it_differs_by_at_most_a_hundredth(case):
    ours, theirs = heard(case)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-2 * theirs.max())


def test_in_silence_nothing_is_heard():
    assert not cochleagram(torch.zeros(2, 1000), design_ear()).any()


@pytest.mark.parametrize("frequency", [300.0, 1000.0, 3000.0])
def test_a_tone_is_heard_best_near_its_place(frequency):
    ear = design_ear()
    tone = torch.sin(2 * torch.pi * frequency * torch.arange(6000) / RATE)
    loudest = cochleagram(tone, ear, gain_control=False)[10:].mean(0).argmax()
    assert ear.center_frequencies[loudest] == pytest.approx(frequency, rel=0.25)


def test_gain_control_evens_out_loudness():
    quiet = torch.from_numpy(signal("vowel"))
    total = [cochleagram(scale * quiet, design_ear()).sum().item() for scale in (1, 8)]
    assert 1 < total[1] / total[0] < 3
    plain = [cochleagram(scale * quiet, design_ear(), gain_control=False).sum().item() for scale in (1, 8)]
    assert plain[1] / plain[0] == pytest.approx(8)


def test_frames_depend_on_the_past_alone():
    sound = torch.from_numpy(signal("noise"))
    whole = cochleagram(sound, design_ear())
    torch.testing.assert_close(cochleagram(sound[:2100], design_ear()), whole[:10], rtol=0, atol=0)


def test_clips_of_different_lengths_are_heard_as_if_alone(monkeypatch):
    ear = LyonEar()
    clips = [torch.from_numpy(signal("noise")[:length]) for length in (1999, 150, 4200)]
    together = ear.hear(clips)
    assert [tuple(frames.shape) for frames in together] == [(9, 78), (0, 78), (21, 78)]
    for clip, frames in zip(clips, together, strict=True):
        torch.testing.assert_close(frames, ear(clip), rtol=0, atol=0)
    monkeypatch.setattr("lightning_neuro.spiking.encoding.cochlea.MEMORY", 1)
    for frames, alone in zip(together, ear.hear(clips), strict=True):
        torch.testing.assert_close(frames, alone, rtol=0, atol=0)
    assert ear.hear([]) == []


def test_types_and_shapes():
    ear = LyonEar(decimation=100)
    assert ear(torch.zeros(3, 1000)).shape == (10, 3, 78)
    assert ear(torch.zeros(1000)).dtype == torch.float32
    assert ear(torch.zeros(1000).double()).dtype == torch.float64
    assert ear(torch.zeros(0, 1000)).shape == (10, 0, 78)


@pytest.mark.parametrize(
    ("sound", "options", "error", "message"),
    [
        (torch.zeros(5, dtype=torch.int16), {}, TypeError, "sound must be a floating-point tensor, got torch.int16"),
        (torch.zeros(1, 2, 3), {}, ValueError, r"sound must have shape \(L,\) or \(B, L\), got \(1, 2, 3\)"),
        (torch.tensor([0, torch.nan]), {}, ValueError, "sound must be finite"),
        (torch.zeros(5), {"decimation": 0}, ValueError, "decimation must be at least 1, got 0"),
        (torch.zeros(5), {"smoothing": 0}, ValueError, "smoothing must be greater than 0, got 0"),
    ],
)
def test_bad_input_is_named(sound, options, error, message):
    with pytest.raises(error, match=f"cochleagram: {message}"):
        cochleagram(sound, design_ear(), **options)


def test_a_stereo_clip_is_named():
    with pytest.raises(ValueError, match=r"LyonEar: each clip must have shape \(L,\), got \(100, 2\)"):
        LyonEar().hear([torch.zeros(100, 2)])
