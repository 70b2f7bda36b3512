import pytest
import torch
from torch.utils.data import SequentialSampler
from torch.utils.data.distributed import DistributedSampler

from lightning_neuro.data import ResumableLoader


def loader(epoch=0, workers=0):
    data = torch.arange(20)
    made = ResumableLoader(
        data, batch_size=3, sampler=DistributedSampler(data, num_replicas=1, rank=0), num_workers=workers
    )
    made.sampler.set_epoch(epoch)
    return made


def taken(iterable, count=None):
    iterator = iter(iterable)
    return [next(iterator).tolist() for _ in range(count)] if count is not None else [b.tolist() for b in iterator]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [0, 1, 4, 7])
def test_goes_on_after_the_last_batch_given(stop, workers):
    whole = taken(loader(epoch=5))
    interrupted = loader(epoch=5, workers=workers)
    taken(interrupted, stop)
    resumed = loader(workers=workers)
    resumed.load_state_dict(interrupted.state_dict())
    iterator = iter(resumed)
    resumed.sampler.set_epoch(5)  # as Lightning does it: after asking for the iterator
    assert taken(iterator) == whole[stop:]
    assert resumed.state_dict() == {"epoch": 5, "batches": 7}
    assert taken(resumed) == whole, "only the first pass skips"


def test_another_epoch_starts_at_the_front():
    interrupted = loader(epoch=5)
    taken(interrupted, 3)
    resumed = loader(epoch=6)
    resumed.load_state_dict(interrupted.state_dict())
    assert taken(resumed) == taken(loader(epoch=6))


def test_the_epoch_stored_is_that_of_the_batches_given():
    given = loader(epoch=5)
    taken(given)
    given.sampler.set_epoch(6)
    assert given.state_dict() == {"epoch": 5, "batches": 7}


def test_interrupted_twice():
    whole, state = taken(loader()), None
    found = []
    for count in (2, 3, 2):
        part = loader()
        if state is not None:
            part.load_state_dict(state)
        found += taken(part, count)
        state = part.state_dict()
    assert found == whole


def test_a_sampler_without_epochs_never_skips():
    data = torch.arange(6)
    plain = ResumableLoader(data, batch_size=2, sampler=SequentialSampler(data))
    taken(plain, 1)
    plain.load_state_dict(plain.state_dict())
    assert taken(plain) == [[0, 1], [2, 3], [4, 5]]
