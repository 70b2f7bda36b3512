import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reservoirpy.nodes import Ridge

from lightning_neuro.reservoir.streaming_ridge import add_rows, no_rows, solved


def rows(seed=0, number=200, features=7, outputs=3, shift=2.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(number, features)) + shift
    return x, x[:, :outputs] ** 2 + rng.normal(size=(number, outputs))


def summed(x, y, cuts=()):
    sums = no_rows(x.shape[1], y.shape[1])
    for part, other in zip(np.split(x, cuts), np.split(y, cuts), strict=True):
        sums = add_rows(sums, torch.tensor(part), torch.tensor(other))
    return sums


@pytest.mark.parametrize("ridge", [0.0, 1e-6, 1.0, 1e3])
def test_weights_are_those_of_reservoirpy(ridge):
    x, y = rows()
    node = Ridge(ridge=ridge).fit(x, y)
    found = solved(summed(x, y), [7.0, ridge])
    np.testing.assert_allclose(found.weights[1], node.Wout, atol=1e-10)
    np.testing.assert_allclose(found.intercepts[1], np.ravel(node.bias), atol=1e-9)


@given(st.lists(st.integers(0, 60), max_size=6).map(sorted), st.integers(0, 5))
def test_any_cuts_give_the_same_weights(cuts, seed):
    x, y = rows(seed, number=60)
    whole, parts = solved(summed(x, y), [1e-3]), solved(summed(x, y, cuts), [1e-3])
    torch.testing.assert_close(parts.weights, whole.weights, atol=1e-9, rtol=0)
    torch.testing.assert_close(parts.errors, whole.errors, atol=1e-9, rtol=0)


@given(st.floats(0, 1e4), st.integers(0, 20))
def test_errors_are_those_of_the_predictions_and_no_other_weights_are_better(ridge, seed):
    x, y = rows(seed)
    weights, intercepts, errors = (part[0].numpy() for part in solved(summed(x, y), [ridge]))

    def loss(shift):
        return ((y - x @ (weights + shift) - intercepts) ** 2).sum() + ridge * ((weights + shift) ** 2).sum()

    np.testing.assert_allclose(errors, ((y - x @ weights - intercepts) ** 2).mean(), rtol=1e-8)
    for shift in np.random.default_rng(seed).normal(0, 1e-2, (5, *weights.shape)):
        assert loss(shift) > loss(0)


def test_columns_that_say_the_same_share_the_weight_without_penalty():
    x, y = rows(features=3)
    both, alone = solved(summed(np.hstack([x, x]), y), [0.0]), solved(summed(x, y), [0.0])
    torch.testing.assert_close(both.weights[0, :3], alone.weights[0] / 2, atol=1e-9, rtol=0)
    torch.testing.assert_close(both.weights[0, 3:], alone.weights[0] / 2, atol=1e-9, rtol=0)


def test_constant_columns_get_no_weight():
    x, y = rows(features=3)
    x[:, 1] = 1e3
    found = solved(summed(x, y), [0.0, 1e-9])
    assert found.weights.isfinite().all()
    assert found.weights[0, 1].abs().max() < 1e-10
    np.testing.assert_allclose(found.weights[0][[0, 2]], solved(summed(x[:, [0, 2]], y), [0.0]).weights[0], atol=1e-6)


def test_single_precision_rows_are_summed_in_double():
    x, y = rows(number=1000)
    single = add_rows(no_rows(7, 3), torch.tensor(x).float(), torch.tensor(y).float())
    assert all(part.dtype == torch.float64 for part in single)
    exact = summed(x.astype(np.float32).astype(float), y.astype(np.float32).astype(float))
    torch.testing.assert_close(single.gram, exact.gram, atol=1e-9, rtol=1e-14)
