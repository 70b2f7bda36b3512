import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reservoirpy.nodes import Reservoir
from scipy.stats import chi2

from lightning_neuro.reservoir.measures.information_processing import information_processing_capacity as capacity
from lightning_neuro.reservoir.measures.polynomials import orthonormal_polynomials, products, terms


def noise(steps, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, steps)


def delay_line(u, length):
    return np.stack([np.concatenate([np.zeros(k), u[: len(u) - k]]) for k in range(length)], axis=1)


def tanh_states(u, scale, units=30, bias=0.0, slope=np.tanh, seed=0, weights=None):
    rng = np.random.default_rng(seed)
    if weights is None:
        weights = 0.9 * np.linalg.qr(rng.standard_normal((units, units)))[0]
    win, states = rng.uniform(-1, 1, units), np.zeros((len(u), units))
    for t, value in enumerate(u):
        states[t] = slope(weights @ states[t - 1] + scale * win * value + bias)
    return states


def degrees(found):
    return list(found.details["by_degree"].values())


def test_gold_two_of_degree_one_and_two_of_degree_two():
    u = noise(20000)
    past = np.roll(u, 1)
    states = np.stack([u, (3 * u**2 - 1) / 2, past, u * past], axis=1)
    found = capacity(states, u, basis="legendre", significance=1e-6, max_delay=10)
    np.testing.assert_allclose(degrees(found), [2, 2, 0], atol=2e-3)
    assert found.details["rank"] == 4
    assert {term for term, _ in found.details["strongest"]} == {((0, 1),), ((1, 1),), ((0, 2),), ((0, 1), (1, 1))}
    assert found.details["nonlinearity"] == pytest.approx(0.5, abs=1e-3)
    assert found.curve.shape == (3, 2)
    np.testing.assert_allclose(found.curve, [[1, 1], [1, 1], [0, 0]], atol=2e-3)


@pytest.mark.parametrize("size", [1, 6, 20])
def test_a_delay_line_has_degree_one_only_and_as_much_as_it_has_units(size):
    u = noise(6000)
    found = capacity(delay_line(u, size), u, significance=1e-7, max_delay=30)
    np.testing.assert_allclose(degrees(found), [size, 0, 0], atol=1e-9)
    assert found.details["completeness"] == pytest.approx(1.0)


def test_a_linear_reservoir_has_degree_one_only():
    u = noise(20000)
    found = capacity(tanh_states(u, 1.0, slope=lambda z: z), u, washout=200, significance=1e-7)
    linear, *others = degrees(found)
    assert 25 < linear <= 30.1
    assert others == [0, 0]
    assert float(found) == linear


def test_an_odd_network_without_bias_has_no_even_degree_and_one_with_bias_has():
    u = noise(10000)
    odd = capacity(tanh_states(u, 0.5), u, washout=200, significance=1e-7, max_degree=4, max_delay=15)
    assert degrees(odd)[1] == degrees(odd)[3] == 0
    assert degrees(odd)[0] > 1
    assert degrees(odd)[2] > 1
    even = capacity(tanh_states(u, 0.5, bias=0.5), u, washout=200, significance=1e-7, max_delay=15)
    assert degrees(even)[1] > 1


def test_larger_inputs_trade_memory_for_nonlinearity():
    u = noise(10000)
    found = [capacity(tanh_states(u, s), u, washout=200, significance=1e-6, max_delay=30) for s in (0.01, 0.3, 3)]
    linear, shares = [degrees(one)[0] for one in found], [one.details["nonlinearity"] for one in found]
    assert linear[0] > linear[1] > linear[2]
    assert shares[0] < shares[1] < shares[2]


def test_noise_on_states_takes_away_what_tiny_directions_carry():
    u, rng = noise(10000), np.random.default_rng(0)
    weights = rng.standard_normal((30, 30))  # dense: its small directions hold the third degree of small inputs
    states = tanh_states(u, 0.01, weights=0.9 * weights / abs(np.linalg.eigvals(weights)).max())
    options = {"washout": 200, "significance": 1e-6, "max_delay": 30}
    plain, noisy = capacity(states, u, **options), capacity(states, u, noise_std=1e-5, **options)
    assert degrees(noisy)[2] < 0.1 < degrees(plain)[2]
    assert float(noisy) < float(plain)
    assert float(noisy) == float(capacity(states, u, noise_std=1e-5, **options))


def test_targets_without_capacity_count_as_often_as_they_should():
    """Chi squared with r degrees of freedom: mean r / T, and shares above the threshold as chosen."""
    u, rank, steps = noise(5000), 20, 5000 - 44
    states = np.random.default_rng(1).standard_normal((5000, rank))
    counted = {}
    for chance in (0.05, 0.01):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = capacity(states, u, max_degree=2, max_delay=44, patience=100, significance=chance)
        assert "count by chance" in str(caught[0].message)
        assert found.details["targets"] == 45 + 45 + 45 * 44 // 2
        assert found.details["threshold"] == pytest.approx(chi2.isf(chance, rank) / steps)
        # all that count lie near the threshold, so their number is their sum by a little more than it
        counted[chance] = len(found.details["strongest"])
    assert counted[0.05] == pytest.approx(1080 * 0.05, abs=4 * np.sqrt(1080 * 0.05))
    assert counted[0.01] == pytest.approx(1080 * 0.01, abs=4 * np.sqrt(1080 * 0.01))


def test_it_is_what_one_regression_per_target_finds(monkeypatch):
    monkeypatch.setattr("lightning_neuro.reservoir.measures.information_processing.NUMBERS_AT_ONCE", 5000)  # blocks
    u = noise(1500)
    states = Reservoir(6, sr=0.5, seed=0).run(u[:, None])
    found = capacity(states, u, max_degree=3, max_delay=4, washout=50, basis="legendre", significance=1e-3, patience=9)
    polynomials, total, looked_at = orthonormal_polynomials(u, 3, "legendre"), 0.0, 0
    design = np.column_stack([np.ones(1450), states[50:]])
    threshold = chi2.isf(1e-3, 6) / 1450
    for degree in (1, 2, 3):
        for factors in range(1, degree + 1):
            for delay in range(5):
                for term in terms(degree, factors, delay):
                    z = products(polynomials, [term], 50)[0]
                    left = z - design @ np.linalg.lstsq(design, z, rcond=None)[0]
                    share = 1 - left.var() / z.var()
                    total += share if share > threshold else 0.0
                    looked_at += 1
    assert float(found) == pytest.approx(total, abs=1e-9)
    assert found.details["targets"] == looked_at


def test_binary_inputs_give_parities():
    u = np.random.default_rng(0).choice([0.0, 1.0], 4000)
    x = 2 * u - 1
    states = np.stack([x * np.roll(x, 1), x * np.roll(x, 1) * np.roll(x, 2)], axis=1)
    found = capacity(states, u, max_delay=5, washout=10, significance=1e-6)
    np.testing.assert_allclose(degrees(found), [0, 1, 1], atol=5e-3)
    assert {term for term, _ in found.details["strongest"]} == {((0, 1), (1, 1)), ((0, 1), (1, 1), (2, 1))}


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), size=st.integers(1, 5))
def test_bounds_and_invariance_under_mixing(seed, size):
    rng = np.random.default_rng(seed)
    u = rng.uniform(-1, 1, 2000)
    states = np.tanh(delay_line(u, size) @ rng.standard_normal((size, size))) + 0.1 * rng.standard_normal((2000, size))
    mixed = states @ (rng.standard_normal((size, size)) + 4 * np.eye(size)) + rng.standard_normal(size)
    options = {"max_delay": 6, "max_degree": 3, "significance": 1e-5}
    plain, turned = capacity(states, u, **options), capacity(mixed, u, **options)
    assert float(plain) == pytest.approx(float(turned), abs=1e-6)
    assert float(plain) <= size + 0.15
    assert max((value for _, value in plain.details["strongest"]), default=0) <= 1 + 1e-12


def test_the_search_stops_where_nothing_follows_and_tells_where_it_had_to():
    u = noise(4000)
    line = capacity(delay_line(u, 5), u, max_degree=1, significance=1e-7)
    assert line.params["max_delay"] == {1: 10}
    long = capacity(delay_line(u, 5), u, max_degree=1, max_delay=300, significance=1e-7, patience=3)
    assert long.details["targets"] == 8  # five that count and three that do not
    assert long.details["capped"] == []
    cut = capacity(delay_line(u, 5), u, max_degree=1, max_delay={1: 3}, significance=1e-7)
    assert cut.details["capped"] == [1]
    assert float(cut) == pytest.approx(4, abs=1e-9)
    later = capacity(delay_line(u, 5), u, max_degree=1, first_delay=1, significance=1e-7)
    assert float(later) == pytest.approx(4, abs=1e-9)


def test_constant_and_duplicate_columns_hold_nothing():
    u = noise(3000)
    line = delay_line(u, 3)
    more = np.column_stack([line, line[:, 0], np.full(3000, 0.3)])
    found = capacity(more, u, significance=1e-7)
    assert float(found) == pytest.approx(3, abs=1e-9)
    assert found.details["rank"] == 3
    still = capacity(np.full((3000, 2), 0.3), u)
    assert (float(still), still.details["rank"], still.details["completeness"]) == (0.0, 0, 0.0)


def test_the_picture_is_a_stack_by_degree():
    u = noise(3000)
    found = capacity(np.stack([u, u**2, u**3], axis=1), u, max_delay=3, significance=1e-7)
    axes = found.plot()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["degree 1", "degree 2", "degree 3"]
    tops = [bar.get_y() + bar.get_height() for bar in axes.patches]
    assert max(tops) == pytest.approx(float(found))
    assert found.to_dict()["curve_names"][0] == "degree 1"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, u: capacity(x, np.ones(200)), "column 0 of inputs must vary"),
        (lambda x, u: capacity(x, u, washout=195), "readouts of 5 units need more than 6 steps"),
        (lambda x, u: capacity(x, u, max_delay=199), "200 steps 199 go to the washout and the longest delay"),
        (lambda x, u: capacity(x * np.nan, u), "states must be finite"),
        (lambda x, u: capacity(x, u, basis="fourier"), "basis must be one of"),
        (lambda x, u: capacity(x, u, significance=0.0), "significance must be greater than 0"),
        (lambda x, u: capacity(x, u, max_degree=0), "max_degree must be at least 1"),
        (lambda x, u: capacity(x, u, first_delay=5, max_delay=3), "max_delay must be at least 5"),
        (lambda x, u: capacity(x, u, noise_std=-1.0), "noise_std must be at least 0"),
    ],
)
def test_refusals(call, message):
    u = noise(200)
    with pytest.raises(ValueError, match=message):
        call(delay_line(u, 5), u)
