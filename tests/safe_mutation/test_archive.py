"""Archives against lists of rows."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.safe_mutation.archive import (
    Archive,
    archive_of,
    inherited,
    newest,
    placed,
    pooled,
    sampled,
    states_of,
)

Owners = list[list[float]]


def archive(owners: Owners, holes: int = 0) -> Archive:
    """Rows of each owner, with `holes` empty ones after each."""
    rows = max(1, max((holes + 1) * len(owner) for owner in owners))
    states, valid = torch.full((len(owners), rows, 1), torch.nan), torch.zeros(len(owners), rows, dtype=torch.bool)
    for place, owner in enumerate(owners):
        for number, value in enumerate(owner):
            states[place, number * (holes + 1)], valid[place, number * (holes + 1)] = value, True
    return Archive(states, valid)


def lists(of: Archive) -> Owners:
    return [states[valid].flatten().tolist() for states, valid in zip(of.states, of.filled, strict=True)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


numbers = st.lists(st.floats(-9, 9, width=32), max_size=6)
families = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=4)


@given(families, st.integers(1, 8), st.integers(0, 2))
def test_children_hold_what_parents_held_and_then_their_own(family, rows, holes):
    parents, children = [list(each) for each in zip(*family, strict=True)]
    found = inherited(archive(parents, holes), archive(children), rows)
    assert lists(found) == [(old + new)[-rows:] for old, new in family]
    assert found.states.shape[1] <= rows


@given(families, st.integers(1, 8))
def test_placed_children_leave_the_others_as_they_were(family, rows):
    members, children = [list(each) for each in zip(*family, strict=True)]
    found = placed(archive(members), torch.tensor([0]), archive(children[:1]), rows)
    assert lists(found) == [children[0][-rows:]] + [each[-rows:] for each in members[1:]]


@given(st.lists(numbers, min_size=1, max_size=4), st.integers(1, 8), st.integers(0, 99))
def test_samples_are_drawn_without_replacement_from_what_is_filled(owners, rows, seed):
    found = lists(sampled(archive(owners, 1), rows, generator(seed)))
    for drawn, owner in zip(found, owners, strict=True):
        assert len(drawn) == min(rows, len(owner))
        remaining = list(owner)
        for value in drawn:
            remaining.remove(value)


def test_samples_are_drawn_evenly():
    drawn = torch.cat([sampled(archive([[0, 1, 2, 3, 4]]), 2, generator(seed)).states.flatten() for seed in range(600)])
    assert (drawn.long().bincount() - 240).abs().max() < 50


@given(st.lists(numbers, min_size=1, max_size=4), st.integers(1, 8))
def test_a_shared_archive_is_drawn_from_what_everybody_met(owners, rows):
    found = pooled(None, archive(owners), rows, generator())
    everything = [value for owner in owners for value in owner]
    (kept,) = lists(found)
    assert found.shared
    assert len(kept) == min(rows, len(everything))
    assert set(kept) <= set(everything)
    again = pooled(found, archive([[100.0]]), 8, generator())
    assert set(lists(again)[0]) == {*kept, 100.0} if len(kept) < 8 else len(lists(again)[0]) == 8


def test_owners_without_rows_get_those_of_another():
    assert lists(archive([[], [1, 2], [3]]).completed()) == [[1, 2], [1, 2], [3]]
    assert archive([[], []]).completed() is None


def test_evaluations_of_sequences_come_time_first_and_go_back_so():
    states = torch.arange(2 * 3 * 4.0).view(2, 3, 4, 1)  # (n, T, S, 1)
    valid = torch.rand(2, 3, 4, generator=generator()) < 0.5
    kept = archive_of(states, valid, own=True, recurrent=True)
    assert kept.steps == 3
    assert kept.states.shape == (2, 4, 3, 1)
    back, rows = states_of(kept, 2, each_step=True)
    assert torch.equal(back, states)
    assert torch.equal(rows, valid.flatten(1))  # time first, as outputs of every step come
    assert torch.equal(states_of(kept, 2, each_step=False)[1], valid.any(1))


def test_shared_states_are_kept_once_and_count_for_each_child():
    kept = archive_of(torch.zeros(5, 2), None, own=False, recurrent=False)
    assert kept.shared
    assert kept.of(torch.tensor([3, 3])) is kept
    states, valid = states_of(kept, 7, each_step=False)
    assert (states.shape, valid) == ((5, 2), None)
    some = Archive(kept.states, torch.tensor([[True, False, True, True, True]]), shared=True)
    assert states_of(some, 7, each_step=False)[1].shape == (7, 5)


def test_segments_of_different_lengths_meet():
    short, long = (archive_of(torch.ones(2, steps, 1, 3) * steps, None, own=True, recurrent=True) for steps in (2, 5))
    found = inherited(short, long, 4)
    assert found.states.shape == (2, 2, 5, 3)
    assert found.valid.sum((0, 2)).tolist() == [4, 10]
    whole = placed(short, torch.tensor([1]), archive_of(torch.ones(1, 5, 1, 3), None, own=True, recurrent=True), 4)
    assert whole.valid.sum((1, 2)).tolist() == [2, 5]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64])
def test_states_stay_as_they_were_stored(dtype):
    kept = archive_of(torch.ones(2, 3, 4, dtype=dtype), None, own=True, recurrent=False)
    for each in (
        newest(kept, 2),
        inherited(kept, kept, 4),
        sampled(kept, 2, generator()),
        pooled(None, kept, 3, generator()),
    ):
        assert each.states.dtype == dtype
        assert each.states.min() == 1
