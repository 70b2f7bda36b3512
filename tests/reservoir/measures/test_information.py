"""Measures of information on series whose information is known."""

import numpy as np
import pytest

from lightning_neuro.reservoir.measures.budget import information_budget
from lightning_neuro.reservoir.measures.complexity import statistical_complexity
from lightning_neuro.reservoir.measures.entropy import entropy
from lightning_neuro.reservoir.measures.linear_gaussian import linear_gaussian_information
from lightning_neuro.reservoir.measures.mutual_information import input_information, mutual_information
from lightning_neuro.reservoir.measures.predictive import excess_entropy, predictive_information
from lightning_neuro.reservoir.measures.storage import active_information_storage
from lightning_neuro.reservoir.measures.task import task_profile
from lightning_neuro.reservoir.measures.transfer import transfer_entropy

AR = -np.log(1 - 0.64) / 2
BITS = np.random.default_rng(5).integers(0, 2, (20_000, 2))


def autoregressive(steps, decay, seed):
    noise = np.random.default_rng(seed).standard_normal(steps)
    x = np.zeros(steps)
    for t in range(1, steps):
        x[t] = decay * x[t - 1] + noise[t]
    return x[200:]


def driven(steps, coupling, seed):
    """x is white, y(t+1) = y(t)/2 + coupling x(t) + e."""
    x, noise = np.random.default_rng(seed).standard_normal((2, steps))
    y = np.zeros(steps)
    for t in range(1, steps):
        y[t] = 0.5 * y[t - 1] + coupling * x[t - 1] + noise[t]
    return x[200:], y[200:]


def golden_mean(steps, seed):
    """No two ones in a row."""
    row = [0]
    for draw in np.random.default_rng(seed).random(steps):
        row.append(0 if row[-1] else int(draw < 0.5))
    return row


def even_process(steps, seed):
    """Blocks of ones have even length."""
    row, owed = [], False
    for draw in np.random.default_rng(seed).random(steps):
        row.append(int(owed or draw < 0.5))
        owed = not owed and row[-1] == 1
    return row


# --- gold of continuous series


@pytest.mark.parametrize(
    ("estimator", "history", "tolerance"),
    [("gaussian", 1, 0.048), ("copula", 1, 0.048), ("ksg", 1, 0.052), ("ksg", 2, 0.056), ("kernel", 1, 0.06)],
)
def test_storage_of_an_autoregressive_series(estimator, history, tolerance):
    found = active_information_storage(autoregressive(10_200, 0.8, 0), history=history, estimator=estimator)
    assert float(found) == pytest.approx(AR, abs=tolerance)
    assert found.unit == "nats"


def test_the_box_kernel_is_biased_upwards_by_long_histories_and_small_radii():
    x = autoregressive(5_200, 0.8, 0)
    found = [float(active_information_storage(x, history=k, estimator="kernel", radius=0.2)) for k in (1, 3)]
    assert found[1] > found[0] + 0.1


@pytest.mark.parametrize(
    ("coupling", "estimator", "tolerance"),
    [
        (1.0, "gaussian", 0.032),
        (1.0, "ksg", 0.048),
        (2.0, "gaussian", 0.04),
        (2.0, "ksg", 0.06),
        (0.0, "gaussian", 0.005),
        (0.0, "ksg", 0.04),
    ],
)
def test_transfer_to_a_driven_series_and_none_back(coupling, estimator, tolerance):
    x, y = driven(5_200, coupling, 0)
    truth = np.log(1 + coupling**2) / 2
    assert float(transfer_entropy(x, y, estimator=estimator)) == pytest.approx(truth, abs=tolerance)
    assert abs(float(transfer_entropy(y, x, estimator=estimator))) < max(0.01, tolerance)


def test_storage_of_second_order_grows_until_the_order():
    noise = np.random.default_rng(0).standard_normal(20_000)
    x = np.zeros(20_000)
    for t in range(2, 20_000):
        x[t] = 0.5 * x[t - 1] + 0.3 * x[t - 2] + noise[t]
    found = [float(active_information_storage(x, history=k, estimator="gaussian")) for k in (1, 2, 4)]
    truth = np.log((1 - 0.3) / (1.3 * (0.7**2 - 0.25))) / 2  # var x / var e of AR(2)
    assert found[0] < found[1] - 0.02
    assert found[1] == pytest.approx(truth, abs=0.04)
    assert found[2] == pytest.approx(found[1], abs=0.002)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_linear_network_has_the_information_of_its_closed_form(steps):
    rng = np.random.default_rng(0)
    weights, drive = 0.35 * rng.standard_normal((5, 5)), rng.standard_normal((5, 1))
    weights *= 0.8 / abs(np.linalg.eigvals(weights)).max()
    x = np.zeros((40_000, 5))
    u, e = rng.standard_normal((40_000, 1)), rng.standard_normal((40_000, 5))
    for t in range(1, 40_000):
        x[t] = weights @ x[t - 1] + drive @ u[t] + e[t]
    truth = linear_gaussian_information(weights, drive, 1.0, history=steps, source_history=steps)
    storage = active_information_storage(x, history=steps, washout=100)
    transfer = transfer_entropy(x, source_history=steps, target_history=steps, washout=100)
    np.testing.assert_allclose(storage.value, truth.storage, atol=0.03)
    np.testing.assert_allclose(transfer.value, truth.transfer, atol=0.02)
    assert float(predictive_information(x, washout=100)) == pytest.approx(truth.predictive, abs=0.04)
    np.testing.assert_allclose(truth.covariance, np.cov(x[100:].T), rtol=0.1, atol=0.2)


def test_the_closed_form_refuses_what_is_not_stationary():
    with pytest.raises(ValueError, match=r"spectral radius below 1, got 1\.2"):
        linear_gaussian_information([[1.2]])
    with pytest.raises(ValueError, match="W must be square"):
        linear_gaussian_information([[1.0, 2.0]])


def test_excess_entropy_of_an_autoregressive_series_is_its_storage():
    found = excess_entropy(autoregressive(20_000, 0.8, 0), max_length=3, estimator="gaussian")
    np.testing.assert_allclose(found.curve, AR, atol=0.04)


# --- gold of symbols


def test_exclusive_or_within_a_step_needs_both_sources():
    a, b = BITS.T
    y = np.roll(a ^ b, 1)
    assert abs(float(transfer_entropy(a, y))) < 5e-4
    assert float(transfer_entropy(a, y, condition=b)) == pytest.approx(1, abs=1e-3)
    assert float(transfer_entropy(a, y, condition=b, bias_correction=True)) == pytest.approx(1, abs=2e-3)


def test_exclusive_or_with_the_own_past_is_transfer_alone():
    a = BITS[:, 0]
    y = np.concatenate([[0], np.bitwise_xor.accumulate(a)[:-1]])
    found = transfer_entropy(a, y)
    assert (float(found), found.unit) == (pytest.approx(1, abs=1e-3), "bits")
    assert float(mutual_information(a, y, delay=1)) == pytest.approx(0, abs=1e-3)
    assert float(active_information_storage(y)) == pytest.approx(0, abs=1e-3)


def test_a_copy_receives_a_period_stores():
    a = BITS[:, 0]
    assert float(transfer_entropy(a, np.roll(a, 1))) == pytest.approx(1, abs=1e-3)
    assert float(active_information_storage(np.roll(a, 1))) == pytest.approx(0, abs=1e-3)
    period = np.arange(20_000) % 2
    assert float(active_information_storage(period)) == pytest.approx(1, abs=1e-3)
    assert float(transfer_entropy(a, period)) == pytest.approx(0, abs=1e-3)


def test_a_noisy_channel_keeps_one_minus_the_entropy_of_its_noise():
    rng = np.random.default_rng(0)
    a = BITS[:, 0]
    assert float(mutual_information(a, a ^ (rng.random(20_000) < 0.11))) == pytest.approx(0.5001, abs=0.03)


@pytest.mark.parametrize(
    ("series", "excess", "rate", "complexity", "states"),
    [
        (BITS[:, 0], 0, 1, 0, 1),
        ([0, 1, 1] * 6000, np.log2(3), 0, np.log2(3), 3),
        (golden_mean(20_000, 0), 0.251629, 2 / 3, 0.918296, 2),
        (even_process(20_000, 0), None, 2 / 3, 0.918296, 2),
    ],
)
def test_processes_of_known_structure(series, excess, rate, complexity, states):
    found = statistical_complexity(series)
    assert (float(found), found.details["states"]) == (pytest.approx(complexity, abs=0.01), states)
    blocks = excess_entropy(series, max_length=6)
    if excess is None:  # blocks approach from below
        assert 0.4 < float(blocks) < 0.918296
    else:
        assert float(blocks) == pytest.approx(excess, abs=0.02)
    assert blocks.details["entropy_rate"] == pytest.approx(rate, abs=0.005 if excess is not None else 0.06)


# --- inputs, tasks, budgets


def test_input_information_is_the_share_of_the_best_readout():
    u = np.random.default_rng(0).standard_normal(4000)
    x = np.stack([u + 0.5 * np.roll(u, 1), np.roll(u, 3)], axis=1) + 0.3 * np.random.default_rng(1).standard_normal(
        (4000, 2)
    )
    found = input_information(u, x, max_delay=4, per_unit=True)
    kept = x[4:] - x[4:].mean(axis=0)
    for k in range(5):
        y = u[4 - k : 4000 - k] - u[4 - k : 4000 - k].mean()
        rest = y - kept @ np.linalg.lstsq(kept, y, rcond=None)[0]
        assert found.curve[k] == pytest.approx(-np.log((rest @ rest) / (y @ y)) / 2, abs=1e-3)
    assert found.details["per_unit"].shape == (2, 5)
    assert float(found) >= found.curve.max()


def test_task_profiles_of_delay_and_exclusive_or():
    u = BITS[:, 0]
    delay = task_profile(u, np.roll(u, 3), window=5)
    np.testing.assert_allclose(delay.curve, [0, 0, 0, 1, 0], atol=2e-3)
    assert delay.details["horizon"] == 4
    assert not delay.details["synergy"]
    parity = task_profile(u, u ^ np.roll(u, 1), window=2)
    np.testing.assert_allclose(parity.details["single"], 0, atol=1e-3)
    assert float(parity) == pytest.approx(1, abs=1e-3)
    assert parity.details["nonlinearity"] == pytest.approx(1, abs=1e-3)
    assert parity.details["synergy"]


@pytest.mark.parametrize("order", [2, 3])
def test_parity_needs_a_window_of_its_order(order):
    u = BITS[:, 0]
    target = np.bitwise_xor.reduce([np.roll(u, lag) for lag in range(order)])
    assert float(task_profile(u, target, window=order - 1)) == pytest.approx(0, abs=2e-3)
    assert float(task_profile(u, target, window=order)) == pytest.approx(1, abs=2e-3)


def test_a_budget_adds_up_and_knows_where_information_went():
    u = BITS[:, 0]
    v = u ^ np.roll(u, 1)
    both = np.stack([u, np.roll(u, 1)], axis=1)
    cases = {"captured": (both, v), "lost_by_readout": (both, 0 * v), "lost_by_reservoir": (u, 0 * v)}
    for where, (states, outputs) in cases.items():
        found = information_budget(u, v, states, outputs, window=2)
        parts = {name: found.details[name] for name in ("lost_by_readout", "lost_by_reservoir", "irreducible")}
        parts["captured"] = float(found)
        assert sum(parts.values()) == pytest.approx(found.details["entropy"], abs=1e-9)
        for name, part in parts.items():
            assert part == pytest.approx(1.0 if name == where else 0.0, abs=2e-3)
        assert found.details["efficiency"] == pytest.approx(1.0 if where == "captured" else 0.0, abs=2e-3)


def test_the_readout_of_a_gaussian_target_tells_what_its_error_says():
    rng = np.random.default_rng(0)
    u, noise = rng.standard_normal((2, 4000))
    v = u + np.roll(u, 1)
    states = np.stack([u, np.roll(u, 1)], axis=1)
    found = information_budget(u, v + noise, states, states.sum(axis=1), window=2, estimator="gaussian")
    error = 1 - np.corrcoef(v + noise, states.sum(axis=1))[0, 1] ** 2
    assert float(found) == pytest.approx(-np.log(error) / 2, abs=1e-3)
    assert "entropy" not in found.details


# --- forms, nulls, refusals


def test_a_matrix_of_units_gives_a_value_per_unit_and_per_pair():
    x = np.random.default_rng(0).standard_normal((500, 4))
    assert active_information_storage(x).value.shape == (4,)
    assert entropy(x).value.shape == (4,)
    assert mutual_information(x, x[:, :3]).value.shape == (4, 3)
    table = transfer_entropy(x)
    assert table.value.shape == table.p_value.shape == (4, 4)
    assert table.details["median"] == pytest.approx(np.median(table.value[~np.eye(4, dtype=bool)]))


@pytest.mark.parametrize("estimator", ["gaussian", "ksg", "discrete"])
def test_pairs_of_any_estimator_equal_single_pairs(estimator):
    x = np.random.default_rng(0).integers(0, 2, (300, 2)) + (0.0 if estimator == "discrete" else 1e-3)
    x = x if estimator == "discrete" else x + np.random.default_rng(1).standard_normal(x.shape)
    table = transfer_entropy(x, estimator=estimator).value
    single = float(transfer_entropy(x[:, 0], x[:, 1], estimator=estimator))
    assert table[0, 1] == pytest.approx(single, abs=1e-9)


def test_several_series_of_one_process_are_pooled_without_a_seam():
    a = BITS[:, 0].reshape(20, 1000, 1)
    y = np.roll(a, 1, axis=1)
    assert float(transfer_entropy(a, y)) == pytest.approx(1, abs=1e-3)


def test_surrogates_tell_transfer_from_none_and_effective_transfer_is_unbiased():
    x, y = driven(800, 1.0, 0)
    found = transfer_entropy(x, y, estimator="ksg", permutations=19)
    assert (found.p_value, found.null.shape) == (1 / 20, (19,))
    assert found.details["effective"] == pytest.approx(float(found) - found.null.mean())
    assert abs(found.null.mean()) < 4 * found.null.std() / np.sqrt(19)


@pytest.mark.parametrize("kind", ["shift", "permutation"])
def test_p_values_of_surrogates_are_uniform_where_there_is_no_transfer(kind):
    rng = np.random.default_rng(0)
    p = [
        transfer_entropy(
            *rng.standard_normal((2, 40)), estimator="gaussian", permutations=9, surrogate_kind=kind, seed=s
        )
        for s in range(200)
    ]
    share = np.mean([one.p_value <= 0.2 for one in p])
    assert share == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 200))


def test_local_values_average_to_the_value():
    a = BITS[:500, 0]
    found = transfer_entropy(a, np.roll(a, 1), local=True)
    assert found.details["local"].mean() == pytest.approx(float(found))
    assert active_information_storage(BITS[:500].astype(float) + 0.0, local=True).details["local"].shape == (499, 2)
    with pytest.raises(ValueError, match="local needs one source and one target"):
        transfer_entropy(BITS, local=True)


def test_almost_deterministic_targets_are_told():
    phase = np.arange(2000) * 0.1
    x = np.stack([np.sin(phase), np.cos(phase)], axis=1) + 1e-4 * np.random.default_rng(0).standard_normal((2000, 2))
    with pytest.warns(UserWarning, match="leaves less than 0.001 of the variance of 100 % of the targets"):
        transfer_entropy(x, target_history=2)


@pytest.mark.parametrize("estimator", ["gaussian", "ksg"])
def test_constant_and_duplicate_columns_give_finite_tables(estimator):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 3))
    x[:, 1], x[:, 2] = 0.1, x[:, 0]
    table = transfer_entropy(x, estimator=estimator).value
    np.testing.assert_allclose(table[1], 0, atol=1e-12)
    np.testing.assert_allclose(table[:, 1], 0, atol=1e-12)
    np.testing.assert_allclose(table[[0, 2], [2, 0]], 0, atol=1e-12)
    assert np.isfinite(mutual_information(x, estimator=estimator).value).all()


@pytest.mark.filterwarnings("error")
def test_the_entropy_of_a_constant_among_others_leaves_no_nan():
    rng = np.random.default_rng(0)
    found = entropy(np.column_stack([rng.standard_normal((200, 3)), np.ones(200)]))
    assert found.value[3] == found.details["quantiles"]["0.05"] == -np.inf
    assert found.details["quantiles"]["0.95"] == np.sort(found.value)[2]


def test_what_cannot_be_measured_is_refused():
    x = np.zeros((5, 1))
    with pytest.raises(ValueError, match="at least 11 steps, 3 of washout and 6 of histories, got 5"):
        active_information_storage(x, history=6, washout=3)
    with pytest.raises(ValueError, match="got nan in column 0 at step 1"):
        entropy([0.0, np.nan])
    with pytest.raises(ValueError, match="longer than the washout of 9 steps, got 5"):
        entropy(x, washout=9)
    with pytest.raises(ValueError, match="series must be of one length"):
        transfer_entropy(x, np.zeros(4))
    with pytest.raises(ValueError, match="condition must have 5 steps like the series, got 4"):
        transfer_entropy(x, condition=np.zeros(4))


def test_symbols_equal_pyinform():
    pyinform = pytest.importorskip("pyinform")
    a, y = BITS[:500, 0], np.roll(BITS[:500, 0] ^ BITS[:500, 1], 1)
    assert float(transfer_entropy(a, y)) == pytest.approx(pyinform.transfer_entropy(a, y, k=1), abs=1e-6)
    theirs = pyinform.active_info(y, k=2)
    assert float(active_information_storage(y, history=2)) == pytest.approx(theirs, abs=1e-6)
