import pickle

import numpy as np
import pytest
from reservoirpy.nodes import Ridge
from sklearn.linear_model import LogisticRegression

from lightning_neuro.reservoir.sorn import SORN
from lightning_neuro.reservoir.sorn_dynamics import Wiring, sorn_step
from lightning_neuro.reservoir.tasks import counting_task

LETTERS = counting_task(1500, 4, seed=0).inputs


def slow_sorn(node, inputs, rate=1e-3, target=0.1):
    """STDP, thresholds and normalisation, written out densely from the spec of the 2009 network."""
    w, threshold = node.W.toarray(), node.threshold.copy()
    existing = w > 0
    x, y = np.zeros(node.units), np.zeros(node.inhibitory_units)
    for u in inputs:
        wiring = Wiring(w, node.from_inhibitory, node.to_inhibitory, threshold, node.inhibitory_threshold)
        _, after, y = sorn_step(wiring, x, y, node.Win @ u)
        threshold = threshold + rate * (after - target)
        w = np.where(existing, w + rate * (np.outer(after, x) - np.outer(x, after)), 0)
        w = np.clip(w, 0, 1)
        w = w / w.sum(axis=1, keepdims=True)
        x = after
    return w, threshold


def test_adapting_is_what_the_equations_say():
    node = SORN(40, pool_size=4, seed=0)
    node.initialize(LETTERS)
    w, threshold = slow_sorn(node, LETTERS[:400])
    node.adapt(LETTERS[:400], every=150)
    np.testing.assert_allclose(node.W.toarray(), w, atol=1e-12)
    np.testing.assert_allclose(node.threshold, threshold, atol=1e-12)


def test_rows_sum_to_1_weights_keep_in_bounds_and_the_pattern_does_not_grow():
    node = SORN(60, pool_size=5, learning_rate=0.01, seed=1)
    node.initialize(LETTERS)
    pattern = node.W.toarray() > 0
    node.adapt(LETTERS)
    w = node.W.toarray()
    np.testing.assert_allclose(w.sum(axis=1), 1, atol=1e-12)
    assert w.min() >= 0
    assert w.max() <= 1
    assert not np.any((w > 0) & ~pattern)


def test_the_mean_rate_settles_at_the_target():
    node = SORN(100, seed=0, threshold_learning_rate=0.01)
    history = node.adapt(np.tile(LETTERS, (4, 1)))
    assert history["rate"][-1] == pytest.approx(0.1, abs=0.01)
    rates = SORN(100, seed=0, threshold_learning_rate=0.01, target_rate=np.linspace(0.05, 0.2, 100))
    found = rates.adapt(np.tile(LETTERS, (4, 1))).unit_mean[-1]
    np.testing.assert_allclose(found, np.linspace(0.05, 0.2, 100), atol=0.04)


def test_rates_of_zero_switch_rules_off():
    node = SORN(50, pool_size=5, learning_rate=0.0, threshold_learning_rate=0.0, seed=0)
    node.initialize(LETTERS)
    w, threshold = node.W.toarray(), node.threshold.copy()
    history = node.adapt(LETTERS)
    np.testing.assert_array_equal(node.W.toarray(), w)
    np.testing.assert_array_equal(node.threshold, threshold)
    assert history["weight_change"].tolist() == [0, 0]


def test_structural_plasticity_grows_synapses_and_keeps_the_rows():
    node = SORN(60, pool_size=5, connections=3, new_synapse_probability=0.2, seed=1)
    history = node.adapt(LETTERS, every=500)
    assert history["synapses"][-1] > history["synapses"][0] > 60
    np.testing.assert_allclose(node.W.sum(axis=1), 1, atol=1e-12)
    assert np.trace(node.W.toarray()) == 0


def test_inhibition_learns_when_asked_to():
    node = SORN(50, pool_size=5, inhibitory_learning_rate=1e-3, seed=0)
    node.initialize(LETTERS)
    start = node.from_inhibitory.copy()
    node.adapt(LETTERS)
    assert abs(node.from_inhibitory - start).max() > 0.01
    assert node.from_inhibitory.min() >= 0
    assert node.from_inhibitory.max() <= 1


def test_noise_differs_from_none_and_follows_the_seed():
    quiet, noisy, same = (SORN(50, pool_size=5, noise_std=std, seed=0) for std in (0.0, 0.2, 0.2))
    for node in (quiet, noisy, same):
        node.adapt(LETTERS[:300])
    np.testing.assert_array_equal(noisy.threshold, same.threshold)
    assert abs(noisy.threshold - quiet.threshold).max() > 0


def test_the_pseudo_state_is_what_the_network_alone_drives():
    state, pseudo = (SORN(50, pool_size=5, readout=kind, seed=0) for kind in ("state", "pseudo_state"))
    seen, alone = state.run(LETTERS[:200]), pseudo.run(LETTERS[:200])
    assert set(np.unique(alone)) == {0.0, 1.0}
    before = np.vstack([np.zeros(50), seen[:-1]])
    inhibited = np.vstack([np.zeros(10), (seen[:-1] @ state.to_inhibitory.T >= state.inhibitory_threshold)])
    margin = before @ state.W.T.toarray() - inhibited @ state.from_inhibitory.T - state.threshold
    np.testing.assert_array_equal(alone, margin >= 0)
    np.testing.assert_array_equal(seen, margin + LETTERS[:200] @ state.Win.T >= 0)


@pytest.mark.parametrize("readout", ["state", "pseudo_state"])
def test_it_fits_and_runs_in_a_model_and_running_changes_nothing(readout):
    series, targets = np.stack(np.split(LETTERS, 3)), np.stack(np.split(np.roll(LETTERS, -1, axis=0), 3))
    node = SORN(50, pool_size=5, seed=0, readout=readout, name=f"sorn-{readout}")
    node.adapt(series)
    w, threshold = node.W.toarray(), node.threshold.copy()
    model = node >> Ridge(ridge=1e-3)
    model.fit(series, targets, workers=2)
    assert model.run(list(series), workers=2)[0].shape == (500, 6)
    np.testing.assert_array_equal(node.W.toarray(), w)
    np.testing.assert_array_equal(node.threshold, threshold)
    twin = pickle.loads(pickle.dumps(node))
    for one in (node, twin):
        one.reset()
    whole = node.run(LETTERS[:50])
    np.testing.assert_array_equal(twin.run(LETTERS[:50]), whole)
    node.reset()
    np.testing.assert_array_equal([node.step(u) for u in LETTERS[:50]], whole)


def test_pools_for_another_number_of_units_are_refused():
    with pytest.raises(ValueError, match=r"SORN: Win must be \(50, K\), got shape \(40, 6\)"):
        SORN(50, Win=np.ones((40, 6)))


def test_input_weights_may_be_given():
    pools = np.eye(50)[:, :6]
    node = SORN(50, Win=pools, seed=0)
    node.adapt(LETTERS[:10])
    assert node.Win is pools
    drawn = SORN(50, pool_size=7, seed=0)
    drawn.run(LETTERS[:10])
    assert drawn.Win.sum(axis=0).tolist() == [7] * 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool_size": 201}, "pool_size must be at least 1 and at most 200, got 201"),
        ({"connections": 200}, "connections must be greater than 0 and at most 199"),
        ({"target_rate": [0.1, 1.0]}, r"target_rate must be greater than 0 and less than 1, got"),
        ({"learning_rate": -1e-3}, "learning_rate must be at least 0"),
        ({"new_synapse_probability": 2.0}, "new_synapse_probability must be at least 0 and at most 1"),
        ({"readout": "spikes"}, "readout must be one of 'state', 'pseudo_state', got 'spikes'"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SORN(**arguments)


def test_gaps_and_other_widths_are_refused():
    node = SORN(50, seed=0)
    with pytest.raises(ValueError, match=r"SORN\.adapt: inputs must be finite, got nan in column 0"):
        node.adapt(np.array([[np.nan]]))
    node.adapt(LETTERS[:20])
    with pytest.raises(ValueError, match="already been set to 6"):
        node.adapt(LETTERS[:20, :5])


def last_letters(node, repeats, seed):
    train, test = (counting_task(5000, repeats, seed=seed + shift) for shift in (1, 2))
    node.reset()
    readout = LogisticRegression(max_iter=3000).fit(node.run(train.inputs), train.targets)
    node.reset()
    right = readout.predict(node.run(test.inputs)) == test.targets
    return right[test.is_last].mean()


@pytest.mark.slow
def test_a_net_that_organised_itself_counts_to_eight_and_the_same_net_without_stdp_does_not():
    task = counting_task(20_000, 8, seed=3)
    scores = {}
    for rate in (1e-3, 0.0):
        node = SORN(learning_rate=rate, seed=3)
        history = node.adapt(task.inputs)
        assert history["rate"][-1] == pytest.approx(0.1, abs=0.01)
        scores[rate] = last_letters(node, 8, seed=3)
    assert scores[1e-3] > 0.9
    assert scores[0.0] < 0.5


def perturbation_growth(node, inputs):
    """How many units differ on average one step after one was flipped."""
    rng, growth = np.random.default_rng(0), []
    wiring = Wiring(node.W, node.from_inhibitory, node.to_inhibitory, node.threshold, node.inhibitory_threshold)
    x, y = np.zeros(node.units), np.zeros(node.inhibitory_units)
    for place, u in enumerate(inputs):
        if place >= 200:
            flipped, unit = x.copy(), rng.integers(node.units)
            flipped[unit] = 1 - flipped[unit]
            _, one, _ = sorn_step(wiring, x, y, node.Win @ u)
            _, other, _ = sorn_step(wiring, flipped, y, node.Win @ u)
            growth.append(abs(one - other).sum())
        _, x, y = sorn_step(wiring, x, y, node.Win @ u)
    return np.mean(growth)


@pytest.mark.slow
def test_perturbations_grow_less_after_self_organisation():
    """The direction that Eser, Zheng and Triesch 2014 report in their abstract."""
    task = counting_task(20_000, 8, seed=3)
    organised, thresholds_alone = (SORN(learning_rate=rate, seed=3) for rate in (1e-3, 0.0))
    for node in (organised, thresholds_alone):
        node.adapt(task.inputs)
    assert perturbation_growth(organised, task.inputs[:3000]) < perturbation_growth(
        thresholds_alone, task.inputs[:3000]
    )
