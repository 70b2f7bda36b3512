import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.data.splits import class_members, stratified_order


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 1000))
def test_every_prefix_is_stratified(sizes, seed):
    labels = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    order = stratified_order(labels, seeded(seed))
    assert order.sort().values.tolist() == list(range(len(labels)))
    counts = torch.nn.functional.one_hot(labels[order], len(sizes)).cumsum(0).double()
    share = torch.tensor(sizes, dtype=torch.float64) / len(labels)
    wanted = torch.arange(1, len(labels) + 1, dtype=torch.float64)[:, None] * share
    assert ((counts - wanted).abs() <= 0.5 + len(sizes) * share / 2 + 1e-9).all()


def test_chance_comes_from_the_generator_alone():
    labels = torch.arange(100) % 10
    state = torch.get_rng_state()
    first = stratified_order(labels, seeded(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, stratified_order(labels, seeded(1)))
    assert not torch.equal(first, stratified_order(labels, seeded(2)))


def test_each_image_is_equally_likely_to_come_first():
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    counts = torch.zeros(6)
    for seed in range(3000):
        counts[stratified_order(labels, seeded(seed))[:2]] += 1
    # Each of 6 images in 1/3 of the prefixes of two; 5 standard deviations of a binomial count.
    assert counts.sub(1000).abs().max() < 5 * (3000 * (1 / 3) * (2 / 3)) ** 0.5


@pytest.mark.parametrize("labels", [[3, 1, 3, 7], []])
def test_class_members_as_a_loop_finds_them(labels):
    slow = [[i for i, label in enumerate(labels) if label == wanted] for wanted in sorted(set(labels))]
    assert [members.tolist() for members in class_members(torch.tensor(labels))] == slow
