import numpy as np
import pytest
from reservoirpy.nodes import Reservoir

from lightning_neuro.reservoir.guided import HomeostaticRate


@pytest.mark.parametrize(("seed", "target"), [(0, 0.2), (1, 0.5)])
def test_every_unit_reaches_the_rate(seed, target):
    u = np.random.default_rng(seed).uniform(-1, 1, (900, 1))
    node = Reservoir(30, sr=0.8, input_connectivity=1.0, seed=seed)
    report = HomeostaticRate(target=target).fit(node, u)
    assert report.reached
    rates = abs(report.reservoir.run(u)[100:]).mean(axis=0)
    assert abs(rates - target).max() <= 0.01
    before = abs(node.run(u)[100:]).mean(axis=0)
    assert abs(before - target).max() > 0.05


def test_recurrent_leaves_input_weights_alone_and_says_what_it_missed():
    u = np.random.default_rng(0).uniform(-1, 1, (500, 1))
    report = HomeostaticRate(target=0.05, scale="recurrent", epochs=10).fit(
        Reservoir(20, input_connectivity=1.0, seed=0), u
    )
    assert not report.reached
    assert report.error > 0.3  # inputs alone drive units to about 0.4
    assert float(abs(report.reservoir.Win).min()) == float(abs(report.reservoir.Win).max()) == 1.0


def test_options_are_checked():
    with pytest.raises(ValueError, match="HomeostaticRate: target must be greater than 0"):
        HomeostaticRate(target=0.0)
    with pytest.raises(ValueError, match="HomeostaticRate: scale must be one of 'all', 'recurrent'"):
        HomeostaticRate(scale="input")
