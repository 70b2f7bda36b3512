import numpy as np
import pytest

from lightning_neuro.spectral_rnn.alarms import UnstableRecurrenceWarning
from lightning_neuro.spectral_rnn.linear import recover_linear
from lightning_neuro.spectral_rnn.model import LINEAR, PolynomialModel


def markov(model, count):
    a, u, c = model.input_weights, model.recurrent_weights, model.output_weights
    return np.stack([c.T @ np.linalg.matrix_power(u, k) @ a for k in range(count)])


def random_model(seed, radius=0.8):
    rng = np.random.default_rng(seed)
    u = radius * np.linalg.qr(rng.standard_normal((3, 3)))[0]
    return PolynomialModel(rng.standard_normal((3, 6)), u, rng.standard_normal((3, 2)), LINEAR)


@pytest.mark.parametrize("rank", [3, "auto"])
def test_exact_markov_parameters_give_a_network_that_predicts_the_same(rank):
    for seed in range(5):
        model = random_model(seed)
        found = recover_linear(markov(model, 6), rank)
        x = np.random.default_rng(seed).standard_normal((40, 6))
        np.testing.assert_allclose(found.model.predict(x), model.predict(x), atol=1e-8)
        assert found.spectral_radius == pytest.approx(0.8)
        assert found.model.units == 3


def test_an_unstable_recurrence_is_scaled_and_told():
    with pytest.warns(UnstableRecurrenceWarning, match=r"spectral radius 1.200 and were scaled to 0.999"):
        found = recover_linear(markov(random_model(0, 1.2), 6), 3)
    assert np.abs(np.linalg.eigvals(found.model.recurrent_weights)).max() == pytest.approx(0.999)


def test_too_few_or_broken_parameters_are_refused():
    with pytest.raises(ValueError, match="Ask for more lags"):
        recover_linear(np.ones((2, 2, 6)), 3)
    with pytest.raises(ValueError, match="must be finite"):
        recover_linear(np.full((4, 2, 6), np.nan), 3)
