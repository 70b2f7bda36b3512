import numpy as np
import pytest
from reservoirpy.nodes import Reservoir

from lightning_neuro.reservoir.measures.maps import ReservoirMap
from lightning_neuro.reservoir.measures.ranks import generalization_rank, kernel_rank, similar_streams

STREAMS = np.random.default_rng(0).uniform(-1, 1, (60, 60, 1))


def reservoir(radius):
    return Reservoir(60, sr=radius, rc_connectivity=1.0, input_connectivity=1.0, input_scaling=0.1, seed=0)


def test_the_difference_of_ranks_is_largest_between_order_and_chaos():
    alike = similar_streams(STREAMS, same_steps=20)
    kernel, general = (
        np.array([float(rank(reservoir(radius), streams)) for radius in (0.1, 0.9, 3.0)])
        for rank, streams in ((kernel_rank, STREAMS), (generalization_rank, alike))
    )
    assert (np.diff(kernel) > 0).all() or kernel[1] == 60
    assert general[0] < general[1] < general[2]
    assert (kernel - general).argmax() == 1


def test_final_states_are_those_of_single_runs():
    node = reservoir(0.9)
    final = []
    for stream in STREAMS:
        node.reset() if node.initialized else None
        final.append(node.run(stream)[-1])
    values = np.linalg.svd(np.array(final), compute_uv=False)
    np.testing.assert_allclose(kernel_rank(node, STREAMS).curve, values, atol=1e-10)


def test_a_reservoir_that_hears_nothing_has_rank_zero_and_copies_one():
    deaf = ReservoirMap(0.5 * np.eye(4), np.zeros((4, 1)))
    assert float(kernel_rank(deaf, STREAMS)) == 0
    assert kernel_rank(deaf, STREAMS).details["effective_rank"] == 0
    copies = ReservoirMap(0.5 * np.eye(4), np.ones((4, 1)))
    assert float(kernel_rank(copies, STREAMS)) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernel_rank(reservoir(0.9), np.zeros((3, 4))), r"streams must be \(streams, steps, columns\)"),
        (lambda: kernel_rank(reservoir(0.9), np.full((3, 4, 1), np.nan)), "finite numbers"),
        (lambda: kernel_rank(reservoir(0.9), STREAMS, rtol=0.0), "rtol must be greater than 0"),
        (lambda: similar_streams(STREAMS, same_steps=61), "same_steps must be"),
        (
            lambda: kernel_rank(ReservoirMap(1e200 * np.eye(2), np.ones((2, 1)), function=lambda z: z), STREAMS),
            "ran away",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
