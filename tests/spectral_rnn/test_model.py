import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.spectral_rnn import model as m
from lightning_neuro.spectral_rnn.parallel_run import run_segments


def random_model(seed, inputs=5, units=3, outputs=2, coeffs=m.QUADRATIC):
    rng = np.random.default_rng(seed)
    a, u, c = (rng.standard_normal(shape) for shape in ((units, inputs), (units, units), (units, outputs)))
    return m.PolynomialModel(a / np.linalg.norm(a, axis=1)[:, None], 0.05 * u, c, coeffs, rng.standard_normal(outputs))


def loop(model, x, h0=None):
    state, outputs = np.zeros(model.units) if h0 is None else h0, []
    for row in x:
        z = model.input_weights @ row + model.recurrent_weights @ state + model.bias
        state = sum(c * z**k for k, c in enumerate(model.coeffs))
        outputs.append(model.output_weights.T @ state + model.offset)
    return np.array(outputs).reshape(-1, len(model.offset))


@pytest.mark.parametrize("coeffs", [m.QUADRATIC, m.LINEAR, (0.5, -0.3, 0.2), m.CUBIC])
def test_predictions_equal_a_loop_over_steps_for_ragged_series(coeffs):
    model = random_model(0, coeffs=coeffs)
    rng = np.random.default_rng(1)
    series = [0.5 * rng.standard_normal((length, 5)) for length in (1, 700, 0, 256, 257, 3)]
    h0 = np.array([0.1, -0.2, 0.3])
    for x, found in zip(series, model.predict_all(series, h0), strict=True):
        np.testing.assert_allclose(found, loop(model, x, h0), atol=1e-11)
    np.testing.assert_allclose(model.predict(series[1]), loop(model, series[1]), atol=1e-11)


def test_a_bias_enters_before_the_polynomial():
    model = m.PolynomialModel(np.eye(2), 0.1 * np.eye(2), np.eye(2), bias=[1.0, -1.0])
    x = np.random.default_rng(2).standard_normal((10, 2))
    np.testing.assert_allclose(model.predict(x), loop(model, x))


def test_an_exploding_series_is_nan_from_there_on_and_leaves_others_alone():
    model = m.PolynomialModel([[1.0]], [[1.0]], [[1.0]])
    calm, wild = np.zeros((2000, 1)), np.full((2000, 1), 0.1)
    wild[1000] = 5
    outputs = model.predict_all([calm, wild], max_abs_state=1e3)
    assert not outputs[0].any()
    assert np.isfinite(outputs[1][:1000]).all()
    first = int(np.argmax(np.isnan(outputs[1][:, 0])))
    assert 1000 < first < 1010
    assert np.isnan(outputs[1][first:]).all()


@given(st.integers(0, 1000), st.integers(1, 9), st.lists(st.integers(0, 30), max_size=5))
def test_segments_equal_a_loop_even_for_a_recurrence_that_never_forgets(seed, segment, lengths):
    rng = np.random.default_rng(seed)
    drives, start = [rng.standard_normal((length, 2)) for length in lengths], rng.standard_normal(2)
    found = run_segments(lambda drive, state: drive + state, drives, start, segment)
    for states, drive in zip(found, drives, strict=True):
        np.testing.assert_allclose(states, start + np.cumsum(drive, axis=0), atol=1e-9)


def test_a_recurrence_that_forgets_needs_two_rounds():
    calls = []

    def step(drive, state):
        calls.append(len(drive))
        return drive + 0.5 * state

    run_segments(step, [np.ones((6400, 1))], np.zeros(1), 64)
    assert calls == [100] * 64 + [99] * 64


def test_polynomial_is_evaluated_by_powers_and_classified():
    z = np.array([-1.5, 0.0, 2.0])
    np.testing.assert_allclose(m.polynomial(z, (1.0, -2.0, 0.5, 3.0)), 1 - 2 * z + 0.5 * z**2 + 3 * z**3)
    np.testing.assert_array_equal(m.polynomial(z, (4.0,)), [4.0, 4.0, 4.0])
    assert [m.parity(c) for c in ((1, 0, 1), m.CUBIC, (0, 1, 1))] == ["even", "odd", "mixed"]
    assert [m.is_monomial(c) for c in (m.QUADRATIC, (0, 1, 0, 1))] == [True, False]


def test_weights_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match=r"got \(2, 3\), \(3, 3\), \(2, 1\)"):
        m.PolynomialModel(np.ones((2, 3)), np.ones((3, 3)), np.ones((2, 1)))
