import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reservoirpy.nodes import Reservoir

from lightning_neuro.reservoir.measures.capacity import linear_memory_capacity, memory_capacity
from lightning_neuro.reservoir.torch import TorchReservoir


def noise(steps, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, steps)


def delay_line(u, length):
    return np.stack([np.concatenate([np.zeros(k), u[: len(u) - k]]) for k in range(length)], axis=1)


def orthogonal(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def linear_states(weights, win, u):
    states = np.zeros((len(u), len(weights)))
    for t, value in enumerate(u):
        states[t] = weights @ states[t - 1] + win * value  # row -1 is still zero at t = 0
    return states


@pytest.mark.parametrize("size", [10, 20, 50])
def test_gold_delay_lines_and_orthogonal_nets_remember_as_many_inputs_as_they_have_units(size):
    line = linear_memory_capacity(np.eye(size, k=-1), np.eye(size)[0], first_delay=0)
    assert float(line) == pytest.approx(size, abs=1e-9)
    np.testing.assert_allclose(line.curve, np.arange(2 * size + 1) < size, atol=1e-9)
    turning = linear_memory_capacity(0.95 * orthogonal(size), np.eye(size)[0], first_delay=0, max_delay=20 * size)
    assert float(turning) == pytest.approx(size, abs=1e-4)


@pytest.mark.parametrize("estimator", ["holdout", "projection"])
def test_gold_a_delay_line_has_exactly_as_many_as_it_has_units(estimator):
    u = noise(3000)
    exact = memory_capacity(delay_line(u, 20), u, first_delay=0, max_delay=19, washout=20, estimator=estimator)
    assert float(exact) == pytest.approx(20, abs=1e-9)
    further = memory_capacity(delay_line(u, 20), u, washout=20, estimator=estimator)
    assert float(further) == pytest.approx(19, abs=0.05)  # from delay 1
    assert further.details["present"] == pytest.approx(1.0)
    assert further.details["rank"] == 20


@pytest.mark.parametrize(("estimator", "bias"), [("holdout", 1 / 4900), ("projection", 30 / 9800)])
def test_states_without_memory_have_none_on_average(estimator, bias):
    """The bias of the spec is there before the correction and gone after it."""
    found = []
    for seed in range(6):
        states = np.random.default_rng(100 + seed).standard_normal((10000, 30))
        found.append(memory_capacity(states, noise(10000, seed), max_delay=200, estimator=estimator))
    raw = np.mean([one.details["uncorrected"][1:] for one in found])
    assert raw == pytest.approx(bias, rel=0.15)
    # Chi squares: 200 delays and 6 seeds of standard deviation sqrt(2 r) / T each; r is 1 where one readout is tested.
    spread = np.sqrt(200 / 6) * (np.sqrt(2) / 4900 if estimator == "holdout" else np.sqrt(60) / 9800)
    assert abs(np.mean([float(one) for one in found])) < 4 * spread
    assert found[0].details["bias"] == pytest.approx(bias, rel=1e-6)


@pytest.mark.parametrize("estimator", ["holdout", "projection"])
def test_samples_agree_with_the_closed_form(estimator):
    weights, win, u = 0.95 * orthogonal(20), np.eye(20)[0], noise(20000)
    states = linear_states(weights, win, u)
    found = memory_capacity(states, u, washout=200, first_delay=0, max_delay=60, estimator=estimator)
    true = linear_memory_capacity(weights, win, first_delay=0, max_delay=60)
    np.testing.assert_allclose(found.curve, true.curve, atol=0.03)
    assert float(found) == pytest.approx(float(true), abs=0.85)


def test_it_is_what_one_regression_per_delay_finds():
    u = noise(600)
    states = Reservoir(8, sr=0.9, seed=0).run(u[:, None])
    found = memory_capacity(states, u, max_delay=5, washout=30)
    for delay in range(6):
        x = np.column_stack([np.ones(570), states[30:]])
        y = u[30 - delay : 600 - delay]
        weights = np.linalg.lstsq(x[:285], y[:285], rcond=None)[0]
        assert found.details["uncorrected"][delay] == pytest.approx(
            np.corrcoef(x[285:] @ weights, y[285:])[0, 1] ** 2, abs=1e-9
        )
    share = memory_capacity(states, u, max_delay=5, washout=30, estimator="projection").details["uncorrected"]
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    assert share[5] == pytest.approx(1 - np.var(y - x @ weights) / np.var(y), abs=1e-9)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), size=st.integers(1, 6))
def test_bounds_and_invariance_under_mixing(seed, size):
    rng = np.random.default_rng(seed)
    u = rng.standard_normal(400)
    states = delay_line(u, size) + 0.3 * rng.standard_normal((400, size))
    mixing = rng.standard_normal((size, size)) + 3 * np.eye(size)
    for estimator in ("holdout", "projection"):
        plain, mixed = (
            memory_capacity(x, u, max_delay=8, first_delay=0, estimator=estimator) for x in (states, states @ mixing)
        )
        np.testing.assert_allclose(plain.curve, mixed.curve, atol=1e-7)
        assert ((plain.curve >= 0) & (plain.curve <= 1)).all()
    assert float(plain) <= size + 0.2


def test_noise_on_states_takes_memory_away():
    u = noise(4000)
    states, rng = linear_states(0.95 * orthogonal(20), np.eye(20)[0], u), np.random.default_rng(1)
    disturbance = rng.standard_normal(states.shape)
    found = [float(memory_capacity(states + std * disturbance, u, washout=100)) for std in (0, 0.01, 0.1, 1)]
    assert (np.diff(found) < 0).all()


def test_duplicate_and_constant_columns_change_nothing():
    u = noise(2000)
    line = delay_line(u, 4)
    more = np.column_stack([line, line[:, :2], np.full(2000, 0.3)])
    found = memory_capacity(more, u, max_delay=8)
    np.testing.assert_allclose(found.curve, memory_capacity(line, u, max_delay=8).curve, atol=1e-9)
    assert found.details["rank"] == 4
    for estimator in ("holdout", "projection"):
        still = memory_capacity(np.full((2000, 3), 0.3), u, max_delay=8, estimator=estimator)
        assert abs(float(still)) < 0.01
        assert still.details["rank"] == 0


def test_nodes_modules_and_states_agree_and_blocks_do_not_matter(monkeypatch):
    u = noise(1500)
    node = Reservoir(20, sr=0.9, seed=0)
    states = node.run(u[:, None])
    options = {"washout": 50, "max_delay": 30}
    found = memory_capacity(states, u, **options)
    module = TorchReservoir.from_node(node)
    for source in (node, module):
        np.testing.assert_allclose(memory_capacity(source, u[:, None], **options).curve, found.curve, atol=1e-8)
    monkeypatch.setattr("lightning_neuro.reservoir.measures.capacity.BLOCK", 7)
    np.testing.assert_allclose(memory_capacity(states, u, **options).curve, found.curve, atol=1e-10)
    assert found.plot().get_xlabel() == "delay"
    assert found.to_dict()["params"]["max_delay"] == 30


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, u: memory_capacity(x, np.ones(200)), "column 0 of inputs must vary"),
        (lambda x, u: memory_capacity(x, u[:100]), "as many steps as the states"),
        (lambda x, u: memory_capacity(x, u, washout=195), "readouts of 5 units need more than 6 steps to fit"),
        (lambda x, u: memory_capacity(x, u, max_delay=199), "200 steps 199 go to the washout and the longest delay"),
        (lambda x, u: memory_capacity(x * np.nan, u), "states must be finite"),
        (lambda x, u: memory_capacity(x, u, estimator="fit"), "estimator must be one of 'holdout', 'projection'"),
        (lambda x, u: memory_capacity(x, u, estimator="projection", ridge=1.0), "ridge must be 0"),
        (lambda x, u: memory_capacity(x, u, first_delay=3, max_delay=2), "max_delay must be at least 3"),
        (lambda x, u: linear_memory_capacity(np.eye(3), np.ones(3)), "spectral radius of W must be below 1"),
    ],
)
def test_refusals(call, message):
    u = noise(200)
    with pytest.raises(ValueError, match=message):
        call(delay_line(u, 5), u)
