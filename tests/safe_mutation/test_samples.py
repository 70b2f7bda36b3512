import pytest
import torch
from torch import nn

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.samples import Samples, filled, row_weights, samples_of

VECTORS = BatchedPolicy(nn.Linear(3, 2))
SEQUENCES = BatchedPolicy(nn.Linear(3, 2), recurrence="sequence")
PARAMS = torch.zeros(2, 8)


@pytest.mark.parametrize(
    ("policy", "shape", "own", "count", "one"),
    [
        (VECTORS, (5, 3), False, 5, (1, 3)),
        (VECTORS, (2, 5, 3), True, 5, (1, 3)),
        (SEQUENCES, (4, 5, 3), False, 5, (4, 1, 3)),
        (SEQUENCES, (2, 4, 5, 3), True, 5, (4, 1, 3)),
    ],
)
def test_where_samples_lie(policy, shape, own, count, one):
    states = torch.arange(torch.Size(shape).numel()).view(shape).float()
    samples = samples_of("test", policy, PARAMS, states)
    assert (samples.own, samples.count, samples.in_dim) == (own, count, 0 if own else None)
    assert samples.of_one(0).shape == one
    parent = states[1] if own else states
    block = samples.block(slice(1, 2), slice(2, 4))
    expected = parent[:, 2:4] if policy is SEQUENCES else parent[2:4]
    assert torch.equal(block[0] if own else block, expected)


def test_rows_are_weighted_time_first():
    valid = torch.tensor([[[True, False], [True, False], [False, True]]])  # 3 steps of 2 sequences
    weights = row_weights("test", valid, 1, 2, 3, torch.zeros(()))
    assert weights.tolist() == [[[pytest.approx(1 / 3), 0.0], [pytest.approx(1 / 3), 0.0], [0.0, pytest.approx(1 / 3)]]]
    assert row_weights("test", valid, 1, 2, 3, torch.zeros(()), mean=False).sum() == 3
    assert row_weights("test", None, 4, 2, 3, torch.zeros(())).sum((1, 2)).tolist() == pytest.approx([1.0] * 4)
    assert row_weights("test", None, 4, 2, 3, torch.zeros(()), mean=False).sum().item() == 24


def test_empty_slots_are_filled_with_the_first_valid_state():
    states = torch.tensor([[[torch.nan], [2.0], [3.0]], [[4.0], [torch.nan], [5.0]]])
    weights = torch.tensor([[[0.0, 0.5, 0.5]], [[0.5, 0.0, 0.5]]])
    assert filled(Samples(states, True, 0), weights).states.flatten().tolist() == [2.0, 2.0, 3.0, 4.0, 4.0, 5.0]
    sequences = Samples(states.unsqueeze(1), True, 1)
    assert filled(sequences, weights).states.flatten().tolist() == [2.0, 2.0, 3.0, 4.0, 4.0, 5.0]
    shared = Samples(states[0], False, 0)
    assert filled(shared, weights) is shared
