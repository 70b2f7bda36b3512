import json

import numpy as np
import pytest

from lightning_neuro.reservoir.node import SelfOrganizingReservoir
from lightning_neuro.reservoir.rules import BCM, AntiOja, Gaussian, Homeostasis, IntrinsicPlasticity, Normalize, Oja

RNG = np.random.default_rng(0)
RAGGED = [RNG.uniform(-1, 1, (length, 2)) for length in (31, 40, 23)]


def dense(matrix):
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def slow_adaptation(node, series, *, rate_ip, std, rate_oja, washout, external):
    """Intrinsic plasticity, Oja and L2 rows, written out unit by unit from the formulas."""
    weights, w_in = dense(node.W), dense(node.Win)
    existing = weights != 0
    gain, shift = np.ones(node.units), np.zeros(node.units)
    states = [np.zeros(node.units) for _ in series]
    nets = [np.zeros(node.units) for _ in series]
    for t in range(max(map(len, series))):
        running = [b for b in range(len(series)) if t < len(series[b])]
        befores, afters, arguments, outputs = [], [], [], []
        for b in running:
            befores.append(states[b])
            arriving = weights @ states[b] + w_in @ series[b][t] + node.bias
            nets[b] = (1 - node.lr) * nets[b] + node.lr * arriving if external else arriving
            fired = np.tanh(gain * nets[b] + shift)
            states[b] = fired if external else (1 - node.lr) * states[b] + node.lr * fired
            afters.append(states[b])
            arguments.append(nets[b])
            outputs.append(fired)
        if t < washout:
            continue
        by_shift = [-y * (2 * std**2 + 1 - y**2) / std**2 for y in outputs]
        by_gain = [1 / gain + d * r for d, r in zip(by_shift, arguments, strict=True)]
        gain = gain + rate_ip * np.mean(by_gain, axis=0)
        shift = shift + rate_ip * np.mean(by_shift, axis=0)
        moves = [np.outer(y, x) - (y**2)[:, None] * weights for y, x in zip(afters, befores, strict=True)]
        weights = weights + rate_oja * existing * np.mean(moves, axis=0)
        sizes = np.linalg.norm(weights, axis=1, keepdims=True)
        weights = np.divide(weights, sizes, out=weights.copy(), where=sizes > 0)
    return weights, gain, shift


@pytest.mark.parametrize("equation", ["internal", "external"])
@pytest.mark.parametrize("connectivity", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("series", [RAGGED, RAGGED[:1]], ids=["ragged", "one"])
def test_adapting_is_what_the_formulas_say(equation, connectivity, series):
    rules = [IntrinsicPlasticity(Gaussian(0.0, 0.4), learning_rate=0.01), Oja(0.02), Normalize("l2")]
    node = SelfOrganizingReservoir(
        25, rules, equation=equation, lr=0.6, sr=0.9, bias=0.1, rc_connectivity=connectivity, seed=1
    )
    node.initialize(series[0])
    expected = slow_adaptation(
        node, series, rate_ip=0.01, std=0.4, rate_oja=0.02, washout=5, external=equation == "external"
    )
    node.adapt(series, washout=5)
    for found, wanted in zip((dense(node.W), node.a, node.b), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_equal_series_adapt_as_one_does():
    one, four = (SelfOrganizingReservoir(20, [IntrinsicPlasticity(), Oja()], seed=1) for _ in range(2))
    one.adapt(RAGGED[0])
    four.adapt([RAGGED[0]] * 4)
    np.testing.assert_allclose(four.W.toarray(), one.W.toarray(), atol=1e-12)
    np.testing.assert_allclose(four.a, one.a, atol=1e-12)


def test_the_order_of_rules_is_the_order_of_the_list():
    first, last = (SelfOrganizingReservoir(20, rules, seed=1) for rules in ([Normalize(), Oja()], [Oja(), Normalize()]))
    for node in (first, last):
        node.adapt(RAGGED)
    sizes = [np.linalg.norm(node.W.toarray(), axis=1) for node in (first, last)]
    np.testing.assert_allclose(sizes[1][sizes[1] > 0], 1, atol=1e-12)
    assert abs(sizes[0][sizes[0] > 0] - 1).max() > 1e-6


def test_epochs_are_calls_one_after_the_other_and_memories_go_on():
    rules = [IntrinsicPlasticity(), BCM(window=30.0), Homeostasis("variance", 0.1)]
    together, apart = (SelfOrganizingReservoir(20, rules, seed=1) for _ in range(2))
    together.adapt(RAGGED, epochs=3)
    for _ in range(3):
        apart.adapt(RAGGED)
    np.testing.assert_allclose(together.W.toarray(), apart.W.toarray(), atol=1e-13)
    np.testing.assert_array_equal(together.memories[1]["threshold"], apart.memories[1]["threshold"])
    assert len(together.history) == len(apart.history) == 3
    for name, values in together.history.values.items():
        np.testing.assert_allclose(apart.history[name], values, atol=1e-12)


def test_history_tells_what_the_states_do():
    node = SelfOrganizingReservoir(20, seed=1, lr=0.5, sr=0.9)
    history = node.adapt(RAGGED, washout=10)
    states = np.concatenate([states[10:] for states in node.run(RAGGED)])
    np.testing.assert_allclose(history.unit_mean[0], states.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(history.unit_std[0], states.std(axis=0), atol=1e-12)
    assert history["mean"][0] == pytest.approx(states.mean(), abs=1e-12)
    assert history["std"][0] == pytest.approx(states.std(), abs=1e-12)
    assert history["weight_change"][0] == 0
    assert history["spectral_radius"][0] == pytest.approx(0.9, abs=1e-9)
    weights, w_in = node.W.toarray(), node.Win.toarray()
    runs = node.run(RAGGED)
    nets = [np.vstack([np.zeros(20), run[:-1]]) @ weights.T + u @ w_in.T for run, u in zip(runs, RAGGED, strict=True)]
    slope = np.concatenate([1 - np.tanh(net[10:]) ** 2 for net in nets]).mean(axis=0)
    transition = 0.5 * np.eye(20) + 0.5 * slope[:, None] * weights
    assert history["effective_spectral_radius"][0] == pytest.approx(abs(np.linalg.eigvals(transition)).max(), rel=0.02)


def test_history_is_ready_for_json_and_for_a_picture():
    node = SelfOrganizingReservoir(20, [IntrinsicPlasticity()], seed=1)
    history = node.adapt(RAGGED, epochs=2)
    assert json.loads(json.dumps(history.to_dict()))["std"] == history["std"].tolist()
    axes = history.plot()
    assert [line.get_label() for line in axes.lines] == ["std", "effective spectral radius"]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), history["std"])
    assert history.plot(axes) is axes


def test_without_known_slopes_the_effective_radius_is_left_out():
    node = SelfOrganizingReservoir(20, [Oja()], activation=np.sin, seed=1)
    history = node.adapt(RAGGED)
    assert "spectral_radius" in history.values
    assert "effective_spectral_radius" not in history.values


def test_what_runs_away_is_named_and_leaves_the_node_as_it_was():
    node = SelfOrganizingReservoir(20, [IntrinsicPlasticity(), AntiOja(5.0)], seed=1)
    node.initialize(RAGGED[0])
    weights, memories = node.W.toarray(), node.memories
    with pytest.raises(ValueError, match=r"ran away under \[IntrinsicPlasticity, AntiOja\]\. Give a smaller"):
        node.adapt([np.tile(series, (20, 1)) for series in RAGGED])
    np.testing.assert_array_equal(node.W.toarray(), weights)
    np.testing.assert_array_equal(node.a, np.ones(20))
    assert node.history is None
    assert node.memories is memories
