import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reservoirpy.nodes import Reservoir

from lightning_neuro.reservoir.initializers import permutation_matrix
from lightning_neuro.reservoir.measures.fisher import fisher_memory


def unit(size, seed=0):
    v = np.random.default_rng(seed).standard_normal(size)
    return v / np.linalg.norm(v)


def orthogonal(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


@pytest.mark.parametrize("size", [10, 50])
def test_gold_every_normal_matrix_has_one_over_the_noise(size):
    found = fisher_memory(0.9 * orthogonal(size), unit(size))
    assert float(found) == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_allclose(found.curve[:3], [0.19, 0.1539, 0.124659], atol=1e-9)
    assert float(fisher_memory(0.9 * orthogonal(size), unit(size), noise=0.25)) == pytest.approx(4.0, abs=1e-8)


def test_gold_permutations_have_one():
    weights = permutation_matrix(20, 20, sr=0.95, seed=0)
    assert float(fisher_memory(weights, unit(20))) == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize(
    ("alpha", "size", "total"), [(1, 10, 2.928968), (1, 50, 4.499205), (2, 10, 5.802859), (4, 10, 7.815823)]
)
def test_gold_delay_lines(alpha, size, total):
    line = fisher_memory(np.sqrt(alpha) * np.eye(size, k=-1), np.eye(size)[0])
    assert float(line) == pytest.approx(total, abs=1e-6)
    if alpha > 1:
        k = np.arange(size)
        np.testing.assert_allclose(line.curve[:size], alpha**k * (alpha - 1) / (alpha ** (k + 1) - 1), atol=1e-9)


@given(seed=st.integers(0, 500), size=st.integers(2, 8))
def test_it_is_the_sum_of_a_loop_and_bounded(seed, size):
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((size, size))
    weights *= 0.8 / np.abs(np.linalg.eigvals(weights)).max()
    mixed = rng.standard_normal((size, size))
    noise = mixed @ mixed.T + np.eye(size)
    covariance, power = np.zeros((size, size)), np.eye(size)
    for _ in range(400):
        covariance += power @ noise @ power.T
        power = weights @ power
    v, found = unit(size, seed), fisher_memory(weights, unit(size, seed), noise=noise, max_delay=5)
    inverse = np.linalg.inv(covariance)
    for delay in range(6):
        signal = np.linalg.matrix_power(weights, delay) @ v
        assert found.curve[delay] == pytest.approx(signal @ inverse @ signal, rel=1e-6, abs=1e-9)
    plain = fisher_memory(weights, v)
    assert plain.curve.sum() <= float(plain) + 1e-9 <= size + 1e-6


def test_a_node_is_taken_as_linear_about_rest_with_its_leak():
    node = Reservoir(12, lr=0.4, sr=0.8, seed=0)
    node.run(np.zeros((1, 1)))
    weights = 0.6 * np.eye(12) + 0.4 * node.W.toarray()
    found = fisher_memory(node)
    assert found.params["linearised"]
    assert float(found) == pytest.approx(float(fisher_memory(weights, 0.4 * node.Win.toarray()[:, 0])), rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fisher_memory(np.eye(3), np.ones(3)), "spectral radius of W must be below 1, got 1"),
        (lambda: fisher_memory(np.ones((2, 3)), np.ones(2)), r"W must be square, got shape \(2, 3\)"),
        (lambda: fisher_memory(0.5 * np.eye(3), np.ones(2)), "win must have 3 entries"),
        (lambda: fisher_memory(0.5 * np.eye(3), np.ones(3), noise=0.0), "noise must be greater than 0"),
        (lambda: fisher_memory(0.5 * np.eye(3), np.ones(3), noise=np.zeros((3, 3))), "positive definite"),
        (lambda: fisher_memory(0.5 * np.eye(3), np.ones(3), max_delay=-1), "max_delay must be at least 0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
