import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lightning_neuro.safe_mutation.budget import Blocks, Cost, blocks, footprint, slices
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.samples import Samples

sizes = st.integers(1, 50)
byte_counts = st.integers(0, 1000)


@given(sizes, sizes, sizes, st.tuples(byte_counts, byte_counts, byte_counts, byte_counts), st.integers(1, 10**6))
def test_blocks_fit_and_are_as_large_as_fits(parents, samples, outputs, costs, limit):
    cost = Cost(*costs)
    found = blocks(cost, parents, samples, outputs, limit)
    assert 1 <= found.parents <= parents
    assert 1 <= found.samples <= samples
    assert 1 <= found.outputs <= outputs
    assert cost.of(found.parents, found.samples, found.outputs) <= limit or found == Blocks(1, 1, 1)
    if found.parents < parents and found.samples == samples and found.outputs == outputs:
        assert cost.of(found.parents + 1, samples, outputs) > limit
    if found.samples < samples:
        assert cost.of(1, found.samples + 1, found.outputs) > limit
    if found.outputs < outputs:
        assert cost.of(1, 1, found.outputs + 1) > limit


@given(st.integers(0, 30), st.integers(1, 10))
def test_slices_cover_once(count, size):
    assert [i for part in slices(count, size) for i in range(count)[part]] == list(range(count))


def test_a_footprint_counts_what_autograd_keeps():
    policy = BatchedPolicy(nn.Sequential(nn.Linear(3, 100), nn.Tanh(), nn.Linear(100, 2)))
    found = footprint("test", policy, torch.zeros(5, policy.size), Samples(torch.zeros(4, 3), False, 0))
    assert (found.steps, found.outputs) == (1, 2)
    assert 4 * 100 <= found.saved < 4 * (100 + 100) + 4 * 4 * 3 + 1
    archive = Samples(torch.zeros(5, 1000, 3), True, 0)
    assert footprint("test", policy, torch.zeros(5, policy.size), archive) == found
    steps = BatchedPolicy(nn.RNNCell(3, 2), recurrence="step", output_steps="all")
    assert steps.interface.recurrence == "step"
