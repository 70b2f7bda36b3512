"""Tensors and streams that cannot be right are refused by name, and leave nothing half-done."""

import numpy as np
import pytest
from support.polynomial_nets import answers, random_net, random_series

from lightning_neuro import SpectralRNN
from lightning_neuro.spectral_rnn import ho_kalman, partially_symmetric_cp, robust_tensor_power, whiten_moment
from lightning_neuro.spectral_rnn.alarms import DroppedSequencesWarning

PAIR = np.stack([np.eye(2), np.diag([1.0, 2.0])])


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda: whiten_moment(np.eye(2), 5),
            r"whiten_moment: expected \(d, d\) with d at least rank = 5",
        ),
        (lambda: whiten_moment(np.full((2, 2), np.nan), 1), "whiten_moment: the tensor must hold finite numbers"),
        (lambda: ho_kalman(np.eye(2), 1), r"ho_kalman: expected Markov parameters \(K, d_y, d_x\), got shape \(2, 2\)"),
        (lambda: ho_kalman(np.full((4, 1, 1), np.inf), 1), "ho_kalman: the tensor must hold finite numbers"),
        (lambda: partially_symmetric_cp(PAIR, 1, n_pencils=0, n_restarts=0), "expected a start"),
        (
            lambda: partially_symmetric_cp(PAIR * np.nan, 1),
            "partially_symmetric_cp: the tensor must hold",
        ),
        (
            lambda: robust_tensor_power(np.full((2, 2, 2), np.nan), 1),
            "robust_tensor_power: the tensor must hold",
        ),
    ],
)
def test_tensors_are_refused_by_name(call, told):
    with pytest.raises(ValueError, match=told):
        call()


def test_one_slice_needs_a_random_start_and_gets_one():
    found = partially_symmetric_cp(np.eye(2)[None], 1, n_restarts=0, random_state=0)
    assert np.isfinite(found.weights).all()


def test_a_refused_chunk_is_not_counted():
    x = random_series(60, 100)
    y = answers(random_net(0), x)
    whole, disturbed = (SpectralRNN(2, score="iid", seed=0) for _ in range(2))
    whole.accumulate(x, y)
    disturbed.accumulate(x, y)
    for wrong in ((x[..., :5], y), (x, y[..., :1])):
        with pytest.raises(ValueError, match="expected 6 inputs and 3 outputs as in the first chunk"):
            disturbed.accumulate(*wrong)
    with pytest.raises(ValueError, match="one series"):
        disturbed.accumulate(x, y, continues=True)
    first, second = whole.finalize(), disturbed.finalize()
    assert first.diagnostics_.n_steps == second.diagnostics_.n_steps
    np.testing.assert_array_equal(first.A1_, second.A1_)


def test_a_stream_tells_of_series_that_were_left_out():
    x = random_series(60, 100)
    y = answers(random_net(0), x)
    y[3, 50] = np.inf
    with pytest.warns(DroppedSequencesWarning, match="1 of 60 series"):
        SpectralRNN(2, score="iid", seed=0).accumulate(x, y).finalize()
