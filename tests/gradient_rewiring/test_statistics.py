import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.gradient_rewiring import statistics


@given(st.lists(st.booleans(), min_size=1, max_size=70))
def test_packing_and_unpacking_are_inverse_in_an_eighth_of_the_space(bits):
    mask = torch.tensor(bits)
    packed = statistics.pack(mask)
    assert packed.numel() == -(-len(bits) // 8)
    assert torch.equal(statistics.unpack(packed, mask), mask)


@given(st.integers(0, 1000))
def test_turnover_equals_counting_by_hand_and_survives_its_state(seed):
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(5, 7, generator=generator).clamp_min(0) for _ in range(2))
    turnover = statistics.Turnover()
    assert turnover.look({"w": first}) == {}
    resumed = statistics.Turnover()
    resumed.load_state_dict(turnover.state_dict())
    pairs = list(zip(first.flatten().tolist(), second.flatten().tolist(), strict=True))
    expected = {"w": (sum(a > 0 == b for a, b in pairs), sum(a == 0 < b for a, b in pairs))}
    assert turnover.look({"w": second}) == resumed.look({"w": second}) == expected


def test_dead_units_of_a_convolution_and_quantiles_without_dormant_synapses():
    weight = torch.zeros(3, 2, 2, 2)
    weight[1, 0, 1, 1] = 1
    assert statistics.dead_units(weight) == (2, 1)
    assert statistics.dormant_quantiles(torch.ones(3)) == {}


def test_histogram_counts_everything_and_keeps_dormant_apart():
    theta = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    theta[:10] = 0
    counts, edges = statistics.theta_histogram(theta, 20)
    assert counts.sum() == 1000
    assert counts[:10].sum() == (theta <= 0).sum()
    assert edges[10] == 0
