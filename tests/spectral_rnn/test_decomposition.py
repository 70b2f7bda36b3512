import numpy as np
import pytest
import tensorly as tl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorly.cp_tensor import cp_to_tensor

from lightning_neuro.spectral_rnn import decomposition as d


def factors(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def tied_tensor(c, a):
    return np.einsum("ki,ai,bi->kab", c, a, a)


def same_lines(found, wanted):
    return d.match_components(found, wanted).cosines.min()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_simultaneous_diagonalization_is_exact_on_exact_tensors(seed):
    a, b, c = factors(seed, (4, 3), (6, 3), (5, 3))
    tensor = np.einsum("ai,bi,ci->abc", a, b, c)
    found = d.simultaneous_diagonalization(tensor, 3, random_state=0)
    condition = np.linalg.cond(b) * np.linalg.cond(c)
    assert np.linalg.norm(cp_to_tensor(found) - tensor) < 1e-10 * condition**2 * np.linalg.norm(tensor)
    assert (np.diff(found.weights) <= 0).all()
    for factor in found.factors:
        np.testing.assert_allclose(np.linalg.norm(factor, axis=0), 1)


def test_simultaneous_diagonalization_refuses_complex_pencils_and_wrong_shapes():
    rotation = np.array([[0.0, -1.0], [1.0, 0.0]])
    with pytest.raises(d.ComplexPencilError, match="real eigenvalues"):
        d.simultaneous_diagonalization(np.stack([np.eye(2), rotation]), 2, random_state=0)
    with pytest.raises(ValueError, match=r"n1, n2 at least rank = 3, got shape \(2, 2, 2\)"):
        d.simultaneous_diagonalization(np.ones((2, 2, 2)), 3)


@pytest.mark.parametrize(("outputs", "size", "rank"), [(4, 10, 3), (2, 5, 3), (3, 3, 3), (6, 20, 5)])
def test_partially_symmetric_cp_finds_signed_components(outputs, size, rank):
    for seed in range(5):
        c, a = factors(seed, (outputs, rank), (size, rank))
        found = d.partially_symmetric_cp(tied_tensor(c, a), rank, random_state=seed)
        np.testing.assert_array_equal(found.factors[1], found.factors[2])
        assert same_lines(found.factors[1], a) > 1 - 1e-9
        np.testing.assert_allclose(cp_to_tensor(found), tied_tensor(c, a), atol=1e-7)


def test_partially_symmetric_cp_beats_the_diagonalisation_under_noise_and_uses_a_guess():
    better, last = 0, None
    for seed in range(4):
        c, a, noise = factors(seed, (4, 3), (6, 3), (4, 6, 6))
        tensor = tied_tensor(c, a) + 0.2 * (noise + noise.transpose(0, 2, 1)) / 2
        found = d.partially_symmetric_cp(tensor, 3, random_state=0)
        try:
            other = cp_to_tensor(d.simultaneous_diagonalization(tensor, 3, random_state=0))
        except d.ComplexPencilError:
            continue
        better += np.linalg.norm(tensor - cp_to_tensor(found)) < np.linalg.norm(tensor - other)
        last = tensor, a, found
    assert better >= 3
    tensor, a, found = last
    guided = d.partially_symmetric_cp(tensor, 3, n_pencils=0, n_restarts=0, init=a, random_state=0)
    assert same_lines(guided.factors[1], found.factors[1]) > 0.99


def test_partially_symmetric_cp_goes_on_where_every_pencil_is_complex():
    rotation = np.array([[0.0, 1.0], [1.0, 0.0]])
    tensor = np.stack([np.diag([1.0, -1.0]), rotation])  # symmetric slices, yet complex pencils only
    with pytest.raises(d.ComplexPencilError):
        d.simultaneous_diagonalization(tensor, 2, random_state=0)
    found = d.partially_symmetric_cp(tensor, 2, n_restarts=0, random_state=0)
    assert np.isfinite(cp_to_tensor(found)).all()
    with pytest.raises(ValueError, match="rank = 4"):
        d.partially_symmetric_cp(np.ones((2, 3, 3)), 4)


def odeco(weights, order, size, seed):
    basis = np.linalg.qr(factors(seed, (size, size))[0])[0][:, : len(weights)]
    spec = {3: "r,ar,br,cr->abc", 4: "r,ar,br,cr,dr->abcd"}[order]
    tensor = np.einsum(spec, weights, *[basis] * order)
    return tensor, basis


@pytest.mark.parametrize("order", [3, 4])
def test_power_method_takes_signed_weights_by_size(order):
    weights = [3.0, -5.0, 1.0, -2.0]
    tensor, basis = odeco(weights, order, 6, 1)
    found = d.robust_tensor_power(tensor, 4, random_state=0)
    wanted = sorted(weights, key=abs, reverse=True)
    np.testing.assert_allclose(
        found.weights if order == 4 else np.abs(found.weights), wanted if order == 4 else np.abs(wanted)
    )
    np.testing.assert_allclose(cp_to_tensor(found), tensor, atol=1e-8)
    assert same_lines(found.factors[0], basis) > 1 - 1e-9


def test_power_method_without_signs_finds_the_positive_ones_first():
    tensor, _ = odeco([3.0, -5.0, 1.0], 4, 4, 2)
    np.testing.assert_allclose(d.robust_tensor_power(tensor, 2, random_state=0, signed=False).weights, [3.0, 1.0])
    with pytest.raises(ValueError, match=r"order 3 or more, got shape \(2, 2\)"):
        d.robust_tensor_power(np.eye(2), 1)


def test_whitening_makes_the_moment_the_identity_or_refuses():
    (a,) = factors(3, (5, 2))
    whiten, unwhiten = d.whiten_moment(a @ a.T, 2)
    np.testing.assert_allclose(whiten.T @ (a @ a.T) @ whiten, np.eye(2), atol=1e-10)
    np.testing.assert_allclose(unwhiten @ (whiten.T @ a), a, atol=1e-10)
    with pytest.raises(ValueError, match="indefinite or of lower rank"):
        d.whiten_moment(a @ np.diag([1.0, -1.0]) @ a.T, 2)
    with pytest.raises(ValueError, match="must be positive"):
        d.whiten_moment(a @ a.T, 3)


def test_rowwise_khatri_rao_is_kron_of_rows_and_squares_a_product():
    u, v = factors(4, (3, 4), (3, 2))
    np.testing.assert_array_equal(d.rowwise_khatri_rao(u, v), [np.kron(p, q) for p, q in zip(u, v, strict=True)])
    (h,) = factors(5, (4,))
    np.testing.assert_allclose(d.rowwise_khatri_rao(u, u) @ np.kron(h, h), (u @ h) ** 2)
    with pytest.raises(ValueError, match="got 3 and 2"):
        d.rowwise_khatri_rao(u, v.T)


def markov_parameters(inputs, recurrent, outputs, count):
    return np.stack([outputs @ np.linalg.matrix_power(recurrent, k) @ inputs for k in range(count)])


@pytest.mark.parametrize(("inputs", "units", "outputs", "lags"), [(6, 3, 2, 4), (1, 4, 1, 8), (2, 5, 3, 6)])
def test_p10_ho_kalman_is_exact_on_exact_markov_parameters(inputs, units, outputs, lags):
    b, a, c = factors(6, (units, inputs), (units, units), (outputs, units))
    a *= 0.8 / np.abs(np.linalg.eigvals(a)).max()
    found = d.ho_kalman(markov_parameters(b, a, c, lags), units)
    later = markov_parameters(found.inputs, found.recurrent, found.outputs, lags + 5)
    np.testing.assert_allclose(later, markov_parameters(b, a, c, lags + 5), atol=1e-7)
    assert (found.singular_values[units:] < 1e-9 * found.singular_values[0]).all()
    with pytest.raises(ValueError, match="Ask for more lags"):
        d.ho_kalman(markov_parameters(b, a, c, 2), max(inputs, outputs) + 5)


@given(st.integers(0, 10_000))
def test_matching_undoes_a_shuffle_with_signs_and_scales(seed):
    (a,) = factors(seed, (6, 4))
    rng = np.random.default_rng(seed)
    shuffle, scales = rng.permutation(4), rng.choice([-1, 1], 4) * rng.uniform(0.1, 3, 4)
    found = d.match_components(a[:, shuffle] * scales, a)
    assert shuffle[found.permutation].tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(found.signs, np.sign(scales)[found.permutation])
    np.testing.assert_allclose(found.cosines, 1)


def test_matching_refuses_different_shapes():
    with pytest.raises(ValueError, match=r"one shape, got \(2, 2\) and \(3, 2\)"):
        d.match_components(np.ones((2, 2)), np.ones((3, 2)))


def every_routine(convert):
    c, a, noise = factors(7, (4, 3), (6, 3), (4, 6, 6))
    noisy = tied_tensor(c, a) + 0.05 * (noise + noise.transpose(0, 2, 1))
    power, _ = odeco([3.0, -5.0], 4, 4, 8)
    (m,) = factors(9, (4, 2, 3))
    cps = [
        d.simultaneous_diagonalization(convert(noisy), 3, random_state=1),
        d.partially_symmetric_cp(convert(noisy), 3, random_state=1),
        d.robust_tensor_power(convert(power), 2, random_state=1),
    ]
    realized = d.ho_kalman(convert(m), 2)
    whitened = d.whiten_moment(convert(a @ a.T), 3)
    match = d.match_components(convert(c), convert(c[:, ::-1].copy()))
    return [
        *[cp_to_tensor(cp) for cp in cps],
        realized.outputs @ realized.recurrent @ realized.inputs,
        whitened.whiten @ whitened.whiten.T,
        d.rowwise_khatri_rao(convert(a), convert(a)),
        convert(np.asarray(match.permutation, float)),
    ]


def test_p15_numpy_and_torch_backends_agree():
    here = every_routine(np.asarray)
    with tl.backend_context("pytorch", local_threadsafe=True):
        there = every_routine(torch.as_tensor)
        assert all(isinstance(tensor, torch.Tensor) for tensor in there)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=1e-8)


def test_p13_same_seed_same_result_and_no_global_random_state():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first, second = every_routine(np.asarray), every_routine(np.asarray)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())
