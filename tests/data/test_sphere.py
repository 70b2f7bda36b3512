import sys

import numpy as np
import pytest
import torch

from lightning_neuro.data import DataFormatError
from lightning_neuro.data.sphere import read_speech

soundfile = pytest.importorskip("soundfile")

WAVE = 0.3 * np.sin(np.arange(3000) / 5)


def write(file, samples=WAVE, rate=12500, kind="NIST", subtype="PCM_16"):
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file


@pytest.mark.parametrize("kind", ["NIST", "WAV"])
@pytest.mark.parametrize("name", ["a.wav", "a.sph", "a"])
def test_is_read_whatever_its_name_ends_in(tmp_path, kind, name):
    sound = read_speech("Reader", write(tmp_path / name, kind=kind), 12500)
    assert (sound.shape, sound.dtype) == ((3000,), torch.float32)
    np.testing.assert_allclose(sound.numpy(), WAVE, atol=1 / 2**15)


def change(file, edit):
    file.write_bytes(edit(file.read_bytes()))
    return file


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda b: b"OggS" + b[4:], r"header must be NIST_1A \(SPHERE\) or RIFF, got b'OggS_1A"),
        (lambda b: b"", "header must be .* got b''"),
        (lambda b: b[:500], "content must be intact speech, got .*bad header"),
        (lambda b: b[:-2000], "number of samples must be 3000, got 2000"),
        (lambda b: b[:1024], "number of samples must be 3000, got 0"),
        (lambda b: b.replace(b"-i 12500", b"-i 16000"), "sample rate must be 12500, got 16000"),
        (
            lambda b: b.replace(b"-s3 pcm\n", b"-s26 pcm,embedded-shorten-v2.00\n", 1).replace(bytes(28), b"", 1),
            "sample coding must be pcm .* got shorten",
        ),
    ],
)
def test_damage_is_named(tmp_path, edit, message):
    file = change(write(tmp_path / "a.wav"), edit)
    with pytest.raises(DataFormatError, match=f"^{file}: {message}"):
        read_speech("Reader", file, 12500)


def test_stereo_and_empty_files_are_refused(tmp_path):
    with pytest.raises(DataFormatError, match="number of channels must be 1, got 2"):
        read_speech("Reader", write(tmp_path / "a", np.zeros((50, 2))), 12500)
    with pytest.raises(DataFormatError, match="number of samples must be at least 1, got 0"):
        read_speech("Reader", write(tmp_path / "b", np.zeros(0), kind="WAV"), 12500)


def test_without_soundfile_the_error_says_what_to_install(tmp_path, monkeypatch):
    file = write(tmp_path / "a.wav")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ModuleNotFoundError, match=r"Reader: a.wav .* pip install lightning-neuro\[data\]"):
        read_speech("Reader", file, 12500)
