import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.st_rsbp.solve import factorised_, iterated, solve_adjoint


def systems(radius, seed=0, batch=3, size=30, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    diagonal = torch.rand(batch, size, generator=generator, dtype=dtype) + 0.5
    theta = torch.randn(batch, size, size, generator=generator, dtype=dtype) * radius / size**0.5
    right = torch.randn(batch, size, generator=generator, dtype=dtype)
    return theta, diagonal, right


@given(st.integers(0, 1000), st.floats(0, 0.15), st.sampled_from([torch.float32, torch.float64]))
def test_i07_iteration_and_factorisation_agree_and_solve_the_system(seed, radius, dtype):
    theta, diagonal, right = systems(radius, seed, dtype=dtype)
    exact = factorised_(theta.clone(), diagonal, right)
    left = diagonal * exact - torch.einsum("bip,bi->bp", theta, exact)
    torch.testing.assert_close(left, right)
    found = iterated(theta, diagonal, right)
    if dtype == torch.float32:
        assert found is not None
    if found is not None:
        assert (found - exact).norm() <= 2000 * torch.finfo(dtype).eps * exact.norm()
    torch.testing.assert_close(solve_adjoint(theta, diagonal, right)[0], exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("radius", [0.6, 0.9, 3.0])
def test_i07_slow_or_divergent_iterations_are_left_to_the_factorisation(radius):
    theta, diagonal, right = systems(radius)
    assert iterated(theta, diagonal, right) is None
    exact = factorised_(theta.clone(), diagonal, right)
    assert torch.equal(solve_adjoint(theta, diagonal, right)[0], exact)


@pytest.mark.parametrize("radius", [0.1, 0.5, 0.75])
def test_i07_more_rounds_looked_at_less_often_solve_the_same_systems(radius):
    theta, diagonal, right = systems(radius, dtype=torch.float64)
    diagonal.fill_(1)
    exact = factorised_(theta.clone(), diagonal, right)
    torch.testing.assert_close(iterated(theta, diagonal, right, 160, 8), exact, rtol=1e-10, atol=1e-10)
    assert iterated(theta, diagonal, 4 * right, 7, 8) is None
    assert iterated(4 / radius * theta, diagonal, right, 160, 8) is None


def test_a_sample_without_error_has_no_answer_and_does_not_stop_the_iteration():
    theta, diagonal, right = systems(0.1)
    right[1] = 0
    y, given_up = solve_adjoint(theta, diagonal, right)
    assert not y[1].any()
    assert not given_up.any()


@pytest.mark.parametrize("nearly", [0.0, 1e-9, 1e-5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_i07_a_singular_system_gives_a_finite_answer_and_spares_the_others(nearly, dtype):
    theta = torch.zeros(2, 2, 2, dtype=dtype)
    theta[0] = torch.tensor([[0.0, 1.0], [1.0 - nearly, 0.0]])
    y, given_up = solve_adjoint(theta, torch.ones(2, 2, dtype=dtype), torch.ones(2, 2, dtype=dtype))
    assert given_up.tolist() == [True, False]
    assert torch.equal(y, torch.ones(2, 2, dtype=dtype))


def test_amplification_beyond_the_limit_is_given_up():
    theta = torch.full((1, 1, 1), 0.8)
    for limit, expected in [(4.9, 1.0), (5.1, 5.0)]:
        y, given_up = solve_adjoint(theta.clone(), torch.ones(1, 1), torch.ones(1, 1), limit)
        assert y.item() == pytest.approx(expected, rel=1e-5)
        assert given_up.item() == (expected == 1)
