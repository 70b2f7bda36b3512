"""Spike trains kept in a file, so that an expensive encoding is done once."""

import os
import pickle
import tempfile
from pathlib import Path

import numpy as np
import torch

from lightning_neuro.data.binned_events import BinnedEvents
from lightning_neuro.data.errors import DataFormatError

FIELDS = {"fingerprint", "places", "sizes", "labels", "num_steps", "shape"}


def save_trains(file: Path, trains: BinnedEvents, fingerprint: str) -> None:
    """Write spike trains as plain tensors.

    The file appears whole or not at all, also when several processes write it.

    Args:
        file: to write; its folder is made.
        trains: to keep.
        fingerprint: what they were made from, to be compared when they are read.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    places = [np.asarray(each, dtype=np.int64) for each in trains.places]
    content = {
        "fingerprint": fingerprint,
        "places": torch.from_numpy(np.concatenate([*places, np.zeros(0, np.int64)]).astype(np.int32)),
        "sizes": torch.tensor([len(each) for each in places], dtype=torch.int64),
        "labels": trains.labels,
        "num_steps": trains.num_steps,
        "shape": list(trains.shape),
    }
    handle, name = tempfile.mkstemp(dir=file.parent, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as stream:
            torch.save(content, stream)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load_trains(file: Path, fingerprint: str | None) -> BinnedEvents | None:
    """Read what `save_trains` wrote.

    Args:
        file: to read.
        fingerprint: what the trains must have been made from; None takes them as they are.

    Returns:
        The trains; None if there is no file, or it was made from something else.

    Raises:
        DataFormatError: the file does not hold spike trains.
    """
    if not file.exists():
        return None
    try:
        content = torch.load(file, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise _damaged(file, error) from error
    if not isinstance(content, dict) or set(content) != FIELDS or content["sizes"].sum() != len(content["places"]):
        raise _damaged(file, "something else")
    if fingerprint is not None and content["fingerprint"] != fingerprint:
        return None
    ends = content["sizes"].cumsum(0).tolist()
    places = np.split(content["places"].numpy(), ends[:-1])
    return BinnedEvents(places, content["labels"], num_steps=content["num_steps"], shape=tuple(content["shape"]))


def _damaged(file: Path, got: object) -> DataFormatError:
    return DataFormatError(
        f"{file}: content must be spike trains kept by this package, got {got}. Delete the file; it is made anew."
    )
