import numpy as np
import pytest
import torch

from lightning_neuro.data import DataFormatError
from lightning_neuro.data.binned_events import BinnedEvents
from lightning_neuro.data.spike_cache import load_trains, save_trains

EVENTS = [(np.array([0, 3]), np.array([1, 0])), (np.array([], int), np.array([], int)), (np.array([2]), np.array([1]))]


@pytest.fixture
def trains():
    return BinnedEvents.from_events(EVENTS, [2, 0, 1], num_steps=4, duration=4, shape=(2,))


def test_what_is_read_is_what_was_written(tmp_path, trains):
    file = tmp_path / "new" / "spikes.pt"
    save_trains(file, trains, "made of this")
    for fingerprint in ("made of this", None):
        found = load_trains(file, fingerprint)
        for ours, theirs in zip(found.batch([0, 1, 2]), trains.batch([0, 1, 2]), strict=True):
            assert torch.equal(ours, theirs)
    assert [each.name for each in file.parent.iterdir()] == ["spikes.pt"]
    assert torch.load(file, weights_only=True)["shape"] == [2]


def test_no_samples_at_all(tmp_path):
    save_trains(tmp_path / "a", BinnedEvents.from_events([], [], num_steps=4, duration=4, shape=(2,)), "x")
    assert len(load_trains(tmp_path / "a", "x")) == 0


def test_what_was_made_of_something_else_is_not_used(tmp_path, trains):
    save_trains(tmp_path / "a", trains, "old")
    assert load_trains(tmp_path / "a", "new") is None
    assert load_trains(tmp_path / "b", "new") is None


def test_damage_is_named(tmp_path, trains):
    file = tmp_path / "spikes.pt"
    save_trains(file, trains, "x")
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(DataFormatError, match=f"^{file}: content must be spike trains .* Delete the file"):
        load_trains(file, "x")
    torch.save({"weights": torch.zeros(3)}, file)
    with pytest.raises(DataFormatError, match="got something else"):
        load_trains(file, "x")


def test_a_failed_write_leaves_nothing_behind(tmp_path, trains, monkeypatch):
    def fail(content, stream):
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_trains(tmp_path / "spikes.pt", trains, "x")
    assert not list(tmp_path.iterdir())
