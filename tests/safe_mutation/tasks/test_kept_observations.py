import pytest
import torch

from lightning_neuro.safe_mutation.tasks.kept_observations import KeptObservations


def kept(count, *, recurrent, batch, steps=range(10)):
    record = KeptObservations(count, steps, recurrent=recurrent, batch=batch)
    for step in range(10):
        record.take(step, torch.stack([torch.full((2, 1), 10.0 * step + lane) for lane in range(batch)], dim=1))
    return record.states()


@pytest.mark.parametrize(("batch", "count"), [(1, 3), (1, 10), (1, 99), (3, 4), (3, 7), (3, 1000)])
def test_feed_forward_policies_get_the_last_observations(batch, count):
    states = kept(count, recurrent=False, batch=batch)
    everything = [10.0 * step + lane for step in range(10) for lane in range(batch)]
    assert states[0, :, 0].tolist() == everything[-count:]


@pytest.mark.parametrize(
    ("batch", "count", "shape"), [(1, 3, (3, 1)), (1, 99, (10, 1)), (3, 20, (10, 2)), (3, 99, (10, 3))]
)
def test_recurrent_policies_get_segments_from_the_start(batch, count, shape):
    states = kept(count, recurrent=True, batch=batch)
    assert states.shape == (2, *shape, 1)
    assert states[0, :, 0, 0].tolist() == [10.0 * step for step in range(shape[0])]
    assert states.shape[1] * states.shape[2] <= max(count, 1)


@pytest.mark.parametrize("recurrent", [True, False])
def test_nothing_wanted_is_nothing_kept(recurrent):
    assert kept(0, recurrent=recurrent, batch=2) is None


def test_only_steps_with_observations_count():
    assert kept(2, recurrent=False, batch=1, steps=range(0, 10, 3))[0, :, 0].tolist() == [60.0, 90.0]
