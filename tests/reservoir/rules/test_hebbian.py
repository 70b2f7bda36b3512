import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.reservoir.node import SelfOrganizingReservoir
from lightning_neuro.reservoir.rules import BCM, AntiHebb, AntiOja, Covariance, Hebb, Oja
from lightning_neuro.reservoir.rules.hebbian import bcm, covariance, hebb, oja, slide
from lightning_neuro.reservoir.rules.normalize import normalized
from lightning_neuro.reservoir.rules.synapses import Synapses

CLOUD = np.random.default_rng(1).multivariate_normal([0, 0], [[2.0, 0.9], [0.9, 1.0]], 20_000)
PRINCIPAL = np.linalg.eigh(CLOUD.T @ CLOUD)[1][:, -1]


def random_case(seed):
    rng = np.random.default_rng(seed)
    matrix = np.where(rng.random((5, 4)) < 0.6, rng.normal(size=(5, 4)), 0.0)
    return matrix, rng.normal(size=(3, 4)), rng.normal(size=(3, 5)), rng.normal(size=5), rng.normal(size=4)


@given(st.integers(0, 10_000))
def test_every_rule_equals_its_formula_synapse_by_synapse(seed):
    matrix, pre, post, unit, other = random_case(seed)
    synapses = Synapses(matrix)
    formulas = {
        "hebb": (hebb(synapses, pre, post), lambda y, x, w, i, j: y * x),
        "oja": (oja(synapses, pre, post), lambda y, x, w, i, j: y * (x - y * w)),
        "bcm": (bcm(synapses, pre, post, unit), lambda y, x, w, i, j: y * (y - unit[i]) * x),
        "covariance": (
            covariance(synapses, pre, post, other, unit),
            lambda y, x, w, i, j: (y - unit[i]) * (x - other[j]),
        ),
    }
    for found, formula in formulas.values():
        slow = [
            np.mean([formula(post[b, i], pre[b, j], matrix[i, j], i, j) for b in range(3)])
            for i in range(5)
            for j in range(4)
            if matrix[i, j] != 0
        ]
        np.testing.assert_allclose(found, slow, atol=1e-12)


def test_a_linear_unit_under_oja_finds_the_principal_eigenvector_of_unit_length():
    synapses = Synapses([[0.3, -0.2]])
    for rate in (0.01, 0.001):
        for x in CLOUD:
            pre = x[None]
            synapses.weights += rate * oja(synapses, pre, synapses.drive(pre))
    assert abs(synapses.weights @ PRINCIPAL) > 0.999
    assert np.linalg.norm(synapses.weights) == pytest.approx(1, abs=0.02)


def test_hebb_with_normalised_weights_finds_it_too():
    synapses = Synapses([[0.3, -0.2]])
    for x in CLOUD:
        pre = x[None]
        synapses.weights += 0.001 * hebb(synapses, pre, synapses.drive(pre))
        synapses.weights[:] = normalized(synapses, "l2")
    assert abs(synapses.weights @ PRINCIPAL) > 0.999


def test_anti_hebb_between_units_decorrelates_them():
    """Settled lateral inhibition `y = x + W y` under `-y_i y_j`."""
    lateral = Synapses([[0.0, -1e-12], [-1e-12, 0.0]])
    for x in CLOUD[:10_000]:
        y = np.linalg.solve(np.eye(2) - lateral.dense(), x)[None]
        lateral.weights -= 0.001 * hebb(lateral, y, y)
    settled = CLOUD @ np.linalg.inv(np.eye(2) - lateral.dense()).T
    before, after = np.corrcoef(CLOUD.T)[0, 1], np.corrcoef(settled.T)[0, 1]
    assert before > 0.6
    assert abs(after) < 0.1


@pytest.mark.parametrize("seed", range(4))
def test_a_unit_under_bcm_answers_one_of_two_patterns_only(seed):
    rng = np.random.default_rng(seed)
    patterns = np.array([[1.0, 0.0], [0.0, 1.0]])
    synapses, threshold = Synapses(rng.uniform(0.4, 0.6, (1, 2))), np.zeros(1)
    for choice in rng.integers(2, size=20_000):
        pre = patterns[[choice]]
        post = synapses.drive(pre)
        synapses.weights += 0.005 * bcm(synapses, pre, post, threshold)
        threshold = slide(threshold, post * post, 20.0)
    answers = np.sort(synapses.drive(patterns)[:, 0])
    assert answers[0] == pytest.approx(0, abs=0.05)
    assert answers[1] == pytest.approx(2, abs=0.3)  # 1 / how often the pattern comes


SERIES = np.random.default_rng(2).uniform(-1, 1, (6, 400, 1))


def adapted(rule, **reservoir):
    options = {"sr": 0.8, "seed": 3, "Win": np.random.default_rng(4).uniform(-1, 1, (30, 1)), **reservoir}
    node = SelfOrganizingReservoir(30, [rule], **options)
    node.adapt(SERIES)
    return node


def test_in_a_reservoir_slow_hebb_adds_the_lagged_products_of_its_states():
    plain = SelfOrganizingReservoir(30, sr=0.8, seed=3, Win=np.random.default_rng(4).uniform(-1, 1, (30, 1)))
    states = plain.run(SERIES)
    products = sum(late.T @ early for late, early in zip(states[:, 1:], states[:, :-1], strict=True)) / len(SERIES)
    moved = adapted(Hebb(1e-6)).W - plain.W
    np.testing.assert_allclose(moved.toarray(), 1e-6 * products * (plain.W != 0).toarray(), rtol=1e-3, atol=1e-8)


def test_presynaptic_activity_is_the_state_before_and_postsynaptic_the_state_after():
    node = SelfOrganizingReservoir(W=np.array([[0.0, 1.0], [1.0, 0.0]]), Win=np.eye(2), rules=[Hebb(1.0)])
    node.adapt(np.array([[0.5, 0.0], [0.0, 0.0]]))
    first = np.tanh([0.5, 0.0])
    second = np.tanh(np.array([[0.0, 1.0], [1.0, 0.0]]) @ first)  # the first step finds x(t) = 0 and changes nothing
    np.testing.assert_allclose(node.W, np.array([[0, 1 + second[0] * first[1]], [1 + second[1] * first[0], 0]]))


def test_the_anti_rules_are_the_rules_with_the_sign_turned():
    start = SelfOrganizingReservoir(30, sr=0.8, seed=3, Win=np.ones((30, 1)))
    start.initialize(SERIES[0])
    for rule, anti in ((Hebb, AntiHebb), (Oja, AntiOja)):
        moved = [adapted(one(1e-7), Win=np.ones((30, 1))).W - start.W for one in (rule, anti)]
        np.testing.assert_allclose(moved[0].data, -moved[1].data, atol=1e-9)
        assert abs(moved[0].data).max() > 1e-7


@pytest.mark.parametrize("rule", [Hebb(), AntiHebb(), Oja(), AntiOja(), BCM(), Covariance()], ids=repr)
def test_only_existing_synapses_change_and_they_do(rule):
    start = SelfOrganizingReservoir(30, sr=0.8, seed=3, Win=np.random.default_rng(4).uniform(-1, 1, (30, 1)))
    start.initialize(SERIES[0])
    node = adapted(rule)
    assert abs(node.W - start.W).max() > 1e-6
    np.testing.assert_array_equal(node.W.indices, start.W.indices)
    np.testing.assert_array_equal(node.W.indptr, start.W.indptr)


def test_thresholds_and_means_slide_after_the_activity():
    node = adapted(BCM(1e-6, window=400.0))
    np.testing.assert_allclose(node.memories[0]["threshold"], (node.run(SERIES) ** 2).mean(axis=(0, 1)), rtol=0.5)
    node = adapted(Covariance(1e-6, window=50.0), bias=0.5)
    np.testing.assert_allclose(node.memories[0]["mean"], node.run(SERIES).mean(axis=(0, 1)), atol=0.15)


@pytest.mark.parametrize("rule", [Hebb, AntiHebb, Oja, AntiOja, BCM, Covariance])
def test_a_learning_rate_must_be_above_0(rule):
    with pytest.raises(ValueError, match=f"{rule.__name__}: learning_rate must be greater than 0, got -1"):
        rule(-1.0)


@pytest.mark.parametrize("rule", [BCM, Covariance])
def test_a_window_holds_a_step_at_least(rule):
    with pytest.raises(ValueError, match="window must be at least 1"):
        rule(window=0.5)
