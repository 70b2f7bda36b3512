import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.data import LabelledSeries
from lightning_neuro.reservoir.batches import counted_steps, known_targets, pooled, unpack_batch


def test_three_forms_of_a_batch_are_one():
    x, y, lengths = torch.rand(2, 5, 3), torch.tensor([0, 1]), torch.tensor([5, 2])
    assert unpack_batch([x, y])[2] is None
    assert unpack_batch((x, y, lengths))[2] is lengths
    series = LabelledSeries([x[0].numpy(), x[1, :2].numpy()], y)
    found, labels, ends = unpack_batch(series.batch([0, 1]))
    assert torch.equal(found[0], x[0])
    assert torch.equal(found[1, :2], x[1, :2])
    assert torch.equal(labels, y)
    assert torch.equal(ends, lengths)


@pytest.mark.parametrize("batch", [torch.zeros(2, 5, 3), (torch.zeros(5, 3), torch.zeros(5)), ({}, torch.zeros(1)), 3])
def test_another_form_is_refused(batch):
    with pytest.raises(TypeError, match="Give `unpack`, a function"):
        unpack_batch(batch)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.integers(0, 7))
def test_counted_steps_are_those_of_a_loop(lengths, washout):
    found = counted_steps(torch.zeros(len(lengths), 6, 2), torch.tensor(lengths), washout)
    assert found.tolist() == [[washout <= step < stop for step in range(6)] for stop in lengths]
    assert torch.equal(counted_steps(torch.zeros(1, 6, 2), None, washout)[0], torch.arange(6) >= washout)


@given(st.lists(st.integers(3, 6), min_size=1, max_size=5), st.integers(0, 2))
def test_pooled_features_are_those_of_a_loop(lengths, washout):
    features = torch.rand(len(lengths), 6, 4, generator=torch.Generator().manual_seed(0))
    for row, stop in enumerate(lengths):
        features[row, stop:] = torch.nan
    counted = counted_steps(features, torch.tensor(lengths), washout)
    last = torch.stack([features[row, stop - 1] for row, stop in enumerate(lengths)])
    mean = torch.stack([features[row, washout:stop].mean(0) for row, stop in enumerate(lengths)])
    torch.testing.assert_close(pooled(features, counted, "last"), last)
    torch.testing.assert_close(pooled(features, counted, "mean"), mean)


def test_a_series_within_the_washout_cannot_be_pooled():
    with pytest.raises(ValueError, match=r"got series 1 of a batch that does not\. Lower washout"):
        pooled(torch.zeros(2, 3, 1), counted_steps(torch.zeros(2, 3, 1), torch.tensor([3, 2]), 2), "mean")


def test_what_is_missing_is_not_known():
    y = torch.tensor([[[1.0, torch.nan], [1.0, 2.0]]])
    assert known_targets(y, torch.Size([1, 2]), 2, labels=False).tolist() == [[False, True]]
    assert known_targets(torch.tensor([[0, -100]]), torch.Size([1, 2]), 1, labels=True).tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("y", "labels", "message"),
    [
        (torch.zeros(2, 5), False, r"expected targets \(2, 5, 3\), got shape \(2, 5\)"),
        (torch.zeros(2, 5), True, r"expected labels \(2, 5\) in whole numbers, got shape \(2, 5\) of torch.float32"),
        (torch.zeros(2).long(), True, "One row for each step follows from `pooling`"),
        (torch.full((2, 5), 3), True, "labels must be 0 to 2, or -100 for none, got 3 to 3"),
    ],
)
def test_targets_of_another_kind_are_refused(y, labels, message):
    with pytest.raises(ValueError, match=message):
        known_targets(y, torch.Size([2, 5]), 3, labels=labels)
