import numpy as np
import pytest
from scipy.sparse import csr_array

from lightning_neuro.reservoir.initializers import delay_line_matrix, orthogonal_matrix
from lightning_neuro.reservoir.spectrum import spectral_radius


@pytest.mark.parametrize("units", [5, 300, 420])
def test_dense_and_sparse_of_any_size_agree_with_all_eigenvalues(units):
    rng = np.random.default_rng(0)
    matrix = np.where(rng.random((units, units)) < 0.3, rng.normal(size=(units, units)), 0.0)
    expected = abs(np.linalg.eigvals(matrix)).max()
    assert spectral_radius(matrix) == pytest.approx(expected, rel=1e-9)
    assert spectral_radius(csr_array(matrix)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("units", [50, 320])
def test_it_holds_where_arnoldi_has_a_hard_time(units):
    assert spectral_radius(orthogonal_matrix(units, sr=0.9, seed=0)) == pytest.approx(0.9, abs=1e-9)
    assert spectral_radius(delay_line_matrix(units, sr=3.0)) == pytest.approx(0, abs=1e-9)
    assert spectral_radius(np.zeros((units, units))) == 0
