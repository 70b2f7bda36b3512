from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from lightning_neuro.data.binned_events import BinnedEvents, bin_events, microseconds

STEPS, DURATION, CHANNELS = 7, 100, 5
event_lists = st.lists(st.tuples(st.integers(0, 150), st.integers(0, CHANNELS - 1)), max_size=40)


def arrays(events):
    table = np.array(events, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def binned(events, **options):
    return bin_events(*arrays(events), **{"num_steps": STEPS, "duration": DURATION, "num_channels": CHANNELS} | options)


def obvious(events):
    """Compare each time with the borders of every step, in fractions that are exact."""
    raster = torch.zeros(STEPS, CHANNELS, dtype=torch.bool)
    for time, channel in events:
        for step in range(STEPS):
            if step * DURATION <= time * STEPS < (step + 1) * DURATION:
                raster[step, channel] = True
    return raster


@given(st.lists(event_lists, min_size=1, max_size=4))
def test_equals_the_obvious_way(samples):
    trains = BinnedEvents.from_events(
        map(arrays, samples), [0] * len(samples), num_steps=STEPS, duration=DURATION, shape=(CHANNELS,)
    )
    spikes, _ = trains.batch(range(len(samples)))
    assert spikes.dtype == torch.bool
    assert torch.equal(spikes, torch.stack([obvious(events) for events in samples], dim=1))
    assert trains.num_events == sum(map(len, samples))
    assert trains.num_dropped == sum(time >= DURATION for events in samples for time, _ in events)


@given(event_lists)
def test_every_event_is_a_spike_a_repetition_or_dropped(events):
    places, dropped = binned(events)
    inside = Counter((time * STEPS // DURATION, channel) for time, channel in events if time < DURATION)
    assert len(places) + sum(count - 1 for count in inside.values()) + dropped == len(events)
    assert (np.diff(places) > 0).all()


@given(event_lists, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(events, random):
    shuffled = random.sample(events, len(events))
    assert binned(events)[0].tolist() == binned(shuffled)[0].tolist()


@given(event_lists)
def test_pooling_steps_equals_binning_into_longer_steps(events):
    fine, _ = binned(events, num_steps=20)
    coarse, _ = binned(events, num_steps=10)
    steps, channels = np.divmod(fine, CHANNELS)
    assert np.unique(steps // 2 * CHANNELS + channels).tolist() == coarse.tolist()


@pytest.mark.parametrize(("time", "step"), [(0, 0), (9_999, 0), (10_000, 1), (290_000, 29), (999_999, 99)])
def test_a_border_belongs_to_the_later_step(time, step):
    places, dropped = bin_events(np.array([time]), np.array([0]), num_steps=100, duration=1_000_000, num_channels=1)
    assert (places.tolist(), dropped) == ([step], 0)


def test_the_end_is_beyond():
    assert binned([(DURATION, 0), (DURATION - 1, 0)])[1] == 1


def test_seconds_of_half_precision_become_microseconds():
    assert microseconds(np.array([0.5, 1.369], np.float16)).tolist() == [500_000, 1_369_141]


@pytest.mark.parametrize(("steps", "channels", "bytes_per_spike"), [(100, 200, 2), (300, 2312, 4), (3, 5, 1)])
def test_spikes_are_kept_in_few_bytes(steps, channels, bytes_per_spike):
    events = [(np.array([steps - 1]), np.array([channels - 1]))]
    trains = BinnedEvents.from_events(events, [0], num_steps=steps, duration=steps, shape=(channels,))
    assert trains.places[0].itemsize == bytes_per_spike
    assert trains.batch([0])[0].nonzero().tolist() == [[steps - 1, 0, channels - 1]]


def tiny():
    events = [(np.array([index, 9]), np.array([index, 5])) for index in range(4)]
    return BinnedEvents.from_events(events, [3, 2, 1, 0], num_steps=4, duration=4, shape=(2, 3))


def test_shapes_of_batches_and_of_samples():
    trains = tiny()
    spikes, labels = trains.batch([2, 0, 2])
    assert spikes.shape == (4, 3, 2, 3)
    assert spikes.nonzero().tolist() == [[0, 1, 0, 0], [2, 0, 0, 2], [2, 2, 0, 2]]
    assert labels.tolist() == [1, 3, 1]
    sample, label = trains[3]
    assert sample.shape == (4, 2, 3)
    assert sample.nonzero().tolist() == [[3, 1, 0]]
    assert label.item() == 0
    assert len(next(iter(DataLoader(trains, batch_size=4)))[1]) == 4


def test_a_part_shares_its_spikes():
    trains = tiny()
    part = trains.take(torch.tensor([3, 1]))
    assert part.labels.tolist() == [0, 2]
    assert part.places[0] is trains.places[3]
    assert (part.num_events, part.num_dropped) == (8, 4)


def test_a_silent_sample_and_no_sample_at_all():
    nothing = np.array([], np.int64)
    trains = BinnedEvents.from_events([(nothing, nothing)], [0], num_steps=2, duration=2, shape=(3,))
    assert trains.batch([0])[0].shape == (2, 1, 3)
    assert not trains.batch([0])[0].any()
    assert trains.batch([])[0].shape == (2, 0, 3)


@pytest.mark.parametrize(
    ("times", "channels", "message"),
    [
        ([-1], [0], "times must be at least 0, got -1"),
        ([0.5], [0], r"times must be whole numbers \(E,\), got float64 \(1,\)"),
        ([[0]], [0], r"times must be whole numbers \(E,\), got int64 \(1, 1\)"),
        ([0], [-2], "channels must be at least 0, got -2"),
        ([0], [5], "channels must be below 5, got 5"),
        ([0, 1], [0], r"expected as many channels as times \(2\), got 1"),
    ],
)
def test_bad_events_are_refused(times, channels, message):
    with pytest.raises(ValueError, match=f"bin_events: {message}"):
        bin_events(np.array(times), np.array(channels), num_steps=2, duration=2, num_channels=5)


def test_labels_must_match():
    with pytest.raises(ValueError, match=r"labels must be one per sample, 1 in all, got shape \(2,\)"):
        BinnedEvents.from_events([(np.array([0]), np.array([0]))], [0, 1], num_steps=1, duration=1, shape=(1,))
