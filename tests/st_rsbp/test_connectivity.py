import math

import pytest
import torch

from lightning_neuro.st_rsbp import RandomConnectivity, ReservoirConnectivity
from lightning_neuro.st_rsbp.connectivity import squared_distances


def test_i10_connections_by_distance_and_class_follow_the_law():
    grid = (6, 6, 6)
    reservoir = ReservoirConnectivity(grid=grid)
    distance = squared_distances(grid)
    found, possible = {}, {}
    for seed in range(25):
        topology = reservoir.draw(216, torch.Generator().manual_seed(seed))
        inhibitory = topology.inhibitory
        for pre in (False, True):
            for post in (False, True):
                pairs = (inhibitory == post)[:, None] & (inhibitory == pre)[None]
                for squared in (0, 1, 2, 4):
                    chosen = pairs & (distance == squared)
                    key = pre, post, squared
                    found[key] = found.get(key, 0) + int((topology.mask & chosen).sum())
                    possible[key] = possible.get(key, 0) + int(chosen.sum())
    law = {(False, False): 0.45, (False, True): 0.30, (True, False): 0.60, (True, True): 0.15}
    checked = 0
    for (pre, post, squared), total in possible.items():
        if total > 300:
            p = law[pre, post] * math.exp(-squared / 4)
            assert found[pre, post, squared] / total == pytest.approx(p, abs=4.5 * math.sqrt(p * (1 - p) / total))
            checked += 1
    assert checked >= 13


def test_i10_classes_and_random_connections_have_their_share_and_come_again():
    reservoir, generator = ReservoirConnectivity(grid=(5, 5, 16)), torch.Generator()
    share = torch.stack([reservoir.draw(400, generator.manual_seed(s)).inhibitory for s in range(20)]).float().mean()
    assert share.item() == pytest.approx(0.2, abs=0.02)
    first, again, other = (reservoir.draw(400, torch.Generator().manual_seed(s)).mask for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    mask = RandomConnectivity(0.3).draw(300, torch.Generator().manual_seed(0)).mask
    assert mask.float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert mask.float().mean(0).std() == pytest.approx(math.sqrt(0.21 / 300), rel=0.2)


def test_self_connections_may_be_left_out():
    for kind in (
        RandomConnectivity(1.0, self_connections=False),
        ReservoirConnectivity((2, 2, 2), self_connections=False),
    ):
        assert not kind.draw(8, torch.Generator()).mask.diagonal().any()


def test_distances_are_those_of_the_grid():
    distance = squared_distances((2, 3, 2))
    points = [(x, y, z) for x in range(2) for y in range(3) for z in range(2)]
    assert distance.tolist() == [[sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) for b in points] for a in points]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RandomConnectivity(0.0), ValueError, "probability must be greater than 0"),
        (lambda: RandomConnectivity(1.5), ValueError, "at most 1"),
        (lambda: ReservoirConnectivity((2, 2)), ValueError, "grid must be three numbers"),
        (lambda: ReservoirConnectivity((2, 2, 0)), ValueError, "grid's z must be at least 1"),
        (lambda: ReservoirConnectivity((2, 2, 2), inhibitory=2.0), ValueError, "inhibitory must be"),
        (
            lambda: ReservoirConnectivity((2, 2, 2)).draw(9, torch.Generator()),
            ValueError,
            "holds 8 neurons, the layer has 9",
        ),
    ],
)
def test_impossible_connections_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
