import numpy as np
import pytest
from reservoirpy.activationsfunc import get_function
from scipy.special import expit

from lightning_neuro.reservoir.activation import known_activation


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "identity", "softplus", "relu"])
def test_slopes_are_those_of_the_function(name):
    function, known = get_function(name), known_activation("test", get_function(name))
    z, step = np.linspace(-2.05, 2.05, 12), 1e-4
    slope = (function(z + step) - function(z - step)) / (2 * step)
    bend = (function(z + step) - 2 * function(z) + function(z - step)) / step**2
    np.testing.assert_allclose(known.slope(function(z)), slope, atol=1e-7)
    np.testing.assert_allclose(known.bend(function(z)) * known.slope(function(z)), bend, atol=1e-6)
    assert known.low <= function(z).min()
    assert known.high >= function(z).max()


@pytest.mark.parametrize(("function", "name"), [(np.tanh, "tanh"), (expit, "sigmoid"), ("relu", "relu")])
def test_functions_of_numpy_and_scipy_are_known_too(function, name):
    assert known_activation("test", function).name == name


def test_others_are_refused_by_name():
    with pytest.raises(ValueError, match=r"Oja: activation must be one of tanh, .*, got 'sin'"):
        known_activation("Oja", np.sin)
