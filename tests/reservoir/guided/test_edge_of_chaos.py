import numpy as np
import pytest
from reservoirpy.nodes import Reservoir

from lightning_neuro.reservoir.guided import EdgeOfChaos
from lightning_neuro.reservoir.measures import active_information_storage
from lightning_neuro.reservoir.measures.lyapunov import lyapunov_exponent


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "start",
    [
        {"sr": 0.4, "input_scaling": 0.3},
        {"sr": 2.0, "input_scaling": 0.1},
        {"sr": 0.8, "lr": 0.4, "input_scaling": 0.5},
    ],
)
def test_the_exponent_is_within_two_hundredths_also_under_other_inputs(seed, start):
    rng = np.random.default_rng(seed)
    # Over 700 steps an exponent this near to 0 has a standard error of 0.012 by itself; 1400 halve its square.
    u, other = rng.uniform(-1, 1, (2, 1500, 1))
    report = EdgeOfChaos().fit(Reservoir(100, input_connectivity=1.0, seed=seed, **start), u)
    assert report.stopped == "target reached"
    assert abs(float(lyapunov_exponent(report.reservoir, u, washout=100)) + 0.02) < 0.005 + 1e-9
    assert abs(float(lyapunov_exponent(report.reservoir, other, washout=100)) + 0.02) < 0.02


def test_a_linear_reservoir_takes_one_step():
    u = np.random.default_rng(0).uniform(-1, 1, (600, 1))
    node = Reservoir(10, sr=0.3, rc_connectivity=1.0, activation="identity", seed=0)
    report = EdgeOfChaos(target=-0.1).fit(node, u)
    assert len(report.history) == 2
    assert report.parameters["scale"] == pytest.approx(np.exp(-0.1) / 0.3, rel=0.02)


@pytest.mark.slow
def test_most_storage_is_the_peak_of_a_sweep():
    u = np.random.default_rng(0).uniform(-1, 1, (500, 1))
    node = Reservoir(40, sr=1.0, input_scaling=0.1, input_connectivity=1.0, seed=0)
    report = EdgeOfChaos(target="storage", bounds=(0.3, 3.0), tolerance=0.1).fit(node, u)
    assert report.stopped == "search closed"
    assert report.reached
    assert report.target is None
    found = []
    for radius in np.geomspace(0.3, 3.0, 13):
        swept = Reservoir(40, sr=radius, input_scaling=0.1, input_connectivity=1.0, seed=0)
        found.append(
            active_information_storage(swept, inputs=u, washout=100, history=2, estimator="gaussian").value.mean()
        )
    assert report.value >= max(found) - 1e-9


def test_a_target_beyond_the_bounds_is_not_reached():
    u = np.random.default_rng(0).uniform(-1, 1, (500, 1))
    report = EdgeOfChaos(bounds=(0.1, 0.5)).fit(Reservoir(20, sr=0.4, seed=0), u)
    assert report.stopped == "nothing moves any more"
    assert not report.reached
    assert report.parameters["scale"] == pytest.approx(0.5 / 0.4)


def test_options_are_checked():
    with pytest.raises(ValueError, match="EdgeOfChaos: target must be one of 'storage'"):
        EdgeOfChaos(target="most")
    with pytest.raises(ValueError, match="EdgeOfChaos: the upper of bounds must be greater than 2"):
        EdgeOfChaos(bounds=(2.0, 1.0))
