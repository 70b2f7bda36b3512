import numpy as np
import pytest

from lightning_neuro.data.spike_trains import SpikeTrainDataModule


class TinyTrains(SpikeTrainDataModule):
    """Six samples of two events each, at 0 and at 0.5 s."""

    title, class_names, step_shape = "tiny", ("a", "b"), (2, 3)

    def read_samples(self, *, train):
        events = ((np.array([0, 500_000]), np.array([index, 5])) for index in range(6))
        return self.binned(events, [0, 1] * 3)


def test_a_batch_is_binary_and_time_first():
    data = TinyTrains(num_steps=10, time_step=0.1, batch_size=4)
    data.setup("test")
    spikes, labels = next(iter(data.test_dataloader()))
    assert spikes.shape == (10, 4, 2, 3)
    assert spikes.nonzero().tolist() == [
        *([0, index, index // 3, index % 3] for index in range(4)),
        *([5, index, 1, 2] for index in range(4)),
    ]
    assert labels.tolist() == [0, 1, 0, 1]
    assert data.num_features == 6


@pytest.mark.parametrize("options", [{"time_step": 0.007}, {"duration": 0.7}])
def test_step_and_duration_say_the_same(options):
    assert TinyTrains(num_steps=100, **options).duration == 700_000


def test_events_beyond_the_end_are_counted_and_told():
    data = TinyTrains(num_steps=10, duration=0.5)
    with pytest.warns(UserWarning, match=r"TinyTrains: 6 of 12 events lie beyond 0\.5 s, the end of the 10 steps"):
        data.setup("test")
    assert (data.test_set.num_events, data.test_set.num_dropped) == (12, 6)


def test_nothing_is_told_when_nothing_is_lost():
    data = TinyTrains(num_steps=10, duration=0.500001)
    data.setup("test")
    assert data.test_set.num_dropped == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_steps": 0, "duration": 1.0}, ValueError, "num_steps must be at least 1"),
        ({"num_steps": 2}, ValueError, "exactly one of time_step and duration must be given"),
        ({"num_steps": 2, "time_step": 1.0, "duration": 2.0}, ValueError, "exactly one of time_step and duration"),
        ({"num_steps": 2, "time_step": 0}, ValueError, "time_step must be at least 1e-06, got 0"),
        ({"num_steps": 2, "duration": float("inf")}, ValueError, "duration must be at least 1e-06, got inf"),
        ({"num_steps": 2, "duration": "1s"}, TypeError, "duration must be a number"),
    ],
)
def test_bad_options_are_refused_by_name(options, error, message):
    with pytest.raises(error, match=f"TinyTrains: {message}"):
        TinyTrains(**options)
