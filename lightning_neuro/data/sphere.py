"""Reader of recorded speech in NIST SPHERE files, which are told by their header, whatever their name ends in."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_neuro.data.errors import bad_format

SPHERE_MARK = b"NIST_1A"
WAVE_MARK = b"RIFF"  # copies converted by sph2pipe and the like
HEADER = 1024


def read_speech(owner: str, file: Path, sample_rate: int) -> Tensor:
    """Read one channel of speech.

    Args:
        owner: who asks; opens the message if soundfile is missing.
        file: NIST SPHERE in PCM, or a RIFF copy.
        sample_rate: the rate that the file must have, in Hz.

    Returns:
        Sound `(L,)`, float32 in -1..1.

    Raises:
        DataFormatError: the file is neither, compressed, damaged, cut off, empty, or of another rate or more channels.
        ModuleNotFoundError: soundfile is not installed.
    """
    soundfile = _soundfile(owner, file)
    with file.open("rb") as stream:
        header = stream.read(HEADER)
    if not header.startswith((SPHERE_MARK, WAVE_MARK)):
        raise bad_format(file, "header", "NIST_1A (SPHERE) or RIFF", repr(header[:8]))
    if header.startswith(SPHERE_MARK) and b"shorten" in header:
        raise bad_format(file, "sample coding", "pcm (sph2pipe -p decompresses)", "shorten")
    try:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise bad_format(file, "content", "intact speech", error) from error
    for field, expected, got in (
        ("sample rate", sample_rate, rate),
        ("number of channels", 1, samples.shape[1]),
        ("number of samples", _promised(header, len(samples)), len(samples)),
    ):
        if got != expected:
            raise bad_format(file, field, expected, got)
    if len(samples) == 0:
        raise bad_format(file, "number of samples", "at least 1", 0)
    return torch.from_numpy(samples[:, 0])


def _promised(header: bytes, read: int) -> int:
    """Samples that a SPHERE header announces: a file that was cut off is read without complaint."""
    for line in header.splitlines() if header.startswith(SPHERE_MARK) else []:
        words = line.split()
        if len(words) == 3 and words[0] == b"sample_count" and words[2].isdigit():
            return int(words[2])
    return read


def _soundfile(owner: str, file: Path) -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: without the library that it wraps
        raise ModuleNotFoundError(
            f"{owner}: {file.name} is read with soundfile, which is not installed. "
            "Install it with: pip install lightning-neuro[data]"
        ) from error
    return soundfile
