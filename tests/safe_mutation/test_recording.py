import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.safe_mutation.recording import FirstSteps, LastStates, recorder


@given(lengths=st.lists(st.integers(0, 12), min_size=1, max_size=5), capacity=st.integers(1, 6))
def test_the_last_states_are_those_of_a_list(lengths: list[int], capacity: int) -> None:
    kept, lists = LastStates(len(lengths), capacity), [[] for _ in lengths]
    for step in range(max(lengths)):
        rows = np.array([row for row, length in enumerate(lengths) if step < length])
        kept.push(rows, torch.from_numpy(100.0 * rows + step)[:, None])
        for row in rows:
            lists[row].append(100.0 * row + step)
    result = kept.result()
    if result is None:
        assert not any(lists)
        return
    states, valid = result
    assert states.shape[1] == max(len(each[-capacity:]) for each in lists)
    for row, each in enumerate(lists):
        assert states[row, :, 0][valid[row]].tolist() == each[-capacity:]
        assert (states[row][~valid[row]] == 0).all() or len(each) > 0


@given(
    lengths=st.lists(st.lists(st.integers(1, 9), min_size=3, max_size=3), min_size=1, max_size=4),
    capacity=st.integers(1, 8),
)
def test_segments_are_the_first_steps_of_the_last_episodes(lengths: list[list[int]], capacity: int) -> None:
    kept = FirstSteps(len(lengths), capacity, 3)
    for episode in range(3):
        for step in range(max(row[episode] for row in lengths)):
            rows = np.array([row for row, each in enumerate(lengths) if step < each[episode]])
            kept.push(
                rows, torch.from_numpy(100.0 * rows + 10 * episode + step)[:, None], episode=episode, decision=step
            )
    states, valid = kept.result()
    segments, steps = min(3, capacity), capacity // min(3, capacity)
    assert states.shape[:3] == valid.shape == (len(lengths), min(steps, valid.any((0, 2)).sum()), segments)
    for row, each in enumerate(lengths):
        for segment, episode in enumerate(range(3 - segments, 3)):
            expected = [100.0 * row + 10 * episode + step for step in range(min(each[episode], steps))]
            assert states[row, :, segment, 0][valid[row, :, segment]].tolist() == expected
    assert valid.sum((1, 2)).max() <= capacity


def test_precision_is_that_of_what_was_seen() -> None:
    for dtype in (torch.uint8, torch.float32, torch.float64):
        kept = LastStates(1, 3)
        kept.push(np.array([0]), torch.ones(1, 2, dtype=dtype))
        assert kept.result()[0].dtype == dtype


def test_the_recorder_fits_the_policy() -> None:
    assert recorder(3, 0, 1, carries_state=False) is None
    assert isinstance(recorder(3, 4, 1, carries_state=False), LastStates)
    assert isinstance(recorder(3, 4, 1, carries_state=True), FirstSteps)
    assert recorder(3, 4, 1, carries_state=True).result() is None
