"""Checkpoints that are cut short, have a bit flipped, or are somebody's pickle are refused, and never executed."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from support.killed_runs import differences
from support.small_runs import RUNS

STEPS, FLIPS = 4, 10
# An optimizer is never told of files: what looks at checksums is a callback, a module or the command.
WATCHED = [name for name in RUNS if name != "GradientActivationOptimizer"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The bytes of a checkpoint of every run, made when first asked for."""
    made = {}

    def bytes_of(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("saved")
            RUNS[name](STEPS).fit(folder, STEPS).save_checkpoint(folder / "whole.ckpt")
            made[name] = (folder / "whole.ckpt").read_bytes()
        return made[name]

    return bytes_of


def resumed(name, content, folder):
    """Go on for two steps from a file of these bytes, and return where that ends."""
    path = folder / "given.ckpt"
    path.write_bytes(content)
    longer = STEPS + 2
    run = RUNS[name](longer)
    if name == "ReservoirModule, ridge":  # an epoch of its own
        run.options = {"max_epochs": 2, "max_steps": longer}
    trainer = run.fit(folder, longer, ckpt_path=path)
    trainer.save_checkpoint(folder / "end.ckpt")
    return torch.load(folder / "end.ckpt", weights_only=True)["state_dict"]


def attempted(name, content, folder):
    """Return what `resumed` returns, or None, and the message of the error."""
    try:
        return resumed(name, content, folder), ""
    except Exception as error:
        return None, str(error)


@pytest.mark.parametrize("name", WATCHED)
def test_a_flipped_bit_is_refused_or_changes_nothing(name, saved, tmp_path):
    whole, rng, refused = saved(name), np.random.default_rng(0), 0
    expected = resumed(name, whole, tmp_path)
    for place in rng.integers(len(whole), size=FLIPS):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        found, told = attempted(name, bytes(flipped), tmp_path)
        refused += bool(told)
        assert told or not differences(expected, found)  # a bit that holds nothing
    assert refused > FLIPS // 3


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("left", [0.05, 0.5, 0.99])
def test_what_was_cut_short_is_refused(name, left, saved, tmp_path):
    found, told = attempted(name, saved(name)[: int(left * len(saved(name)))], tmp_path)
    assert found is None
    assert told


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_what_a_stranger_wrote_is_not_executed(name, kind, saved, tmp_path):
    made, path = tmp_path / "made", tmp_path / "strange.ckpt"
    content = {"state_dict": {}, "payload": Payload(str(made))}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    found, told = attempted(name, path.read_bytes(), tmp_path)
    assert found is None
    assert told
    assert not made.exists()


def test_the_payload_is_one(tmp_path):
    pickle.loads(pickle.dumps(Payload(str(tmp_path / "made"))))
    assert (tmp_path / "made").exists()


@pytest.mark.parametrize("name", WATCHED)
def test_a_weight_that_is_off_is_told_by_name(name, saved, tmp_path):
    content = bytearray(saved(name))
    content[first_byte_of_largest_tensor(content)] ^= 1
    with pytest.raises(ValueError, match=r"given\.ckpt is damaged: the checksum of its part"):
        resumed(name, bytes(content), tmp_path)


def first_byte_of_largest_tensor(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        largest = max((part for part in archive.infolist() if "/data/" in part.filename), key=lambda p: p.file_size)
    at = largest.header_offset
    name, extra = (int.from_bytes(content[at + place : at + place + 2], "little") for place in (26, 28))
    return at + 30 + name + extra
