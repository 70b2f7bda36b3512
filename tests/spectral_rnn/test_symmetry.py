import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.spectral_rnn import symmetry as s
from lightning_neuro.spectral_rnn.model import CUBIC, LINEAR, QUADRATIC, PolynomialModel

EVEN, ODD, MIXED = (0.4, 0.0, 1.0), (0.0, 0.3, 0.0, 0.5), (0.2, 0.3, 1.0)


def random_model(seed, coeffs):
    rng = np.random.default_rng(seed)
    a, u, c, b = (rng.standard_normal(shape) for shape in ((3, 4), (3, 3), (3, 2), (3,)))
    return PolynomialModel(0.4 * a, 0.1 * u, c, coeffs, bias=0.1 * b)


def shuffled(model, seed, factors):
    order = np.random.default_rng(seed).permutation(model.units)
    return s.permuted(s.rescaled(model, np.array(factors)), order)


def factors_for(coeffs):
    return {MIXED: [1.0, 1, 1], EVEN: [-1.0, 1, -1], ODD: [-1.0, 1, -1]}.get(coeffs, [-2.0, 0.5, 1.5])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([LINEAR, QUADRATIC, CUBIC, EVEN, ODD, MIXED]))
def test_p01_symmetries_keep_predictions_and_canonical_form_undoes_them(seed, coeffs):
    model = random_model(seed, coeffs)
    other = shuffled(model, seed, factors_for(coeffs))
    x = np.random.default_rng(seed).standard_normal((8, 4))
    canonical = s.canonicalize(model)
    for same in (other, canonical, s.canonicalize(canonical), s.match(other, model)):
        np.testing.assert_allclose(same.predict(x), model.predict(x), atol=1e-9)
    for name in ("input_weights", "recurrent_weights", "output_weights", "bias"):
        wanted = getattr(canonical, name)
        np.testing.assert_allclose(getattr(s.canonicalize(other), name), wanted, atol=1e-10)
        np.testing.assert_allclose(getattr(s.canonicalize(canonical), name), wanted, atol=1e-14)
        np.testing.assert_allclose(getattr(s.match(other, model), name), getattr(model, name), atol=1e-10)
    assert max(s.relative_errors(other, model).values()) < 1e-10


def test_an_even_network_may_flip_a_row_but_not_a_column():
    model = random_model(0, QUADRATIC)
    flipped = s.rescaled(model, np.array([-1.0, 1, 1]))
    np.testing.assert_array_equal(flipped.recurrent_weights[0], -model.recurrent_weights[0])
    np.testing.assert_array_equal(flipped.recurrent_weights[1:], model.recurrent_weights[1:])
    np.testing.assert_array_equal(flipped.output_weights, model.output_weights)


def test_canonical_form_has_unit_rows_positive_entries_and_strong_neurons_first():
    canonical = s.canonicalize(random_model(1, QUADRATIC))
    rows = canonical.input_weights
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)
    assert (rows[np.arange(3), np.abs(rows).argmax(axis=1)] > 0).all()
    assert (np.diff(np.linalg.norm(canonical.output_weights, axis=1)) <= 0).all()


def test_changes_that_alter_predictions_are_refused():
    with pytest.raises(ValueError, match="cannot be scaled"):
        s.rescaled(random_model(0, MIXED), np.array([-1.0, 1, 1]))
    with pytest.raises(ValueError, match="cannot be scaled"):
        s.rescaled(random_model(0, EVEN), np.array([2.0, 1, 1]))
    with pytest.raises(ValueError, match="cannot be scaled"):
        s.rescaled(random_model(0, QUADRATIC), np.array([0.0, 1, 1]))
    with pytest.raises(ValueError, match="polynomials must be the same"):
        s.match(random_model(0, QUADRATIC), random_model(0, CUBIC))
