import numpy as np
import pytest
from reservoirpy.nodes import Reservoir

from lightning_neuro.reservoir.guided import TransferEntropyCoupling
from lightning_neuro.reservoir.measures import transfer_entropy

U = np.random.default_rng(0).uniform(-1, 1, (2000, 1))


@pytest.mark.parametrize("seed", [0, 1, pytest.param(2, marks=pytest.mark.slow)])
def test_units_are_reached_by_as_much_of_the_past_as_the_task_needs(seed):
    u = np.random.default_rng(seed).uniform(-1, 1, (1500, 1))
    node = Reservoir(50, sr=0.9, input_scaling=0.1, input_connectivity=1.0, seed=seed)
    report = TransferEntropyCoupling(max_history=8, epochs=25).fit(node, u, np.roll(u, 4))
    assert report.details["history"] == 5
    assert report.reached
    assert report.history["share_reached"][0] < 0.9 <= report.value
    assert (report.parameters["coupling"] < 1).any()


def test_growth_is_that_of_transfer_entropy():
    node = Reservoir(15, sr=0.9, input_connectivity=1.0, seed=0)
    report = TransferEntropyCoupling(epochs=1, max_history=6).fit(node, U, np.roll(U, 2))
    states = report.reservoir.run(U)[100:]
    # What acts within a step is the next step's to `transfer_entropy`; three histories start at the same step.
    source, target = U[101:, 0], states[:-1]
    longer, shorter = (
        transfer_entropy(
            np.append(source, 0.0)[cut:-1], target[cut:], source_history=length, estimator="gaussian"
        ).value[0]
        for length, cut in ((3, 0), (2, 1))
    )
    np.testing.assert_allclose(report.details["growth"], longer - shorter, atol=5e-3)


def test_couplings_make_the_weights_they_stand_for():
    node = Reservoir(20, sr=0.8, input_scaling=0.3, seed=2)
    report = TransferEntropyCoupling(epochs=5, max_history=5).fit(node, U, np.roll(U, 3))
    a = report.parameters["coupling"]
    node.run(U[:2])
    np.testing.assert_allclose(report.reservoir.W.toarray(), a[:, None] * node.W.toarray() + np.diag(1 - a))
    assert abs(np.linalg.eigvals(report.reservoir.W.toarray())).max() <= 1 + 1e-9


def test_what_cannot_be_reached_is_said():
    node = Reservoir(30, sr=0.3, input_connectivity=1.0, seed=0)
    report = TransferEntropyCoupling(epochs=6, max_history=12).fit(node, U, np.roll(U, 10))
    assert report.details["history"] == 11
    assert not report.reached


def test_errors():
    noise = np.random.default_rng(1).standard_normal((2000, 1))
    with pytest.raises(ValueError, match="TransferEntropyCoupling: v must depend on u"):
        TransferEntropyCoupling(gain=0.05).fit(Reservoir(10, sr=0.9, seed=0), U, noise)
    with pytest.raises(ValueError, match=r"spectral radius about rest must be at most 1, got 1\.3"):
        TransferEntropyCoupling().fit(Reservoir(10, sr=1.3, rc_connectivity=0.5, seed=0), U, np.roll(U, 2))
    with pytest.raises(ValueError, match="TransferEntropyCoupling: step must be"):
        TransferEntropyCoupling(step=0.0)
