import pytest
import torch

from lightning_neuro.safe_mutation.archive import archive_of
from lightning_neuro.safe_mutation.experience import ExperienceRule


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def observations(owners: int = 4, rows: int = 10, steps: int | None = None, size: int = 2, own: bool = True):
    shape = (owners, rows, size) if steps is None else (owners, steps, rows, size)
    return archive_of(torch.zeros(shape if own else shape[1:]), None, own=own, recurrent=steps is not None)


@pytest.mark.parametrize(("steps", "rows", "drawn"), [(None, 12, 7), (3, 4, 2), (50, 1, 1)])
def test_sizes_count_states_and_segments_stay_whole(steps, rows, drawn):
    rule = ExperienceRule(4, archive_size=12, mutation_states=7)
    assert rule.rows(observations(steps=steps)) == rows
    assert rule.sample_rows(observations(steps=steps)) == drawn


def test_each_kind_keeps_its_own():
    assert ExperienceRule(4, "none").founded(observations(), generator()) is None
    assert ExperienceRule(4, archive_size=3).founded(observations(), generator()).states.shape == (4, 3, 2)
    assert ExperienceRule(4, "shared", archive_size=3).founded(observations(), generator()).states.shape == (1, 3, 2)
    assert ExperienceRule(4).founded(observations(own=False), generator()).shared
    assert ExperienceRule(4).founded(None, generator()) is None


def test_how_much_an_evaluator_is_asked_for():
    assert ExperienceRule(4, "none").record(None) == 0
    assert ExperienceRule(4, archive_size=30).record(None) == 30
    tight = ExperienceRule(4, archive_size=30, archive_bytes=5 * 4 * 2 * 4)
    assert tight.record(observations()) == 5


def test_memory_bounds_the_archive_and_says_so():
    """2 float32 of 4 individuals: 32 bytes a row."""
    rule = ExperienceRule(4, archive_size=30, archive_bytes=5 * 32 + 31)
    assert rule.rows(observations()) == 5
    assert rule.founded(observations(), generator()).states.shape == (4, 5, 2)
    message = rule.shortage(observations())
    assert "for 30 rows each, so only 5 are kept. Set archive_size=5, or raise archive_bytes" in message
    assert "states (2,) of float32 for 4 individuals" in message
    assert ExperienceRule(4, archive_size=5, archive_bytes=5 * 32).shortage(observations()) is None
    shared = ExperienceRule(4, "shared", archive_size=30, archive_bytes=5 * 32)
    assert shared.rows(observations()) == 20


def test_an_archive_without_room_for_one_row_is_refused():
    with pytest.raises(ValueError, match=r"for a single row each\. Raise archive_bytes"):
        ExperienceRule(4, archive_bytes=31).founded(observations(), generator())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"archive_size": 0}, "archive_size must be at least 1, got 0"),
        ({"mutation_states": 0}, "mutation_states must be at least 1"),
        ({"archive_bytes": -1}, "archive_bytes must be at least 1"),
        ({"kind": "some"}, "archive must be one of 'per_individual', 'shared', 'none', got 'some'"),
    ],
)
def test_what_cannot_be_kept_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ExperienceRule(4, **options)


def test_longer_segments_of_children_shorten_the_whole_archive():
    rule = ExperienceRule(3, archive_size=12)
    before = rule.founded(observations(3, rows=6, steps=2), generator())
    assert before.states.shape[1:3] == (6, 2)
    who = torch.tensor([0])
    after = rule.bred(before, torch.tensor([1]), torch.tensor([2]), who, observations(1, rows=1, steps=6), generator())
    assert after.states.shape == (3, 2, 6, 2)
    assert after.valid[2].sum(1).tolist() == [2, 6]
