"""Estimators against closed forms, slow second implementations and invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import psi

from lightning_neuro.reservoir.measures.information import counting, discrete, gaussian, gaussian_pairs, kernel
from lightning_neuro.reservoir.measures.information.choose import Estimator, chosen
from lightning_neuro.reservoir.measures.information.distances import neighbour_counts
from lightning_neuro.reservoir.measures.information.nearest_neighbour import (
    kozachenko_leonenko,
    ksg_information,
    neighbour_distance,
)
from lightning_neuro.reservoir.measures.information.samples import as_batch, lagged, standardized, surrogate

SEEDS = st.integers(0, 10_000)


def correlated(seed, samples=400, widths=(2, 1, 2)):
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((samples, sum(widths))) @ rng.standard_normal((sum(widths),) * 2)
    return np.split(mixed, np.cumsum(widths)[:-1], axis=1)


def by_determinants(x, y, z):
    def log_determinant(*blocks):
        columns = np.concatenate(blocks, axis=1)
        return np.linalg.slogdet(np.cov(columns.T).reshape(columns.shape[1], -1))[1] if columns.shape[1] else 0.0

    return (log_determinant(x, z) + log_determinant(y, z) - log_determinant(z) - log_determinant(x, y, z)) / 2


# --- Gaussian


@given(SEEDS)
def test_canonical_correlations_equal_the_determinants(seed):
    x, y, z = correlated(seed)
    found = gaussian.gaussian_information(x, y, z, bias_correction=False)
    assert found.value == pytest.approx(by_determinants(x, y, z), abs=1e-8)
    assert found.local.mean() == pytest.approx(found.value, abs=1e-8)


@given(SEEDS)
def test_the_chain_rule_and_symmetry_hold_exactly_for_gaussian_values(seed):
    x, y, z = correlated(seed)

    def value(*blocks):
        return gaussian.gaussian_information(*blocks, bias_correction=False).value

    assert value(np.concatenate([x, z], axis=1), y) == pytest.approx(value(z, y) + value(x, y, z), abs=1e-8)
    assert value(x, y, z) == pytest.approx(value(y, x, z), abs=1e-9)


def test_the_bias_that_is_removed_is_the_bias_of_independent_vectors():
    rng = np.random.default_rng(0)
    raw, left = [], []
    for _ in range(400):
        x, y, z = np.split(rng.standard_normal((60, 6)), [2, 4], axis=1)
        raw.append(gaussian.gaussian_information(x, y, z, bias_correction=False).value)
        left.append(gaussian.gaussian_information(x, y, z).value)
    error = np.std(raw) / 20
    assert np.mean(raw) > 10 * error
    assert abs(np.mean(left)) < 4 * error


def test_p_values_of_independent_vectors_are_uniform():
    rng = np.random.default_rng(1)
    p = [gaussian.gaussian_information(*rng.standard_normal((2, 300, 2))).p_value for _ in range(500)]
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 500))


def test_all_pairs_equal_single_pairs():
    x = np.random.default_rng(0).standard_normal((1, 300, 4)).cumsum(axis=1)
    shared = np.random.default_rng(1).standard_normal((297, 2))
    source, past, target = lagged(x, [1, 2], 3), lagged(x, [1, 2, 3], 3), lagged(x, [0], 3)
    table = gaussian_pairs.all_pairs(source, past, target[..., 0], shared)
    for i in range(4):
        for j in range(4):
            if i == j:
                assert table.value[i, j] == 0
                continue
            z = np.concatenate([past[0, :, j], shared], axis=1)
            single = gaussian.gaussian_information(source[0, :, i], target[0, :, j], z)
            assert table.value[i, j] == pytest.approx(single.value, abs=1e-9)
            assert table.p_value[i, j] == pytest.approx(single.p_value, abs=1e-7)


def test_pairs_in_chunks_equal_pairs_at_once(monkeypatch):
    x = np.random.default_rng(0).standard_normal((1, 200, 7))
    parts = (x[:, :-1, :, None], x[:, :-1, :, None], x[:, 1:])
    whole = gaussian_pairs.all_pairs(*parts).value
    monkeypatch.setattr(gaussian_pairs, "_CHUNK", 9 * 7 * 2)
    np.testing.assert_allclose(gaussian_pairs.all_pairs(*parts).value, whole, atol=1e-12)


# --- neighbours


@given(SEEDS, st.integers(1, 3), st.booleans())
@settings(deadline=None)
def test_counts_within_boxes_equal_a_loop(seed, dimensions, coarse):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((60, dimensions))
    points = points.round(1) + 1e-6 * rng.standard_normal(points.shape) if coarse else points
    radius = rng.uniform(0.05, 2, 60)
    apart = abs(points[:, None] - points).max(axis=2)
    expected = (apart < radius[:, None]).sum(axis=1) - 1
    np.testing.assert_array_equal(counting.neighbours_within(points, radius), expected)


@given(SEEDS)
def test_the_wavelet_matrix_counts_as_a_loop_does(seed):
    rng = np.random.default_rng(seed)
    samples = int(rng.integers(1, 70))
    ranks = rng.permutation(samples)
    first, last = np.sort(rng.integers(0, samples + 1, (2, 30)), axis=0)
    limits = rng.integers(0, samples + 1, 30)
    expected = [(ranks[a:b] < limit).sum() for a, b, limit in zip(first, last, limits, strict=True)]
    np.testing.assert_array_equal(counting.ranks_below(ranks, first, last, limits), expected)


@pytest.mark.parametrize("theiler", [0, 3])
@pytest.mark.parametrize("width", [0, 1, 2])
def test_ksg_equals_its_formula_by_all_distances(theiler, width):
    x, y, z = correlated(0, samples=150, widths=(1, 1, width))
    k = 4
    blocks = [standardized(block) for block in (x, y, z)]
    joint = np.concatenate(blocks, axis=1) + 1e-8 * np.random.default_rng(0).standard_normal((150, 2 + width))
    lag = abs(np.arange(150)[:, None] - np.arange(150))
    apart = np.where((lag <= theiler)[..., None], np.inf, abs(joint[:, None] - joint))
    radius = np.sort(apart.max(axis=2), axis=1)[:, k - 1]

    def count(columns):
        near = apart[..., columns].max(axis=2, initial=0) < radius[:, None]
        return (near & (lag > theiler)).sum(axis=1)

    rest = list(range(2, 2 + width))
    expected = psi(k) - psi(count([0, *rest]) + 1) - psi(count([1, *rest]) + 1) + psi(count(rest) + 1)
    np.testing.assert_allclose(ksg_information(x, y, z, theiler=theiler), expected, atol=1e-12)
    on_device = ksg_information(x, y, z, theiler=theiler, device="cpu")
    np.testing.assert_allclose(on_device, expected, atol=1e-12)


def test_chunks_of_distances_do_not_change_counts(monkeypatch):
    points = np.random.default_rng(0).standard_normal((50, 2))
    radius, (count,) = neighbour_counts(points, [points[:, :1]], 3)
    monkeypatch.setattr("lightning_neuro.reservoir.measures.information.distances._CHUNK", 50 * 7)
    again, (recount,) = neighbour_counts(points, [points[:, :1]], 3)
    np.testing.assert_array_equal(radius, again)
    np.testing.assert_array_equal(count, recount)
    np.testing.assert_allclose(radius, neighbour_distance(points, 3))


@given(SEEDS)
@settings(max_examples=15, deadline=None)
def test_ksg_is_symmetric_and_bears_a_change_of_sign_and_scale(seed):
    x, y, z = correlated(seed, samples=200, widths=(1, 1, 1))
    value = ksg_information(x, y, z).mean()
    # Noise of 1e-8 breaks ties by column, so that exchange of columns may exchange a neighbour.
    assert ksg_information(y, x, z).mean() == pytest.approx(value, abs=1e-3)
    assert ksg_information(-3 * x, 7 * y + 2, z).mean() == pytest.approx(value, abs=1e-3)


def test_values_of_ksg_on_a_bivariate_gaussian():
    rng = np.random.default_rng(0)
    x, e = rng.standard_normal((2, 5000, 1))
    found = ksg_information(x, 0.6 * x + 0.8 * e).mean()
    assert found == pytest.approx(-np.log(1 - 0.36) / 2, abs=4 * 0.013)


def test_ksg_and_copula_bear_monotone_changes_that_gaussian_does_not():
    rng = np.random.default_rng(0)
    x, e = rng.standard_normal((2, 4000, 1))
    bent = np.exp(0.8 * x + 0.6 * e)
    truth = -np.log(1 - 0.64) / 2
    assert ksg_information(x, bent).mean() == pytest.approx(truth, abs=0.06)
    assert Estimator("copula").information(x, bent).value == pytest.approx(truth, abs=0.06)
    assert Estimator("gaussian").information(x, bent).value < truth - 0.08


@pytest.mark.parametrize(("std", "dimensions"), [(1.0, 1), (3.0, 2)])
def test_entropy_of_gaussians(std, dimensions):
    x = std * np.random.default_rng(0).standard_normal((5000, dimensions))
    truth = dimensions * np.log(2 * np.pi * np.e * std**2) / 2
    assert kozachenko_leonenko(x).mean() == pytest.approx(truth, abs=0.06)
    assert gaussian.gaussian_entropy(x) == pytest.approx(truth, abs=0.06)
    h = (4 / ((dimensions + 2) * 5000)) ** (1 / (dimensions + 4))
    smoothed = dimensions * np.log(4 * np.pi * std**2 * (1 + h**2)) / 2
    assert kernel.quadratic_entropy(x) == pytest.approx(smoothed, abs=0.06)


def test_entropy_of_a_uniform_width():
    x = np.random.default_rng(0).uniform(2, 5, (5000, 1))
    assert kozachenko_leonenko(x).mean() == pytest.approx(np.log(3), abs=0.05)


def test_the_box_kernel_counts_as_a_loop_does():
    x, y, z = (standardized(block) for block in correlated(0, samples=80, widths=(1, 1, 1)))

    def count(*blocks):
        columns = np.concatenate(blocks, axis=1)
        return (abs(columns[:, None] - columns).max(axis=2) < 0.5).sum(axis=1)

    expected = np.log(count(x, y, z) * count(z) / (count(x, z) * count(y, z)))
    np.testing.assert_allclose(kernel.kernel_information(x, y, z), expected, atol=1e-12)


# --- symbols


@given(SEEDS)
@pytest.mark.filterwarnings("ignore:discrete")
def test_symbols_equal_a_table_of_probabilities(seed):
    rng = np.random.default_rng(seed)
    x, y, z = rng.integers(0, 3, (3, 200, 1))
    y = np.where(rng.random(y.shape) < 0.5, x, y)
    table = np.zeros((3, 3, 3))
    np.add.at(table, (x[:, 0], y[:, 0], z[:, 0]), 1)
    share = table / table.sum()
    slow = sum(
        share[a, b, c] * np.log(share[a, b, c] * share[:, :, c].sum() / (share[a, :, c].sum() * share[:, b, c].sum()))
        for a, b, c in np.argwhere(share)
    )
    found = discrete.discrete_information(x, y, z)
    assert found.value == pytest.approx(slow, abs=1e-12)
    assert found.local.mean() == pytest.approx(found.value, abs=1e-12)
    assert found.value >= -1e-12


def test_miller_and_madow_remove_most_of_the_bias_of_independent_symbols():
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, 4, (2, 200, 1)) for _ in range(300)]
    raw, corrected = (
        [discrete.discrete_information(*draw, bias_correction=correct).value for draw in draws]
        for correct in (False, True)
    )
    assert np.mean(raw) == pytest.approx(9 / 400, rel=0.1)
    assert abs(np.mean(corrected)) < np.mean(raw) / 8


def test_p_values_of_independent_symbols_are_uniform():
    rng = np.random.default_rng(1)
    p = [discrete.discrete_information(*rng.integers(0, 3, (2, 500, 1))).p_value for _ in range(400)]
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 400))


def test_data_processing_of_symbols():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 6, (3000, 1))
    y = (x + rng.integers(0, 2, x.shape)) % 6
    coarse = y // 2
    assert discrete.discrete_information(x, coarse).value <= discrete.discrete_information(x, y).value


def test_too_few_samples_for_the_table_are_told():
    with pytest.warns(UserWarning, match=r"discrete: 40 samples fill a table of 64 cells \(8 x 8 x 1\)"):
        discrete.discrete_information(np.arange(40)[:, None] % 8, np.arange(40)[:, None] % 8)


# --- bad columns, choice, samples


@pytest.mark.parametrize("name", ["gaussian", "copula", "ksg", "kernel", "discrete"])
def test_constant_columns_tell_nothing(name):
    x = np.random.default_rng(0).integers(0, 3, (200, 1)).astype(float)
    constant = np.full((200, 1), 0.1)
    for blocks in ((x, constant), (constant, x), (constant, x, x)):
        assert Estimator(name).information(*blocks).value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["gaussian", "copula", "ksg"])
def test_what_the_condition_holds_already_tells_nothing_and_copies_add_nothing(name):
    x, y, z = correlated(0, widths=(1, 1, 1))
    estimator = Estimator(name)
    assert estimator.information(x, y, np.concatenate([x, z], axis=1)).value == pytest.approx(0, abs=1e-12)
    twice = estimator.information(np.concatenate([x, x], axis=1), y, z).value
    assert np.isfinite(twice)
    if name != "ksg":
        assert twice == pytest.approx(estimator.information(x, y, z).value, abs=1e-9)


def test_a_copy_has_the_largest_information_that_is_resolved():
    x = np.random.default_rng(0).standard_normal((200, 1))
    found = gaussian.gaussian_information(x, 2 * x, bias_correction=False)
    assert found.value == pytest.approx(-np.log(1e-12) / 2, abs=1e-3)


def test_auto_looks_at_the_data():
    bits, numbers = np.zeros((1, 50, 1), int), np.random.default_rng(0).standard_normal((1, 50, 1))
    assert chosen("auto", [bits], many=True).name == "discrete"
    assert chosen("auto", [numbers.round()], many=False).name == "discrete"
    assert chosen("auto", [numbers], many=False).name == "ksg"
    assert chosen("auto", [numbers, bits], many=True).name == "gaussian"
    assert chosen("auto", [numbers], many=False, bins=4).name == "discrete"


@pytest.mark.parametrize("options", [{"neighbours": 0}, {"radius": 0.0}, {"bins": 1}, {"theiler": -1}])
def test_settings_outside_their_range_are_refused(options):
    with pytest.raises(ValueError, match=f"estimator: {next(iter(options))} must be"):
        Estimator(**options)


def test_series_that_are_none_are_refused():
    with pytest.raises(TypeError, match="x must hold real numbers"):
        as_batch("entropy", "x", ["a"])
    with pytest.raises(ValueError, match="got shape"):
        as_batch("entropy", "x", np.zeros((0, 2)))


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="samples must outnumber"):
        gaussian.gaussian_information(*np.zeros((2, 3, 2)))
    with pytest.raises(ValueError, match="4 neighbours need at least 5 samples"):
        ksg_information(*np.zeros((2, 4, 1)))


@pytest.mark.parametrize("kind", ["shift", "permutation"])
def test_surrogates_keep_rows_and_series_and_go_everywhere(kind):
    rows = np.arange(24).reshape(2, 6, 2)
    rng = np.random.default_rng(0)
    drawn = [surrogate(rows, kind, rng) for _ in range(200)]
    for one in drawn:
        np.testing.assert_array_equal(np.sort(one, axis=1), rows)
        np.testing.assert_array_equal(one[..., 1] - one[..., 0], 1)
    firsts = {int(one[0, 0, 0]) // 2 for one in drawn}
    assert firsts == (set(range(1, 6)) if kind == "shift" else set(range(6)))
