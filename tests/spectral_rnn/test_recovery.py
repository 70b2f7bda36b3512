from itertools import permutations

import numpy as np
import pytest
import tensorly as tl
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.spectral_rnn import recovery as r
from lightning_neuro.spectral_rnn.alarms import ParallelOutputsWarning
from lightning_neuro.spectral_rnn.model import CUBIC, QUADRATIC, PolynomialModel
from lightning_neuro.spectral_rnn.rank import choose_rank, components_stand_out
from lightning_neuro.spectral_rnn.recurrent_recovery import (
    duals,
    output_projections,
    recover_recurrent,
    recover_recurrent_from_order4,
)
from lightning_neuro.spectral_rnn.symmetry import match, relative_errors

SIZES = [(10, 3, 4), (5, 2, 3), (6, 3, 2), (20, 5, 6), (4, 4, 4)]


def random_model(seed, inputs, units, outputs, coeffs=QUADRATIC):
    rng = np.random.default_rng(seed)
    a, u, c = (rng.standard_normal(shape) for shape in ((units, inputs), (units, units), (units, outputs)))
    return PolynomialModel(a / np.linalg.norm(a, axis=1)[:, None], 0.1 * u, c, coeffs)


def second_moment(model):
    a = model.input_weights
    return 2 * model.coeffs[2] * np.einsum("ik,ia,ib->kab", model.output_weights, a, a)


def mixed_moment(model):
    a = model.input_weights
    inner = np.einsum("ij,ja,jb->iab", model.recurrent_weights, a, a)
    return 4 * model.coeffs[2] ** 2 * np.einsum("ik,ia,ibc->kabc", model.output_weights, a, inner)


def order4(model, b):
    """Dual contraction of (I3) by the definition: a sum over the 24 orders of a_j a_j a_k a_k."""
    seen, u = model.input_weights @ b, model.recurrent_weights
    total = np.zeros((model.units,) * 3)
    for order in permutations("ppqq"):
        spec = "ij,ik," + ",".join(f"{x}{y}" for x, y in zip("jjkk", order, strict=True)) + "->ipq"
        total += np.einsum(spec, u, u, seen, seen, seen, seen, optimize=True)
    return model.coeffs[2] ** 3 * total


def recovered(model, precision, route):
    found = r.recover_input_weights(second_moment(model), model.units, model.coeffs, seed=0)
    a, c = found.input_weights, found.output_weights
    b1, b0 = duals(a, precision), duals(a, precision + 0.1 * np.eye(len(precision)))
    w = output_projections(c, c.T @ c + 0.3 * np.eye(c.shape[1]))
    u = recover_recurrent(np.einsum("kabc,ik,ai,bj,cj->ij", mixed_moment(model), w, b1, b0, b0), model.coeffs)
    if route == "s4":
        ordered = match(model, PolynomialModel(a, u, c, model.coeffs))
        u = recover_recurrent_from_order4(order4(ordered, b0), u, model.coeffs)
    return found, PolynomialModel(a, u, c, model.coeffs)


@pytest.mark.parametrize("seed", range(20))
def test_p03_exact_population_moments_recover_twenty_random_models(seed):
    model = random_model(seed, *SIZES[seed % len(SIZES)])
    half = np.random.default_rng(seed).standard_normal((30, model.input_weights.shape[1]))
    found, estimate = recovered(model, half.T @ half / 30 + 0.1 * np.eye(half.shape[1]), "mixed")
    assert max(relative_errors(estimate, model).values()) < 1e-8
    assert found.reliable
    assert found.residual < 1e-8
    assert (model.output_weights < 0).any()


@pytest.mark.parametrize("seed", range(5))
def test_the_fourth_order_route_recovers_the_same_recurrent_weights(seed):
    model = random_model(seed, 6, 3, 4, (0.0, 0.0, 0.7))
    estimate = recovered(model, np.eye(6), "s4")[1]
    assert max(relative_errors(estimate, model).values()) < 1e-7


def test_recovery_leaves_the_tensorly_backend_of_its_user_alone():
    model = random_model(0, 6, 3, 4)
    here = recovered(model, np.eye(6), "mixed")[1]
    with tl.backend_context("pytorch", local_threadsafe=True):
        there = recovered(model, np.eye(6), "s4")[1]
        assert tl.get_backend() == "pytorch"
        assert max(relative_errors(there, here).values()) < 1e-8


def test_by_hand_example_of_one_neuron():
    a, c, u = np.array([[1.0, 2.0]]), np.array([[3.0]]), np.array([[0.5]])
    model = PolynomialModel(a, u, c)
    np.testing.assert_array_equal(second_moment(model), [[[6, 12], [12, 24]]])
    assert mixed_moment(model)[0, 1, 1, 1] == 48
    assert order4(model, np.array([[0.0], [1.0]]))[0, 0, 0] * 3 == 288
    weights, residual = r.output_weights_for(second_moment(model), a, QUADRATIC)
    assert weights.item() == pytest.approx(3)
    assert residual < 1e-12


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_the_third_order_moment_of_a_cubic_network_recovers_it_even_from_one_output(outputs):
    model = random_model(3, 6, 3, outputs, CUBIC)
    a = model.input_weights
    moment = 6 * np.einsum("ik,ia,ib,ic->kabc", model.output_weights, a, a, a)
    found = r.recover_input_weights(moment, "auto", CUBIC, seed=0)
    estimate = PolynomialModel(found.input_weights, np.zeros((3, 3)), found.output_weights, CUBIC)
    errors = relative_errors(estimate, model)
    assert max(errors["A1"], errors["A2"]) < 1e-8


def test_lower_coefficients_change_nothing_and_the_leading_one_scales():
    model = random_model(4, 5, 2, 3, (0.3, -0.5, 2.0))
    found = r.recover_input_weights(second_moment(model), 2, model.coeffs, seed=0)
    plain = r.recover_input_weights(second_moment(model), 2, QUADRATIC, seed=0)
    np.testing.assert_allclose(2 * found.output_weights, plain.output_weights)


@given(st.integers(1, 6), st.integers(0, 500))
def test_the_rank_is_where_the_gap_is(rank, seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.uniform(1, 2, rank), rng.uniform(0.1, 0.15, 3)])
    assert choose_rank(np.sort(values)[::-1]) == rank


def test_rank_needs_something_to_compare_with():
    for values in ([1.0], [0.0, 0.0], [np.nan, 1.0]):
        with pytest.raises(ValueError, match="Give the number of units instead of 'auto'"):
            choose_rank(np.array(values))
    assert components_stand_out(np.array([2.0, 1.0]), 2)
    assert not components_stand_out(np.array([2.0, 0.0]), 2)


def test_parallel_output_weights_are_told():
    model = random_model(5, 6, 3, 4)
    rows = model.output_weights.copy()
    rows[1] = 2 * rows[0] + 0.01 * rows[1]
    with pytest.warns(ParallelOutputsWarning, match="cosine 1.000; their input weights mix"):
        r.recover_input_weights(second_moment(PolynomialModel(model.input_weights, np.eye(3), rows)), 3, seed=0)


@pytest.mark.parametrize(
    ("shape", "rank", "coeffs", "message"),
    [
        ((1, 4, 4), 2, QUADRATIC, "one output gives one matrix"),
        ((3, 4, 4), 5, QUADRATIC, "5 neurons need at least as many inputs, got 4"),
        ((3, 4, 5), 2, QUADRATIC, r"expected a moment \(Dy, Dx, Dx\), got shape \(3, 4, 5\)"),
        ((3, 4, 4), 2, (0, 0, 0, 0, 1.0), "must be of degree 2 or 3, got 4"),
        ((3, 4, 4), 2, (0, 1.0), "use recover_linear"),
    ],
)
def test_what_cannot_be_recovered_is_refused(shape, rank, coeffs, message):
    with pytest.raises(ValueError, match=message):
        r.recover_input_weights(np.ones(shape), rank, coeffs)


def test_moments_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="must be finite"):
        r.recover_input_weights(np.full((3, 4, 4), np.nan), 2)


@given(st.integers(0, 500))
def test_duals_invert_and_vary_least(seed):
    rng = np.random.default_rng(seed)
    a, half, other = rng.standard_normal((2, 5)), rng.standard_normal((9, 5)), rng.standard_normal((5, 2))
    precision = half.T @ half + 0.1 * np.eye(5)
    b = duals(a, precision)
    np.testing.assert_allclose(a @ b, np.eye(2), atol=1e-8)
    different = b + (np.eye(5) - np.linalg.pinv(a) @ a) @ other  # also a dual of a
    variances = [np.einsum("ai,ab,bi->i", d, precision, d) for d in (b, different)]
    assert (variances[0] <= variances[1] * (1 + 1e-9)).all()


def test_duals_of_dependent_rows_are_refused():
    with pytest.raises(ValueError, match="linearly dependent"):
        duals(np.ones((2, 3)), np.eye(3))


def test_output_projections_work_where_the_covariance_is_singular():
    c = np.random.default_rng(0).standard_normal((2, 5))
    w = output_projections(c, c.T @ c)
    np.testing.assert_allclose(np.einsum("ik,ik->i", w, c), 1)
    assert not output_projections(np.array([[1.0, 0.0], [0.0, 0.0]]), np.zeros((2, 2)))[1].any()


def test_recurrent_weights_beyond_degree_two_are_refused():
    for recover in (recover_recurrent, lambda f, coeffs: recover_recurrent_from_order4(f[None], f, coeffs)):
        with pytest.raises(ValueError, match="degree 2 only"):
            recover(np.ones((1, 1)), CUBIC)
