import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.reservoir.measures.polynomials import BASES, orthonormal_polynomials, products, terms


@pytest.mark.parametrize("basis", BASES)
def test_they_are_orthonormal_under_their_distribution(basis):
    rng = np.random.default_rng(0)
    series = rng.standard_normal(200_000) if basis == "hermite" else rng.uniform(-3, 5, 200_000)
    found = orthonormal_polynomials(series, 4, basis)
    tolerance = {"empirical": 1e-10, "legendre": 0.03, "hermite": 0.25}[basis]  # Hermite's 8th moments scatter
    np.testing.assert_allclose(found @ found.T / len(series), np.eye(5), atol=tolerance)


def test_legendre_is_the_closed_form_and_the_empirical_basis_comes_close():
    u = np.random.default_rng(0).uniform(-1, 1, 100_000)
    u[:2] = -1, 1
    known = [np.sqrt(2 * d + 1) * np.polynomial.Legendre.basis(d)(u) for d in range(5)]
    np.testing.assert_allclose(orthonormal_polynomials(u, 4, "legendre"), known, atol=1e-12)
    np.testing.assert_allclose(orthonormal_polynomials(u, 4, "empirical"), known, atol=0.15)


def test_hermite_is_the_closed_form():
    x = np.random.default_rng(0).standard_normal(50)
    x = (x - x.mean()) / x.std()
    known = [np.polynomial.hermite_e.HermiteE.basis(d)(x) / math.sqrt(math.factorial(d)) for d in range(5)]
    np.testing.assert_allclose(orthonormal_polynomials(x, 4, "hermite"), known, atol=1e-12)


def test_few_values_end_the_empirical_basis():
    rng = np.random.default_rng(0)
    assert len(orthonormal_polynomials(rng.choice([-1.0, 1.0], 500), 5, "empirical")) == 2
    assert len(orthonormal_polynomials(rng.choice([0.0, 1.0, 5.0], 500), 5, "empirical")) == 3


@given(degree=st.integers(1, 5), factors=st.integers(1, 4), first=st.integers(0, 2), last=st.integers(0, 6))
def test_terms_are_all_assignments_of_degrees_to_delays(degree, factors, first, last):
    found = [term for largest in range(first, last + 1) for term in terms(degree, factors, largest, first=first)]
    expected = {
        tuple((first + delay, power) for delay, power in enumerate(powers) if power)
        for powers in itertools.product(range(degree + 1), repeat=max(last + 1 - first, 0))
        if sum(powers) == degree and np.count_nonzero(powers) == factors
    }
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_highest_power_of_one_factor():
    assert list(terms(3, 2, 2, highest=1)) == []
    assert list(terms(2, 2, 2, highest=1)) == [((0, 1), (2, 1)), ((1, 1), (2, 1))]


def test_products_are_those_of_shifted_rows():
    table = np.random.default_rng(0).standard_normal((3, 20))
    found = products(table, [((0, 1), (3, 2)), ((2, 2),)], start=5)
    for row, t in enumerate(range(5, 20)):
        assert found[0, row] == table[1, t] * table[2, t - 3]
        assert found[1, row] == table[2, t - 2]
