import numpy as np
import pytest
from reservoirpy.nodes import Reservoir

from lightning_neuro.reservoir.guided import CapacityMatch
from lightning_neuro.reservoir.measures import memory_capacity

U = np.random.default_rng(0).uniform(-1, 1, (1600, 1))


@pytest.mark.parametrize(("seed", "delay"), [(0, 2), (1, 5)])
def test_the_reservoir_covers_the_delays_of_the_task(seed, delay):
    node = Reservoir(30, sr=0.3, input_connectivity=1.0, seed=seed)
    report = CapacityMatch(max_delay=10).fit(node, U, np.roll(U, delay))
    assert report.details["horizon"] == delay
    assert report.details["asked"][delay] == pytest.approx(1.0)
    assert report.reached
    found = memory_capacity(report.reservoir, U, max_delay=10, first_delay=0, washout=100)
    assert found.curve[delay] >= 0.95
    assert found.curve[delay] == pytest.approx(report.value)


def test_it_is_the_best_of_the_grid_where_halving_leaves_all_rungs_alike():
    grid = {"sr": [0.3, 0.8], "lr": [0.4, 1.0], "input_scaling": [0.1, 1.0]}
    node, v = Reservoir(30, sr=0.3, seed=0), np.roll(U, 3)
    report = CapacityMatch(max_delay=8, rungs=1, **grid).fit(node, U, v)
    assert len(report.history) == 8
    every = [
        CapacityMatch(max_delay=8, rungs=1, sr=[sr], lr=[lr], input_scaling=[scale]).fit(node, U, v).error
        for sr in grid["sr"]
        for lr in grid["lr"]
        for scale in grid["input_scaling"]
    ]
    assert report.error == min(every)
    assert abs(np.linalg.eigvals(report.reservoir.W.toarray())).max() == pytest.approx(report.parameters["sr"])


def test_halving_measures_longer_series_and_keeps_the_last_rung():
    u = np.random.default_rng(1).uniform(-1, 1, (3000, 1))
    report = CapacityMatch(sr=[0.2, 0.5, 0.9], lr=[1.0], input_scaling=[0.1, 1.0], max_delay=5).fit(
        Reservoir(20, seed=0), u, np.roll(u, 3)
    )
    assert report.history["steps"].tolist() == [750.0] * 6 + [1500.0] * 3 + [3000.0]
    assert report.best == 9


def test_memory_beyond_the_horizon_is_taxed():
    free, taxed = (
        CapacityMatch(sr=[0.3, 0.9], lr=[0.3, 1.0], input_scaling=[0.1], max_delay=15, surplus=surplus).fit(
            Reservoir(30, seed=1), U, np.roll(U, 1)
        )
        for surplus in (0.0, 3.0)
    )
    at_best = [report.history["memory_beyond"][report.best] for report in (free, taxed)]
    assert at_best[1] <= at_best[0]


def test_bad_tasks_and_options_are_refused():
    noise = np.random.default_rng(5).standard_normal((1600, 1))
    with pytest.raises(ValueError, match="CapacityMatch: v must depend on u"):
        CapacityMatch(max_delay=3).fit(Reservoir(10, seed=0), U, noise)
    with pytest.raises(ValueError, match="CapacityMatch: sr must hold at least one value"):
        CapacityMatch(sr=[])
    with pytest.raises(ValueError, match="CapacityMatch: lr must be"):
        CapacityMatch(lr=[1.5])
