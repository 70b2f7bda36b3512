"""Checkpoint files: whether one is whole, and what it holds, without ever running what is written in it.

torch does not look at the checksums that it writes: most single flipped bits of a checkpoint load without a word, as a
weight that is off. Here a damaged file is refused, and so is a file that holds more than tensors and plain values.
"""

import os
import pickle
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

_ADVICE = "Go on from an earlier checkpoint."


class CheckpointError(ValueError):
    """A checkpoint is damaged, or not one; the message says which and what to do."""


def check_checkpoint_file(owner: str, path: str | os.PathLike[str] | None) -> None:
    """Raise if a file is cut short, changed, or no checkpoint of torch; reads it once.

    What is not a file here (an address, the folder of a sharded checkpoint) is let through.

    Args:
        owner: who asks; opens the message.
        path: of the checkpoint; None where a run starts from none.

    Raises:
        CheckpointError: the file is not whole.

    >>> check_checkpoint_file("Example", "s3://bucket/last.ckpt")  # not a file of this machine
    """
    if path is None or not Path(path).is_file():
        return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, OSError) as error:
        raise CheckpointError(
            f"{owner}: {os.fspath(path)} must be a checkpoint that torch.save wrote, but it is cut short, damaged or "
            f"another kind of file ({error}). {_ADVICE}"
        ) from None
    if damaged is not None:
        raise CheckpointError(
            f"{owner}: {os.fspath(path)} is damaged: the checksum of its part {damaged!r} is wrong. {_ADVICE}"
        )


def read_checkpoint(owner: str, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a whole checkpoint holds, on the CPU: tensors and plain values; nothing in the file is executed.

    Args:
        owner: who asks; opens the message.
        path: of the checkpoint.

    Raises:
        CheckpointError: the file is not whole, holds objects of other classes, or is not a Lightning checkpoint.
        FileNotFoundError: there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{owner}: there is no file {os.fspath(path)!r}. Correct the path.")
    check_checkpoint_file(owner, path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{owner}: {os.fspath(path)} must hold tensors and plain values only, but torch refused it "
            f"({_reason(error)}). Nothing in it was executed. Give a checkpoint of your own run."
        ) from None
    if not isinstance(content, dict) or "state_dict" not in content:
        raise CheckpointError(
            f"{owner}: {os.fspath(path)} must be a checkpoint of Lightning, with a 'state_dict', got a file without. "
            "Give one that a Trainer wrote."
        )
    return content


def _reason(error: Exception) -> str:
    foreign = re.search(r"GLOBAL (\S+)", str(error))
    return f"it names {foreign[1]}" if foreign else f"{type(error).__name__} while reading it"
