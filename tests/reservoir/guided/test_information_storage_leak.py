import numpy as np
import pytest
from reservoirpy.nodes import Reservoir

from lightning_neuro.reservoir.guided import InformationStorageLeak
from lightning_neuro.reservoir.measures import active_information_storage


def storage_of(node, u):
    return active_information_storage(node, inputs=u, washout=100, history=2, estimator="gaussian").value


@pytest.mark.parametrize(("seed", "target"), [(0, 0.3), (1, 1.0)])
def test_units_reach_the_storage(seed, target):
    u = np.random.default_rng(seed).uniform(-1, 1, (1500, 1))
    report = InformationStorageLeak(target=target).fit(
        Reservoir(40, sr=0.9, lr=0.6, input_connectivity=1.0, seed=seed), u
    )
    assert report.reached
    found = storage_of(report.reservoir, u)
    assert abs(found - target).mean() <= 0.02
    assert found.mean() == pytest.approx(report.value, abs=1e-12)


@pytest.mark.slow
def test_more_storage_takes_slower_units():
    u = np.random.default_rng(0).uniform(-1, 1, (1500, 1))
    leaks = [
        InformationStorageLeak(target=target)
        .fit(Reservoir(20, sr=0.9, input_connectivity=1.0, seed=0), u)
        .parameters["lr"]
        .mean()
        for target in (0.2, 0.5, 1.0)
    ]
    assert leaks[0] > leaks[1] > leaks[2]


def test_targets_of_the_task_and_of_the_reservoir():
    rng = np.random.default_rng(0)
    u = rng.uniform(-1, 1, (1500, 1))
    v = np.convolve(u[:, 0], 0.7 ** np.arange(30))[: len(u), None]  # AR(1): -1/2 ln(1 - 0.49)
    node = Reservoir(20, sr=0.9, lr=0.6, seed=0)
    assert InformationStorageLeak(target="task", epochs=1).fit(node, u, v).target == pytest.approx(0.337, abs=0.04)
    own = InformationStorageLeak(epochs=1).fit(node, u)
    assert own.target == pytest.approx(storage_of(node, u).mean())
    with pytest.raises(ValueError, match=r"InformationStorageLeak: target .* is the storage of v, but v is None"):
        InformationStorageLeak(target="task").fit(node, u)


def test_what_no_leak_rate_gives_ends_at_the_limits():
    u = np.random.default_rng(0).uniform(-1, 1, (500, 1))
    report = InformationStorageLeak(target=9.0, smallest=0.5).fit(Reservoir(10, seed=0), u)
    assert report.stopped == "nothing moves any more"
    assert not report.reached
    assert report.history["share_at_a_limit"][-1] == 1.0


def test_options_are_checked():
    with pytest.raises(ValueError, match="InformationStorageLeak: target must be one of 'mean', 'task'"):
        InformationStorageLeak(target="median")
    with pytest.raises(ValueError, match="InformationStorageLeak: smallest must be"):
        InformationStorageLeak(smallest=0.0)
